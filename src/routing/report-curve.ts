/** @file Quality and time against the reduction factor: small line charts with their numbers in a table. */

import { escapeMarkup } from "../plot/escape.ts";
import { frameFor } from "../plot/frame.ts";
import type { Field, Frame } from "../plot/frame.ts";
import { scaleFor } from "../plot/scale.ts";
import { numeral, scrolling, section, shorten } from "./report-html.ts";
import { SERIES } from "./report-palette.ts";
import type { CurvePoint } from "./trace-types.ts";

const [WIDTH, HEIGHT] = [440, 250] as const;
const FIELD: Field = { left: 46, right: WIDTH - 14, top: 14, bottom: HEIGHT - 40 };

/** Points of one router with one form of attention. */
interface Series {
  readonly name: string;
  /** Colour, and beyond the last colour also the dash. */
  readonly index: number;
  readonly points: readonly CurvePoint[];
}

function seriesOf(curve: readonly CurvePoint[]): Series[] {
  const attentions = new Set(curve.map(({ attention }) => attention));
  const byName = new Map<string, CurvePoint[]>();
  for (const point of curve) {
    const name = attentions.size === 1 ? point.router : `${point.router} · ${point.attention}`;
    byName.set(name, [...(byName.get(name) ?? []), point]);
  }
  return Array.from(byName, ([name, points], index) => ({ name, index, points }));
}

interface Chart {
  readonly title: string;
  readonly series: readonly Series[];
  readonly valueOf: (point: CurvePoint) => number | null;
  /** Whether the axis begins at 0. */
  readonly fromZero: boolean;
}

/** Factors that have a tick each; more of them would crowd. */
const MOST_TICKS = 10;

/** Null where no point has a value. */
function frameOf({ series, valueOf, fromZero }: Chart): Frame | null {
  const points = series.flatMap((one) => one.points);
  const values = points.map(valueOf).filter((value) => value !== null);
  if (values.length === 0) return null;
  const reductions = [...new Set(points.map(({ reduction }) => reduction))].sort((a, b) => a - b);
  const [first, last] = [reductions[0] as number, reductions.at(-1) as number];
  const round = scaleFor(reductions).ticks.filter((tick) => tick >= first && tick <= last);
  const x = { values: reductions, ticks: reductions.length <= MOST_TICKS ? reductions : round };
  return frameFor(FIELD, x, { values, include: fromZero ? [0] : [] });
}

function renderAxes({ x, y, xTicks, yTicks }: Frame): string {
  const { left, right, bottom } = FIELD;
  const grid = yTicks.map((tick) => `M${left} ${y(tick).toFixed(1)}H${right}`).join("");
  const rows = yTicks.map(
    (tick) => `<text x="${left - 8}" y="${(y(tick) + 4).toFixed(1)}" text-anchor="end">${numeral(tick, 6)}</text>`,
  );
  const columns = xTicks.map(
    (tick) => `<text x="${x(tick).toFixed(1)}" y="${bottom + 18}" text-anchor="middle">${numeral(tick)}</text>`,
  );
  const name = `<text x="${(left + right) / 2}" y="${HEIGHT - 4}" text-anchor="middle">reduction r</text>`;
  return `<path class="grid" d="${grid}"/><g aria-hidden="true">${rows.join("")}${columns.join("")}${name}</g>`;
}

