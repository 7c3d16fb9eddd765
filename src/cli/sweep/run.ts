/** @file Computes the points of a sweep that are not there yet: the dense pass once, then point by point. */

import type { Model } from "../../model/model.ts";
import { confidenceError, prepublish } from "../../sweep/confidence.ts";
import type { PublishedSet } from "../../sweep/confidence.ts";
import type { SweepBatch } from "../../sweep/batch.ts";
import { rowCount } from "../../sweep/batch.ts";
import type { SweepConfig } from "../../sweep/config.ts";
import { runDense } from "../../sweep/dense.ts";
import { evaluate } from "../../sweep/evaluate.ts";
import type { EvaluateOptions, ReadyBatch } from "../../sweep/evaluate.ts";
import type { GridPoint } from "../../sweep/grid.ts";
import { CONFIDENCE_ERROR } from "../../sweep/metric.ts";
import type { Metric } from "../../sweep/metric.ts";
import type { PublishedReaction } from "../../sweep/reaction.ts";
import type { Fingerprint, PointRecord } from "../../sweep/record.ts";
import { settingsText } from "../../sweep/settings.ts";
import { flopRatioOf, timePoint } from "../../sweep/timing.ts";
import type { Io } from "../command.ts";
import type { DeviceRecord } from "../device.ts";
import { startProgress } from "../progress.ts";
import { formatTime } from "../text.ts";

/** Everything that the points of one process share. */
export interface SweepWork {
  readonly model: Model;
  readonly config: SweepConfig;
  readonly metric: Metric;
  readonly batches: readonly SweepBatch[];
  readonly published: readonly PublishedReaction[];
  readonly fingerprint: Fingerprint;
  readonly device: DeviceRecord;
}

/** Batches with their dense results, and how long those took. */
interface Prepared {
  readonly ready: readonly ReadyBatch[];
  readonly published: PublishedSet | null;
  readonly milliseconds: number;
}

async function densePass(work: SweepWork, changes: boolean, options: EvaluateOptions, io: Io): Promise<Prepared> {
  const { model, batches, metric, config } = work;
  const progress = startProgress(
    io,
    "dense",
    batches.reduce((sum, batch) => sum + rowCount(batch), 0),
    "tokens",
  );
  const ready: ReadyBatch[] = [];
  const start = performance.now();
  let done = 0;
  try {
    for (const batch of batches) {
      progress.update(done);
      const { dense } = await runDense(model, batch, metric, { changes, signal: options.signal });
      ready.push({ batch, dense });
      done += rowCount(batch);
    }
  } finally {
    progress.finish();
  }
  const milliseconds = performance.now() - start;
  const { task } = config;
  const published =
    task.metric === "mapping-agreement" && work.published.length > 0
      ? await prepublish(model, work.published, task, { ...options, changes })
      : null;
  return { ready, published, milliseconds };
}

/** A guess needs no more digits than it deserves. */
function roughTime(milliseconds: number): string {
  const minutes = milliseconds / 60_000;
  if (minutes < 2) return formatTime(milliseconds);
  return minutes < 120 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

/** A guess from the dense pass: a routed layer takes 1 / r of the time, and the timed batches come on top. */
function estimate(work: SweepWork, points: readonly GridPoint[], milliseconds: number): number {
  const { layers } = work.model.host.shape;
  const timed = work.config.timed === 0 ? 0 : (work.config.timed + 1) / work.batches.length;
  return points.reduce((sum, { settings }) => {
    const routed = (settings.layers?.length ?? 0) / layers;
    const share = 1 - routed + routed / (settings.reduction ?? 1);
    return sum + milliseconds * (share + timed * (1 + share));
  }, 0);
}

async function computePoint(
  work: SweepWork,
  { id, settings }: GridPoint,
  { ready, published }: Prepared,
  options: EvaluateOptions,
): Promise<PointRecord> {
  const { model, config, fingerprint, device } = work;
  const { metrics, ...found } = await evaluate(model, settings, ready, options);
  const confidence =
    published === null || found.diverged !== undefined
      ? {}
      : { [CONFIDENCE_ERROR]: await confidenceError(model, settings, published, options) };
  const [first] = ready;
  return {
    format: "adapters-webgpu/sweep-point",
    version: 1,
    id,
    settings,
    fingerprint,
    ...found,
    metrics: { ...metrics, ...confidence },
    flopRatio: first === undefined ? 1 : await flopRatioOf(model, settings, first, options),
    milliseconds:
      found.diverged === undefined
        ? await timePoint(model, settings, ready, { ...options, count: config.timed })
        : null,
    device: { ...device },
  };
}

/**
 * Computes points, one after the other; each is handed to `finished` before the next begins.
 * @throws EngineError as `model.run` does; the signal's reason when it is aborted between two batches
 */
export async function computePoints(
  work: SweepWork,
  points: readonly GridPoint[],
  finished: (record: PointRecord) => Promise<void>,
  io: Io,
): Promise<void> {
  const changes = points.some(({ settings }) => settings.router === "oracle");
  const plain: EvaluateOptions = { metric: work.metric, signal: io.signal };
  const prepared = await densePass(work, changes, plain, io);
  const { milliseconds } = prepared;
  const left = roughTime(estimate(work, points, milliseconds));
  io.stderr.write(`the dense pass took ${formatTime(milliseconds)}; ${points.length} points will take about ${left}\n`);
  const tokens = work.batches.reduce((sum, batch) => sum + rowCount(batch), 0);
  const progress = startProgress(io, "sweep", tokens * points.length, "tokens");
  let done = 0;
  try {
    for (const point of points) {
      const note = settingsText(point.settings);
      progress.update(done, note);
      const onBatch = (count: number): void => progress.update((done += count), note);
      await finished(await computePoint(work, point, prepared, { ...plain, onBatch }));
    }
  } finally {
    progress.finish();
  }
}
