/** @file The dense pass of a sweep: hidden states, answers, and how much every layer changes every row. */

import type { Model } from "../model/model.ts";
import type { RunOutput, Tensor } from "../model/types.ts";
import { selectedCount } from "../routing/selection.ts";
import { offsetsOf } from "./batch.ts";
import type { DenseBatch, SweepBatch } from "./batch.ts";
import { askedFor, hiddenOf } from "./metric.ts";
import type { Metric } from "./metric.ts";
import type { OracleChoice } from "./policy.ts";

/** Names of the values between which a layer's change lies: one layer's output is the next one's input. */
function streamNames(layers: number): readonly string[] {
  return ["layers.0.input", ...Array.from({ length: layers }, (_, layer) => `layers.${layer}.output`)];
}

/** ‖after − before‖ of every row. */
function distances(before: Tensor, after: Tensor): Float32Array {
  const [rows = 0, width = 0] = after.shape;
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let at = row * width; at < (row + 1) * width; at += 1)
      sum += ((after.data[at] as number) - (before.data[at] as number)) ** 2;
    return Math.sqrt(sum);
  });
}

function changesOf(output: RunOutput, names: readonly string[]): Float32Array[] {
  const streams = names.map((name) => output.captures[name] as Tensor);
  return streams.slice(1).map((after, layer) => distances(streams[layer] as Tensor, after));
}

/** Runs a batch through the dense model. `changes`: whether an oracle will ask how much rows change. */
export async function runDense(
  model: Model,
  batch: SweepBatch,
  metric: Metric,
  options: { readonly changes: boolean; readonly signal: AbortSignal },
): Promise<{ readonly dense: DenseBatch; readonly output: RunOutput }> {
  const names = options.changes ? streamNames(model.host.shape.layers) : [];
  model.setRouting(null);
  const asked = askedFor(metric);
  const capture = [...new Set([...asked.capture, ...names])];
  const output = await model.run(batch.input, { ...asked, capture, signal: options.signal });
  const changes = options.changes ? changesOf(output, names) : null;
  const dense = { hidden: hiddenOf(metric, output), answers: metric.answers(batch, output), changes };
  return { dense, output };
}

/**
 * The oracle of a batch: the k = ceil(n / r) rows of a sequence that the layer changes most in the dense model, ties to the lower row.
 */
export function oracleOf(batch: SweepBatch, { changes }: DenseBatch): OracleChoice {
  if (changes === null) return () => [];
  const offsets = offsetsOf(batch);
  return (sequence, layer, reduction) => {
    const [from, to] = [offsets[sequence] as number, offsets[sequence + 1] as number];
    const own = (changes[layer] as Float32Array).subarray(from, to);
    const order = Array.from(own, (_, row) => row).sort((a, b) => (own[b] as number) - (own[a] as number) || a - b);
    return order.slice(0, selectedCount(own.length, reduction)).sort((a, b) => a - b);
  };
}