/** A line through the mean of each factor, and a circle per point. */
function renderSeries({ name, index, points }: Series, valueOf: Chart["valueOf"], { x, y }: Frame): string {
  const known = points.flatMap((point) => {
    const value = valueOf(point);
    return value === null ? [] : [{ reduction: point.reduction, value }];
  });
  const byReduction = new Map<number, number[]>();
  for (const { reduction, value } of known) byReduction.set(reduction, [...(byReduction.get(reduction) ?? []), value]);
  const line = [...byReduction]
    .sort(([a], [b]) => a - b)
    .map(([reduction, values]) => {
      const mean = values.reduce((sum, value) => sum + value / values.length, 0);
      return `${x(reduction).toFixed(1)} ${y(mean).toFixed(1)}`;
    });
  const circles = known.map(({ reduction, value }) => {
    const tip = `${escapeMarkup(name)}, r = ${numeral(reduction)}: ${numeral(value, 5)}`;
    return `<circle cx="${x(reduction).toFixed(1)}" cy="${y(value).toFixed(1)}" r="4"><title>${tip}</title></circle>`;
  });
  return `<g class="${seriesClass(index)}"><path d="M${line.join("L")}"/>${circles.join("")}</g>`;
}

function seriesClass(index: number): string {
  return `series c${index % SERIES} d${Math.floor(index / SERIES) % 3}`;
}

function renderChart(chart: Chart): string {
  const frame = frameOf(chart);
  if (frame === null) return "";
  const names = chart.series.map(({ name }) => name).join(", ");
  const label = `${chart.title} against the reduction factor for ${names}. The numbers are in the table below.`;
  return [
    `<figure><figcaption>${escapeMarkup(shorten(chart.title, 60))}</figcaption>`,
    `<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeMarkup(label)}">`,
    renderAxes(frame),
    ...chart.series.map((series) => renderSeries(series, chart.valueOf, frame)),
    "</svg></figure>",
  ].join("");
}

function renderTable(curve: readonly CurvePoint[]): string {
  const rows = curve.map(({ router, attention, reduction, metric, value, milliseconds, speedUp }) => {
    const words = [router, attention, metric].map((word) => `<td class="word">${escapeMarkup(shorten(word, 40))}</td>`);
    const cells = [reduction, value, milliseconds, speedUp].map(
      (number) => `<td>${number === null ? "–" : numeral(number, 5)}</td>`,
    );
    return `<tr>${words.join("")}${cells.join("")}</tr>`;
  });
  const heads = ["Router", "Attention", "Measure", "r", "Value", "ms", "Speed-up"].map((head, i) =>
    i < 3 ? `<th scope="col" class="word">${head}</th>` : `<th scope="col">${head}</th>`,
  );
  const table = `<table><thead><tr>${heads.join("")}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`;
  return `<details><summary>The numbers</summary>${scrolling("Table of the sweep", table)}</details>`;
}

/** One chart per measure of quality, and one of time, or of speed-up where only that is known. */
export function renderCurve(curve: readonly CurvePoint[]): string {
  if (curve.length === 0) return "";
  const all = seriesOf(curve);
  const metrics = [...new Set(curve.map(({ metric }) => metric))];
  const only = (metric: string): Series[] =>
    all.map((series) => ({ ...series, points: series.points.filter((point) => point.metric === metric) }));
  const quality = metrics.map((metric) =>
    renderChart({ title: metric, series: only(metric), valueOf: ({ value }) => value, fromZero: false }),
  );
  // A pass has one time, however many measures were taken of its results.
  const timed = only(metrics[0] as string);
  const clock = timed.some(({ points }) => points.some(({ milliseconds }) => milliseconds !== null));
  const time = renderChart({
    title: clock ? "milliseconds" : "speed-up over dense",
    series: timed,
    valueOf: (point) => (clock ? point.milliseconds : point.speedUp),
    fromZero: true,
  });
  const key = all.map(
    ({ name, index }) =>
      `<li><svg class="sample" viewBox="0 0 28 10" aria-hidden="true"><g class="${seriesClass(index)}"><path d="M1 5H27"/><circle cx="14" cy="5" r="4"/></g></svg>${escapeMarkup(shorten(name, 48))}</li>`,
  );
  return section(
    "curve",
    time === "" ? "Quality against r" : "Quality and time against r",
    "What a sweep over reduction factors gave: a point per run, a line through their means.",
    `<div class="charts">${quality.join("")}${time}</div>`,
    `<ul class="key">${key.join("")}</ul>`,
    renderTable(curve),
  );
}
