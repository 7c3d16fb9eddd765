/**
 * @file Suite `routing`: layers of three shapes dense with the adapter and routed, over lengths and reduction factors; what routing
 * must reach; and from which length on it pays.
 */

import type { Gpu } from "../../gpu/gpu.ts";
import { part } from "../harness.ts";
import type { BenchContext } from "../harness.ts";
import { deviceFields, verificationHeld } from "../report.ts";
import type { ReportRow } from "../report.ts";
import { breakEvenRows, gainCurves } from "../routing-gains.ts";
import { measureUnit } from "../routing-measure.ts";
import { routingPlot } from "../routing-plot.ts";
import { routingParts, routingShapes, routingUnits } from "../routing-units.ts";
import type { RoutingUnit } from "../routing-units.ts";
import type { Suite, SuiteOptions } from "../suite.ts";

const NOTES = [
  "speed-up is over dense + adapter, paired round by round; realised = speed-up / FLOP ratio; FLOP of the plans' own ops (MATHS §1.6).",
  "rows checked: some = at least 32 rows of all tiles in float64; scores, weights and selected rows are always checked in full.",
  "choice of rows: score, soft top-k and top-k; launches timed one by one, medians of several runs.",
];

/** The suite. */
export const routingSuite: Suite = {
  name: "routing",
  summary: "routed layers of three shapes, n 128 … 4096, r 1 … 8: speed-up, FLOP ratio, break-even, cost of choosing",
  parts: routingParts,
  plots: true,
  run: async (gpu, options, context) => {
    const { full, rounds, only } = options;
    const units = routingUnits({ full, software: gpu.info.software, only, rounds });
    const rows: ReportRow[] = [];
    for (const [index, unit] of units.entries()) {
      rows.push(...(await unitRows(gpu, unit, options, part(context, index, units.length))));
    }
    const curves = gainCurves(
      rows,
      routingShapes.map(({ name }) => name),
    );
    const plot = routingPlot(curves, routingShapes, deviceFields(gpu).device);
    const counts = units.map((unit) => unit.rounds);
    const settings = {
      shapes: Object.fromEntries(units.map(({ shape }) => [shape.name, shape.sizes])),
      units: Object.fromEntries(units.map((unit) => [unit.id, { tokens: unit.tokens, rounds: unit.rounds }])),
      warmup: 0,
      rounds: [...new Set([Math.min(...counts), Math.max(...counts)])].join(" to "),
      full,
      ...(only === undefined ? {} : { only }),
    };
    return {
      rows: [...rows, ...breakEvenRows(curves)],
      notes: NOTES,
      settings,
      ...(plot === undefined ? {} : { plot }),
    };
  },
};

/** The rows of a unit: those of an earlier start, or measured now and kept. */
async function unitRows(
  gpu: Gpu,
  unit: RoutingUnit,
  { journal }: SuiteOptions,
  context: BenchContext,
): Promise<readonly ReportRow[]> {
  const kept = journal?.find(unit.id);
  if (kept !== undefined) return kept;
  context.signal?.throwIfAborted();
  const rows = await measureUnit(gpu, unit, context);
  // A wrong result is no finished one.
  if (verificationHeld(rows)) await journal?.keep(unit.id, rows);
  return rows;
}
