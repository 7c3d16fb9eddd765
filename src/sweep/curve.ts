/** @file Results of a sweep as curves over r: for plots, and for the routing report. */

import type { CurvePoint } from "../routing/trace-types.ts";
import { recordsInOrder, varying } from "./table.ts";
import type { Manifest, Records } from "./manifest.ts";
import type { PointRecord } from "./record.ts";
import { routerAxes } from "./routers.ts";
import { layersText } from "./settings.ts";
import type { PointSettings } from "./settings.ts";

/** Points of one curve: equal in everything but r and seed. Values are means over the seeds. */
export interface SweepCurve {
  readonly router: string;
  /** Settings besides the router that vary in the sweep, in words; what makes curves comparable. */
  readonly setting: string;
  /** Where the keys of the heavy path come from, in words. */
  readonly attention: string;
  readonly points: readonly Pick<CurvePoint, "reduction" | "value" | "milliseconds" | "speedUp">[];
}

type CurvedPoint = SweepCurve["points"][number];

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function meanOrNull(values: readonly (number | null | undefined)[]): number | null {
  const there = values.filter((value) => typeof value === "number");
  return there.length === 0 ? null : mean(there);
}

function pointOf(reduction: number, records: readonly PointRecord[], metric: string): CurvedPoint {
  const times = records.map(({ milliseconds }) => milliseconds);
  return {
    reduction,
    value: mean(records.map(({ metrics }) => metrics[metric] ?? 0)),
    milliseconds: meanOrNull(times.map((time) => time?.gpu ?? time?.wall)),
    speedUp: meanOrNull(times.map((time) => time?.speedUp)),
  };
}

/** @returns the value for the key, which is made if need be. */
function group<T>(groups: Map<string, T[]>, key: string): T[] {
  const found = groups.get(key) ?? [];
  groups.set(key, found);
  return found;
}

function wordsOf(settings: PointSettings, names: readonly (keyof PointSettings)[]): string {
  const words = names.flatMap((name): string[] => {
    const value = settings[name];
    if (value === null || name === "seed") return [];
    if (name === "layers") return [`layers ${layersText(value as readonly number[])}`];
    return [
      name === "threshold"
        ? `threshold ${String(value)}`
        : name === "softTopK"
          ? `${String(value)} soft top-k`
          : String(value),
    ];
  });
  return words.join(", ");
}

/** The points of r = 1 that stand for every router that is the dense model there, by what else they depend on. */
function denseAtOne(records: readonly PointRecord[]): (settings: PointSettings) => PointRecord | undefined {
  const key = ({ layers, part }: PointSettings): string => JSON.stringify([layers, part]);
  const shared = new Map(
    records
      .filter(({ settings: { router, reduction } }) => reduction === 1 && isDenseAtOne(router))
      .map((record) => [key(record.settings), record]),
  );
  return (settings) => (isDenseAtOne(settings.router) ? shared.get(key(settings)) : undefined);
}

function isDenseAtOne(router: PointSettings["router"]): boolean {
  return router !== "dense" && routerAxes[router].dense;
}

/** @returns the curves of all routed points, in the order of the grid; r ascends in each. */
export function curvesOf(manifest: Manifest, records: Records): readonly SweepCurve[] {
  const ordered = recordsInOrder(manifest, records).filter(
    ({ settings, diverged }) => settings.reduction !== null && diverged === undefined,
  );
  const names = varying(ordered);
  const sharedOf = denseAtOne(ordered);
  const lines = new Map<string, PointRecord[]>();
  for (const record of ordered)
    group(lines, `${record.settings.router}\n${wordsOf(record.settings, names)}`).push(record);
  return [...lines.values()].map((line): SweepCurve => {
    const { settings } = line[0] as PointRecord;
    const byReduction = new Map<number, PointRecord[]>();
    for (const record of line) {
      const reduction = record.settings.reduction as number;
      byReduction.set(reduction, [...(byReduction.get(reduction) ?? []), record]);
    }
    const shared = sharedOf(settings);
    if (shared !== undefined && !byReduction.has(1)) byReduction.set(1, [shared]);
    const reductions = [...byReduction.keys()].sort((a, b) => a - b);
    return {
      router: settings.router,
      setting: wordsOf(settings, names),
      attention: settings.attention ?? (settings.part === "ffn" ? "no keys" : "keys of its own"),
      points: reductions.map((r) => pointOf(r, byReduction.get(r) as PointRecord[], manifest.metric)),
    };
  });
}

/** @returns the curves as the routing report draws them: routers that differ in more than attention carry it in their name. */
export function reportCurve(manifest: Manifest, records: Records): readonly CurvePoint[] {
  const curves = curvesOf(manifest, records);
  return curves.flatMap(({ router, setting, attention, points }) => {
    const more = setting
      .split(", ")
      .filter((word) => word !== "" && word !== attention)
      .join(", ");
    const name = more === "" ? router : `${router} (${more})`;
    return points.map((point): CurvePoint => ({ ...point, router: name, attention, metric: manifest.metric }));
  });
}
