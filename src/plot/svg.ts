/** @file SVG as text: elements with escaped content, and the style of all plots, light and dark. */

import { escapeMarkup } from "./escape.ts";

/** A number of an SVG attribute: a tenth of a pixel is enough. */
export function place(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** @returns an element; content is given as SVG. */
export function element(name: string, attributes: Readonly<Record<string, string | number>>, content = ""): string {
  const pairs = Object.entries(attributes).map(([key, value]) => {
    return ` ${key}="${typeof value === "number" ? place(value) : escapeMarkup(value)}"`;
  });
  return content === "" ? `<${name}${pairs.join("")}/>` : `<${name}${pairs.join("")}>${content}</${name}>`;
}

/** Colours of series in both themes: neighbours differ in hue and in lightness. */
const colours: readonly (readonly [string, string])[] = [
  ["#0b62a8", "#6cb4f0"],
  ["#c2570c", "#f59a57"],
  ["#2c7d4b", "#72c995"],
  ["#a32a72", "#ec8bc4"],
  ["#6b4fbb", "#b3a0f2"],
  ["#8a6d00", "#d9bd4e"],
  ["#007d8a", "#5fc9d4"],
  ["#5c6470", "#a9b2bd"],
];

/** How many colours there are: later series repeat them with another dash and mark. */
export const COLOURS: number = colours.length;

/** The style sheet of a plot. */
export function plotStyle(): string {
  const lines = (theme: 0 | 1): string => colours.map((pair, index) => `.c${index}{--c:${pair[theme]}}`).join("");
  return [
    "svg{--paper:#fff;--ink:#1d2329;--soft:#5b6570;--rule:#e3e7eb;background:var(--paper)}",
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:var(--soft)}",
    ".title{font-size:16px;font-weight:600;fill:var(--ink)}.head{font-weight:600;fill:var(--ink)}",
    ".rule{stroke:var(--rule);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}",
    ".line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}.level{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:2 4}",
    ".thin{stroke-width:1.2}.neutral{--c:var(--soft)}",
    ".mark{fill:var(--paper);stroke:var(--c);stroke-width:1.6}.solid{fill:var(--c)}",
    lines(0),
    `@media (prefers-color-scheme:dark){svg{--paper:#15191c;--ink:#e8ecef;--soft:#a0a9b2;--rule:#2b3238}${lines(1)}}`,
  ].join("");
}
