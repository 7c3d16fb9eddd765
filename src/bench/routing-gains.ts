/** @file What the rows of the suite `routing` say together: speed-up by length, and from which length on routing pays. */

import type { ReportRow } from "./report.ts";

/** One measured cell. */
export interface GainPoint {
  readonly n: number;
  readonly speedUp: number;
  readonly flopRatio: number;
}

/** All lengths of one routed form, ascending. */
export interface GainCurve {
  readonly part: string;
  readonly attention: string;
  readonly reduction: number;
  readonly points: readonly GainPoint[];
}

/** @returns the curves of the parts that have tables, in the order of the rows. */
export function gainCurves(rows: readonly ReportRow[], parts: readonly string[]): readonly GainCurve[] {
  const curves = new Map<string, Omit<GainCurve, "points"> & { readonly points: GainPoint[] }>();
  for (const { key, cells } of rows) {
    if (key?.r === undefined || !parts.includes(String(key.part))) continue;
    const name = `${key.part} ${key.attention} ${key.r}`;
    const curve = curves.get(name) ?? {
      part: String(key.part),
      attention: String(key.attention),
      reduction: Number(key.r),
      points: [],
    };
    curves.set(name, curve);
    const point = { n: Number(key.n), speedUp: Number(cells["speed-up"]), flopRatio: Number(cells["FLOP ratio"]) };
    // What failed verification has no time.
    if (Number.isFinite(point.speedUp)) curve.points.push(point);
  }
  return [...curves.values()].map((curve) => ({ ...curve, points: curve.points.toSorted((a, b) => a.n - b.n) }));
}

/**
 * The length from which on routing is not slower than dense + adapter: between the last length at which it is and the next, where the
 * speed-up passes 1 if it changes evenly with log n.
 * @returns a length, or in words that it lies outside of those measured
 */
export function breakEven(points: readonly GainPoint[]): number | string {
  const last = points.findLastIndex(({ speedUp }) => speedUp < 1);
  const [below, above] = [points[last], points[last + 1]];
  if (below === undefined) return above === undefined ? "–" : `<= ${above.n}`;
  if (above === undefined) return `> ${below.n}`;
  const share = (1 - below.speedUp) / (above.speedUp - below.speedUp);
  return Math.round(below.n * (above.n / below.n) ** share);
}

/** One row per form: with r = 1 nothing is saved that could be earned. */
export function breakEvenRows(curves: readonly GainCurve[]): ReportRow[] {
  return curves
    .filter(({ reduction }) => reduction > 1)
    .map(({ part, attention, reduction, points }) => ({
      suite: "routing",
      table: "Tokens from which on routing pays (batch 1)",
      name: `${part}, routed r = ${reduction}, ${attention}`,
      key: { part, r: reduction, attention },
      cells: {
        "break-even n": breakEven(points),
        measured: points.map(({ n }) => n).join(", "),
      },
    }));
}
