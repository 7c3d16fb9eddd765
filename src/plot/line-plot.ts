/** @file Line plots as SVG text: one panel or a grid of them under one title with one legend. Pure: data in, text out. */

import { escapeMarkup } from "./escape.ts";
import { frameFor } from "./frame.ts";
import type { Field, Frame } from "./frame.ts";
import { tickText } from "./scale.ts";
import type { Axis } from "./scale.ts";
import { COLOURS, element, place, plotStyle } from "./svg.ts";

export type { Axis } from "./scale.ts";

/** One line. Points without a value are left out. */
export interface Series {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number | null }[];
  /** Series of one colour belong together; default: the place of its name among all names. */
  readonly colour?: number;
  /** What others are to be compared with: a thin dashed line without marks. Those of one name share a neutral entry in the legend. */
  readonly dashed?: boolean;
}

/** One panel. */
export interface LinePlot {
  readonly title: string;
  readonly series: readonly Series[];
  readonly x: Axis;
  readonly y: Axis;
  /** A dotted line across, and what it stands for; the legend names it. */
  readonly level?: { readonly value: number; readonly name: string };
}

/** Panels in rows. */
export interface PlotGrid {
  readonly title: string;
  readonly panels: readonly LinePlot[];
  readonly columns: number;
}

const [WIDTH, HEIGHT] = [400, 280] as const;
const FIELD: Field = { left: 58, right: WIDTH - 16, top: 34, bottom: HEIGHT - 44 };
const [MARGIN, TITLE, LEGEND_ROW, SAMPLE] = [16, 38, 20, 30] as const;
/** The width of a letter, generously. */
const LETTER = 7;
const DASHES = ["", "7 3", "2 3", "9 3 2 3"] as const;

interface Look {
  readonly colour: number;
  readonly dash: string;
  /** Null: no marks. */
  readonly mark: number | null;
}

function lookOf(index: number, dashed: boolean): Look {
  const colour = index % COLOURS;
  if (dashed) return { colour, dash: "4 4", mark: null };
  const round = Math.floor(index / COLOURS);
  return { colour, dash: DASHES[round % DASHES.length] as string, mark: (index + round) % MARKS.length };
}

/** Every name looks the same in all panels; of a name that has several colours, this is the look of its entry in the legend. */
function looks(panels: readonly LinePlot[]): ReadonlyMap<string, Look> {
  const all = new Map(panels.flatMap(({ series }) => series).map((series) => [series.name, series]));
  return new Map(
    [...all.values()].map(({ name, colour, dashed = false }, index) => [name, lookOf(colour ?? index, dashed)]),
  );
}

const MARKS: readonly ((x: number, y: number) => string)[] = [
  (x, y) => element("circle", { cx: x, cy: y, r: 3, class: "mark" }),
  (x, y) => element("rect", { x: x - 2.8, y: y - 2.8, width: 5.6, height: 5.6, class: "mark solid" }),
  (x, y) => element("path", { d: `M${place(x)} ${place(y - 3.8)}l3.6 6.4h-7.2z`, class: "mark" }),
  (x, y) => element("path", { d: `M${place(x)} ${place(y - 4)}l4 4-4 4-4-4z`, class: "mark solid" }),
];

function markAt({ mark }: Look, x: number, y: number): string {
  return mark === null ? "" : (MARKS[mark] as (typeof MARKS)[number])(x, y);
}

function stroke({ dash, mark }: Look): Record<string, string> {
  const name = mark === null ? "line thin" : "line";
  return dash === "" ? { class: name } : { class: name, "stroke-dasharray": dash };
}

function text(x: number, y: number, content: string, more: Readonly<Record<string, string>> = {}): string {
  return element("text", { x, y, ...more }, escapeMarkup(content));
}

function frameOf({ series, x, y, level }: LinePlot): Frame {
  const points = series.flatMap((one) => one.points).filter((point) => point.y !== null);
  const include = [...(y.include ?? []), ...(level === undefined ? [] : [level.value])];
  const across = { ...x, values: points.map((point) => point.x) };
  return frameFor(FIELD, across, { ...y, include, values: points.map((point) => point.y as number) });
}

function axes({ x, y, title }: LinePlot, frame: Frame): string {
  const { left, right, top, bottom } = FIELD;
  const rules = frame.yTicks.map((tick) => {
    const at = frame.y(tick);
    const label = text(left - 8, at + 4, tickText(tick), { "text-anchor": "end" });
    return element("line", { x1: left, x2: right, y1: at, y2: at, class: "rule" }) + label;
  });
  const feet = frame.xTicks.map((tick) => {
    const at = frame.x(tick);
    const foot = element("line", { x1: at, x2: at, y1: bottom, y2: bottom + 4, class: "axis" });
    return foot + text(at, bottom + 17, tickText(tick), { "text-anchor": "middle" });
  });
  const middle = (top + bottom) / 2;
  const upright = { "text-anchor": "middle", transform: `rotate(-90 14 ${place(middle)})` };
  return [
    text(left, 18, title, { class: "head" }),
    ...rules,
    element("line", { x1: left, x2: right, y1: bottom, y2: bottom, class: "axis" }),
    ...feet,
    text((left + right) / 2, HEIGHT - 8, x.label, { "text-anchor": "middle" }),
    text(14, middle, y.label, upright),
  ].join("");
}

