/** @file The plot of a sweep: the measure and the speed-up against r, one line a router, one row of panels per other setting. */

import { plotGrid } from "../plot/line-plot.ts";
import type { Axis, LinePlot, Series } from "../plot/line-plot.ts";
import { curvesOf } from "./curve.ts";
import type { SweepCurve } from "./curve.ts";
import type { Manifest, Records } from "./manifest.ts";

const byRouter =
  (value: (point: SweepCurve["points"][number]) => number | null) =>
  ({ router, points }: SweepCurve): Series => ({
    name: router,
    points: points.map((point) => ({ x: point.reduction, y: value(point) })),
  });

/**
 * Panels of one setting. A router that has no such setting, as CoLT5's has no choice of attention, is drawn in every row that it can be
 * compared with.
 */
function rowOf(
  setting: string,
  curves: readonly SweepCurve[],
  {
    metric,
    dense,
    all,
  }: { readonly metric: string; readonly dense: number | null; readonly all: readonly SweepCurve[] },
): LinePlot[] {
  const reductions = [...new Set(curves.flatMap(({ points }) => points.map(({ reduction }) => reduction)))].sort(
    (a, b) => a - b,
  );
  const x: Axis = { label: "reduction factor r", ticks: reductions };
  // All rows have the same axes, so that they can be compared.
  const values = all.flatMap(({ points }) => points.map(({ value }) => value));
  const speeds = all.flatMap(({ points }) => points.flatMap(({ speedUp }) => speedUp ?? []));
  const measure: LinePlot = {
    title: setting,
    series: curves.map(byRouter(({ value }) => value)),
    x,
    y: { label: metric, include: values },
    ...(dense === null ? {} : { level: { value: dense, name: "dense" } }),
  };
  const times = curves.map(byRouter(({ speedUp }) => speedUp));
  if (times.every(({ points }) => points.every(({ y }) => y === null))) return [measure];
  const speed: LinePlot = {
    title: "",
    series: times,
    x,
    y: { label: "speed-up over dense", include: speeds },
    level: { value: 1, name: "dense" },
  };
  return [measure, speed];
}

/** Whether the words of one setting are all among those of another. */
function within(part: string, whole: string): boolean {
  const words = whole.split(", ");
  return part === "" || part.split(", ").every((word) => words.includes(word));
}

/** @returns the content of `plot.svg`. */
export function sweepPlot(manifest: Manifest, records: Records): string {
  const curves = curvesOf(manifest, records);
  const dense =
    [...records.values()].find(({ settings }) => settings.router === "dense")?.metrics[manifest.metric] ?? null;
  const settings = [...new Set(curves.map(({ setting }) => setting))];
  const rows = settings.filter((setting) => !settings.some((other) => other !== setting && within(setting, other)));
  const panels = rows.map((setting) =>
    rowOf(
      setting,
      curves.filter((curve) => within(curve.setting, setting)),
      { metric: manifest.metric, dense, all: curves },
    ),
  );
  const columns = panels.reduce((most, row) => Math.max(most, row.length), 1);
  return plotGrid({ title: manifest.name, panels: panels.flat(), columns });
}
