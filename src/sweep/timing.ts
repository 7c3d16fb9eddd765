/** @file Times of a point: the same batches dense and routed in turns, without captures, after one run of each that is not counted. */

import type { Model } from "../model/model.ts";
import { rowCount } from "./batch.ts";
import { setPoint } from "./evaluate.ts";
import type { EvaluateOptions, ReadyBatch } from "./evaluate.ts";
import type { PointTime, PointTiming } from "./record.ts";
import { densePoint } from "./settings.ts";
import type { PointSettings } from "./settings.ts";

async function timeOf(
  model: Model,
  settings: PointSettings,
  ready: ReadyBatch,
  options: EvaluateOptions,
): Promise<PointTime> {
  const { metric, signal } = options;
  setPoint(model, settings, ready);
  const { timing } = await model.run(ready.batch.input, { outputs: ["hidden", ...metric.outputs], signal });
  return { gpu: timing.gpu, wall: timing.wall };
}

function sum(a: PointTime, b: PointTime): PointTime {
  return { gpu: a.gpu === null || b.gpu === null ? null : a.gpu + b.gpu, wall: a.wall + b.wall };
}

/**
 * Times the first `count` batches of a sweep at a point against the dense model.
 * @returns null for a count of 0
 */
export async function timePoint(
  model: Model,
  settings: PointSettings,
  batches: readonly ReadyBatch[],
  options: EvaluateOptions & { readonly count: number },
): Promise<PointTiming | null> {
  const timed = batches.slice(0, options.count);
  const [first, ...others] = timed;
  if (first === undefined) return null;
  // The largest batch makes plans that hold the others, so that none of those is timed while it compiles.
  const largest = others.reduce((most, ready) => (rowCount(ready.batch) > rowCount(most.batch) ? ready : most), first);
  const routed = settings.router !== "dense";
  for (const point of routed ? [densePoint, settings] : [densePoint]) await timeOf(model, point, largest, options);
  let dense: PointTime = { gpu: 0, wall: 0 };
  let own: PointTime = { gpu: 0, wall: 0 };
  for (const ready of timed) {
    dense = sum(dense, await timeOf(model, densePoint, ready, options));
    if (routed) own = sum(own, await timeOf(model, settings, ready, options));
  }
  if (!routed) own = dense;
  const [above, below] = dense.gpu === null || own.gpu === null ? [dense.wall, own.wall] : [dense.gpu, own.gpu];
  return {
    ...own,
    dense,
    batches: timed.length,
    tokens: timed.reduce((total, { batch }) => total + rowCount(batch), 0),
    speedUp: below > 0 ? above / below : 1,
  };
}

/** FLOPs of the dense plan over those of a point, counted from the plans on one batch. */
export async function flopRatioOf(
  model: Model,
  settings: PointSettings,
  ready: ReadyBatch,
  { metric }: EvaluateOptions,
): Promise<number> {
  const outputs = ["hidden", ...metric.outputs];
  model.setRouting(null);
  const dense = await model.explain(ready.batch.rows, { outputs });
  setPoint(model, settings, ready);
  const own = await model.explain(ready.batch.rows, { outputs });
  return own.flops > 0 ? dense.flops / own.flops : 1;
}
