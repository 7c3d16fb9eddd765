/** @file Adapters with weights large enough to matter, and what tests of whole models ask of results and of the GPU. */

import { readAdapterConfig } from "../../src/adapters/config/read.ts";
import { expectedTensors } from "../../src/adapters/config/shapes.ts";
import type { AdapterHost } from "../../src/adapters/config/types.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { PlainTensors } from "../../src/model/folders.ts";
import type { RunInput, RunOutput, Tensor } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";

/** A configuration as callers write it. */
export type RawAdapter = string | Readonly<Record<string, unknown>>;

/** A configuration with tensors that fit it. */
export interface LivelyAdapter {
  readonly config: RawAdapter;
  readonly tensors: PlainTensors;
}

/** IA³ on keys, values and the first feed-forward matrix, as the library's preset has it. */
export const ia3: Readonly<Record<string, unknown>> = {
  architecture: "lora",
  composition_mode: "scale",
  r: 1,
  alpha: 1,
  init_weights: "ia3",
  attn_matrices: ["k", "v"],
  intermediate_lora: true,
};

/** A number that depends on every character. */
function hash(text: string): number {
  return [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 1_000_003, 7);
}

/**
 * An adapter with random tensors, every one drawn from its own name and the seed, so that adapters that share names share
 * weights there. Vectors that multiply stand around 1.
 */
export function lively(host: AdapterHost, config: RawAdapter, seed: number): LivelyAdapter {
  const tensors: Record<string, { shape: readonly number[]; data: Float32Array }> = {};
  for (const [name, shape] of expectedTensors(readAdapterConfig(config, host), host)) {
    const count = shape.reduce((product, extent) => product * extent, 1);
    const factor = /(norm_\w+\.weight|scaling|\.m\.weight|lora_B)$/.test(name) && shape.length <= 2 && count <= 128;
    tensors[name] = { shape, data: normal(seed * 7919 + hash(name), count, 0.2, factor ? 1 : 0) };
  }
  return { config, tensors };
}

/** Ragged sequences of token ids below 30. */
export function idsOf(lengths: readonly number[], seed = 5): RunInput & { ids: number[][] } {
  return { ids: lengths.map((n, i) => Array.from({ length: n }, (_, t) => (t * 7 + i * 3 + seed) % 30)) };
}

/** The rows of the last hidden state, of all sequences or of one. */
export function hiddenOf({ hidden }: RunOutput, sequence?: number): Float32Array {
  const { data, shape, segments } = hidden as Tensor & { segments: Uint32Array };
  if (sequence === undefined) return data;
  const width = shape[1] as number;
  return data.slice((segments[sequence] as number) * width, (segments[sequence + 1] as number) * width);
}

/** What a piece of work created, and by how much the memory in use changed. */
export async function createdBy(gpu: Gpu, work: () => Promise<unknown>): Promise<Record<string, number>> {
  const [counters, memory] = [gpu.counters, gpu.memory];
  await work();
  return {
    pipelines: gpu.counters.pipelines - counters.pipelines,
    bindGroups: gpu.counters.bindGroups - counters.bindGroups,
    buffersMade: gpu.counters.buffers - counters.buffers,
    buffers: gpu.memory.buffers - memory.buffers,
    bytes: gpu.memory.bytes - memory.bytes,
  };
}

/** Nothing created, no byte more or less. */
export const NOTHING: Readonly<Record<string, number>> = {
  pipelines: 0,
  bindGroups: 0,
  buffersMade: 0,
  buffers: 0,
  bytes: 0,
};
