/** @file One point of a sweep over all batches: the metric, the distance to the dense model, and the share of heavy rows. */

import type { Model } from "../model/model.ts";
import { isScoreFault } from "../model/router-faults.ts";
import type { RunOutput } from "../model/types.ts";
import type { DenseBatch, SweepBatch } from "./batch.ts";
import { rowCount } from "./batch.ts";
import { oracleOf } from "./dense.ts";
import { HIDDEN_ERROR, askedFor, hiddenOf, tallied } from "./metric.ts";
import type { Metric, Tally } from "./metric.ts";
import { policyOf } from "./policy.ts";
import type { PointSettings } from "./settings.ts";

/** A batch with what the dense model made of it. */
export interface ReadyBatch {
  readonly batch: SweepBatch;
  readonly dense: DenseBatch;
}

/** What a point gave. */
export interface Evaluation {
  readonly metrics: Readonly<Record<string, number>>;
  readonly sequences: number;
  readonly tokens: number;
  /** Rows on the heavy path over all rows of all layers. */
  readonly heavyShare: number;
  /** Whether the routers' vectors were given and not drawn. */
  readonly trained: boolean;
  /** Where a number overflowed, in words: there are no measures then. */
  readonly diverged?: string;
}

/** What {@link evaluate} is told besides the point. */
export interface EvaluateOptions {
  readonly metric: Metric;
  readonly signal: AbortSignal;
  /** Called behind every batch with its tokens. */
  readonly onBatch?: (tokens: number) => void;
}

/** Sets the routing of a point; an oracle is one of the batch. */
export function setPoint(model: Model, settings: PointSettings, { batch, dense }: ReadyBatch): void {
  model.setRouting(policyOf(settings, model.host.shape.layers, oracleOf(batch, dense)));
}

/** Runs a batch at a point. */
export async function runPoint(
  model: Model,
  settings: PointSettings,
  ready: ReadyBatch,
  { metric, signal }: EvaluateOptions,
): Promise<RunOutput> {
  setPoint(model, settings, ready);
  const { outputs, capture } = askedFor(metric);
  const routed = settings.router === "dense" ? [] : ["routing"];
  return model.run(ready.batch.input, { outputs: [...routed, ...outputs], capture, signal });
}

/** Σ(h − h₀)² and Σh₀². */
function distance(hidden: Float32Array, dense: Float32Array): [number, number] {
  let [difference, size] = [0, 0];
  for (let at = 0; at < dense.length; at += 1) {
    const expected = dense[at] as number;
    difference += ((hidden[at] as number) - expected) ** 2;
    size += expected ** 2;
  }
  return [difference, size];
}

/** Rows that take the heavy path in a batch, summed over the layers; a dense layer takes all. */
function heavyRows({ routing }: RunOutput, rows: number, layers: number): number {
  if (routing === null) return rows * layers;
  return routing.reduce((sum, layer) => sum + (layer === null ? rows : layer.selected.length), 0);
}

const nothing: Evaluation = { metrics: {}, sequences: 0, tokens: 0, heavyShare: 0, trained: false };

/** Runs a batch at a point; a sentence where a router's scores overflowed, as those of λ = s can without training. */
async function runOrDiverge(
  model: Model,
  settings: PointSettings,
  ready: ReadyBatch,
  options: EvaluateOptions,
): Promise<RunOutput | string> {
  try {
    return await runPoint(model, settings, ready, options);
  } catch (error) {
    if (isScoreFault(error)) return error.message;
    throw error;
  }
}

/**
 * Runs all batches at one point. One that overflows ends with the first batch that does.
 * @throws EngineError as `model.run` does
 */
export async function evaluate(
  model: Model,
  settings: PointSettings,
  batches: readonly ReadyBatch[],
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { layers } = model.host.shape;
  let tally: Tally = { judged: 0, right: 0, labelled: 0, asDense: 0 };
  let [difference, size, heavy, tokens, sequences, trained] = [0, 0, 0, 0, 0, false];
  for (const ready of batches) {
    const output = await runOrDiverge(model, settings, ready, options);
    if (typeof output === "string") return { ...nothing, diverged: output };
    const { batch, dense } = ready;
    const rows = rowCount(batch);
    const [own, whole] = distance(hiddenOf(options.metric, output), dense.hidden);
    if (!Number.isFinite(own)) return { ...nothing, diverged: "the hidden states are not finite" };
    difference += own;
    size += whole;
    heavy += heavyRows(output, rows, layers);
    tokens += rows;
    sequences += batch.rows.length;
    trained ||= output.routing?.some((layer) => layer?.trained === true) === true;
    tally = tallied(tally, batch, dense, options.metric.answers(batch, output));
    options.onBatch?.(rows);
  }
  const error = size === 0 ? 0 : Math.sqrt(difference / size);
  return {
    metrics: { ...options.metric.measures(tally), [HIDDEN_ERROR]: error },
    sequences,
    tokens,
    heavyShare: tokens === 0 ? 1 : heavy / (tokens * layers),
    trained,
  };
}