/** How far a line without marks reaches to both sides of a point that has no neighbour. */
const LONE = 12;

function lineOf({ name, points, colour, dashed = false }: Series, named: Look, frame: Frame): string {
  const look = colour === undefined ? named : lookOf(colour, dashed);
  const there = points.filter((point) => point.y !== null);
  const places = there.map((point): [number, number] => [frame.x(point.x), frame.y(point.y as number)]);
  const path = places.map(([x, y], index) => `${index === 0 ? "M" : "L"}${place(x)} ${place(y)}`).join("");
  if (path === "") return "";
  const lone = places.length === 1 && look.mark === null ? `m${-LONE} 0h${2 * LONE}` : "";
  const line = element("path", { d: path + lone, ...stroke(look) });
  const content = [element("title", {}, escapeMarkup(name)), line, ...places.map(([x, y]) => markAt(look, x, y))];
  return element("g", { class: `c${look.colour}` }, content.join(""));
}

function levelOf({ level }: LinePlot, frame: Frame): string {
  if (level === undefined) return "";
  const y = frame.y(level.value);
  return element("line", { x1: FIELD.left, x2: FIELD.right, y1: y, y2: y, class: "level" });
}

function panelText(plot: LinePlot, styles: ReadonlyMap<string, Look>): string {
  const frame = frameOf(plot);
  const lines = plot.series.map((series) => lineOf(series, styles.get(series.name) as Look, frame));
  return axes(plot, frame) + levelOf(plot, frame) + lines.join("");
}

/** Names of the legend with how they are drawn: what is compared, what it is compared with, and levels, which have no look of their own. */
function entriesOf(panels: readonly LinePlot[], styles: ReadonlyMap<string, Look>): [string, Look | null][] {
  const sorted = [...styles].toSorted(([, a], [, b]) => Number(a.mark === null) - Number(b.mark === null));
  const levels = new Set(panels.flatMap(({ level }) => level?.name ?? []));
  return [...sorted, ...Array.from(levels, (name): [string, null] => [name, null])];
}

function sampleOf(look: Look | null, x: number, y: number): string {
  if (look === null) return element("line", { x1: x, x2: x + SAMPLE, y1: y, y2: y, class: "level" });
  const line = element("path", { d: `M${place(x)} ${place(y)}h${SAMPLE}`, ...stroke(look) });
  const colour = look.mark === null ? "neutral" : `c${look.colour}`;
  return element("g", { class: colour }, line + markAt(look, x + SAMPLE / 2, y));
}

/** The legend in columns as wide as its longest name. */
function legend(
  entries: readonly (readonly [string, Look | null])[],
  width: number,
  top: number,
): { svg: string; height: number } {
  const longest = entries.reduce((most, [name]) => Math.max(most, name.length), 0);
  const cell = SAMPLE + 8 + longest * LETTER + 16;
  const columns = Math.max(1, Math.floor((width - 2 * MARGIN) / cell));
  const svg = entries.map(([name, look], index) => {
    const x = MARGIN + (index % columns) * cell;
    const y = top + Math.floor(index / columns) * LEGEND_ROW + LEGEND_ROW / 2;
    return sampleOf(look, x, y) + text(x + SAMPLE + 8, y + 4, name);
  });
  return { svg: svg.join(""), height: Math.ceil(entries.length / columns) * LEGEND_ROW };
}

/**
 * Draws panels that share a legend. Light or dark follows the reader.
 * @returns a whole SVG document
 */
export function plotGrid({ title, panels, columns }: PlotGrid): string {
  const styles = looks(panels);
  const [across, down] = [Math.min(columns, Math.max(1, panels.length)), Math.ceil(panels.length / columns)];
  const width = across * WIDTH + 2 * MARGIN;
  const bottom = TITLE + down * HEIGHT + 8;
  const names = legend(entriesOf(panels, styles), width, bottom);
  const height = bottom + names.height + MARGIN;
  const placed = panels.map((panel, index) => {
    const [x, y] = [MARGIN + (index % columns) * WIDTH, TITLE + Math.floor(index / columns) * HEIGHT];
    return element("g", { transform: `translate(${place(x)} ${place(y)})` }, panelText(panel, styles));
  });
  const content = [
    element("title", {}, escapeMarkup(title)),
    element("style", {}, plotStyle()),
    text(MARGIN, 26, title, { class: "title" }),
    ...placed,
    names.svg,
  ];
  const size = { width, height, viewBox: `0 0 ${place(width)} ${place(height)}` };
  return `${element("svg", { xmlns: "http://www.w3.org/2000/svg", ...size, role: "img" }, content.join("\n"))}\n`;
}

/** Draws one panel. @returns a whole SVG document */
export function linePlot(plot: LinePlot): string {
  return plotGrid({ title: plot.title, panels: [{ ...plot, title: "" }], columns: 1 });
}
