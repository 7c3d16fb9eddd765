/** @file The report's colours: one calm ramp from "never" to "always", for light and dark pages. */

/** Steps of the ramp above 0: as many as the layers of the usual base models, so that each count has its own colour. */
export const STEPS = 12;

const LIGHT = ["#f0f2f1", "#d8eae6", "#b8dcd5", "#90cac1", "#64b2aa", "#3d9791", "#227a77", "#115d5d", "#07403f"];
const DARK = ["#22272a", "#1c3536", "#1a4a4a", "#1a605f", "#207976", "#2f948e", "#52b0a7", "#86cdc3", "#c9eee7"];

/** Colours of lines in charts, told apart by readers with any colour vision; further lines repeat them with dashes. */
export const series: Readonly<Record<"light" | "dark", readonly string[]>> = {
  light: ["#0f766e", "#c2570c", "#4b53c4", "#b0357f", "#5f7a0f", "#0a6fb0", "#8a5a2b", "#55606a"],
  dark: ["#5cc7bc", "#f0a35e", "#9aa2f7", "#ec8fc4", "#b5cf5c", "#6fbdf0", "#d1a77c", "#aab4bc"],
};

/** How many colours of {@link series} there are. */
export const SERIES = 8;

/** The ground of cards in both themes, on which lines and small text must be seen. */
export const cards: Readonly<Record<"light" | "dark", string>> = { light: "#ffffff", dark: "#1a1e21" };

type Rgb = readonly [number, number, number];

function parse(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** The ramp's colour at `share` of its length. */
function mix(anchors: readonly string[], share: number): Rgb {
  const place = share * (anchors.length - 1);
  const lower = parse(anchors[Math.floor(place)] ?? "#000000");
  const upper = parse(anchors[Math.ceil(place)] ?? "#000000");
  const part = place - Math.floor(place);
  const at = (channel: 0 | 1 | 2): number => Math.round(lower[channel] + part * (upper[channel] - lower[channel]));
  return [at(0), at(1), at(2)];
}

/** Relative luminance (WCAG 2.2). */
function luminance(color: Rgb): number {
  const [red, green, blue] = color.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (red ?? 0) + 0.7152 * (green ?? 0) + 0.0722 * (blue ?? 0);
}

/** Contrast ratio of two colours (WCAG 2.2), from 1 to 21. */
export function contrast(a: string, b: string): number {
  const [first, second] = [luminance(parse(a)), luminance(parse(b))];
  return (Math.max(first, second) + 0.05) / (Math.min(first, second) + 0.05);
}

/** One step of a ramp with the ink that reads better on it. */
export interface Shade {
  readonly paper: string;
  readonly ink: string;
}

/** Contrast that small text needs (WCAG 2.2, level AA). */
const READABLE = 4.5;
// Only black and white reach that contrast on every colour; where the softer inks reach it, they look calmer.
const SOFT_INKS = ["#12201f", "#f6fbfa"];
const HARD_INKS = ["#000000", "#ffffff"];

function inkOn(paper: string): string {
  const best = (inks: readonly string[]): string =>
    inks.reduce((a, b) => (contrast(paper, a) >= contrast(paper, b) ? a : b));
  const soft = best(SOFT_INKS);
  return contrast(paper, soft) >= READABLE ? soft : best(HARD_INKS);
}

/** The {@link STEPS} + 1 shades of a theme, from 0 to all. */
export function shades(theme: "light" | "dark"): Shade[] {
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const color = mix(theme === "light" ? LIGHT : DARK, step / STEPS);
    const paper = `#${color.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
    return { paper, ink: inkOn(paper) };
  });
}

/** The step of a share: 0 only for nothing, the last only for all. */
export function stepOf(share: number): number {
  if (!(share > 0)) return 0;
  if (share >= 1) return STEPS;
  return Math.min(STEPS - 1, Math.max(1, Math.round(share * STEPS)));
}
