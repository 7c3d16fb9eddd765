/** @file Small random checkpoints of every architecture, as folders in memory and as float64 sources of the interpreter. */

import { readTensorFile } from "../src/formats/checkpoint.ts";
import type { Folder } from "../src/formats/folder.ts";
import { writeSafetensors } from "../src/formats/safetensors-writer.ts";
import type { Host } from "../src/hosts/host.ts";
import { buildHost } from "../src/hosts/index.ts";
import { readWeights } from "../src/model/load-weights.ts";
import { normal } from "../src/random.ts";

/** A configuration per architecture, small enough for a software adapter. */
export const tinyConfigs: Readonly<Record<string, Record<string, unknown>>> = {
  bert: {
    model_type: "bert",
    hidden_size: 32,
    num_attention_heads: 4,
    num_hidden_layers: 2,
    intermediate_size: 48,
    max_position_embeddings: 40,
    vocab_size: 30,
    type_vocab_size: 2,
  },
  albert: {
    model_type: "albert",
    hidden_size: 32,
    embedding_size: 16,
    num_attention_heads: 2,
    num_hidden_layers: 3,
    num_hidden_groups: 1,
    intermediate_size: 40,
    max_position_embeddings: 40,
    vocab_size: 30,
    type_vocab_size: 2,
    hidden_act: "gelu",
  },
  t5: {
    model_type: "t5",
    d_model: 32,
    d_kv: 12,
    num_heads: 3,
    num_layers: 2,
    d_ff: 40,
    feed_forward_proj: "gated-gelu",
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 12,
    vocab_size: 30,
  },
  gpt2: { model_type: "gpt2", n_embd: 32, n_head: 2, n_layer: 2, n_positions: 40, vocab_size: 30 },
  kwt: {
    model_type: "kwt",
    hidden_size: 16,
    num_attention_heads: 1,
    num_hidden_layers: 2,
    intermediate_size: 32,
    num_frames: 7,
    num_mel_bins: 6,
    num_mfcc: 5,
    num_dft_bins: 9,
    hop_length: 8,
    position_embeddings: 8,
    norm_position: "post",
    class_token: true,
    qkv_bias: false,
    num_labels: 3,
    sampling_rate: 8000,
  },
};

/** A folder in memory. */
export function memoryFolder(files: Readonly<Record<string, Uint8Array | string>>): Folder {
  const bytes = (name: string): Uint8Array | undefined => {
    const file = files[name];
    return typeof file === "string" ? new TextEncoder().encode(file) : file;
  };
  return {
    name: "memory",
    list: async () => Object.keys(files),
    has: async (name) => name in files,
    read: async (name) => bytes(name) ?? Promise.reject(new Error(`no ${name}`)),
  };
}

/** A random checkpoint. */
export interface TinyModel {
  readonly host: Host;
  readonly config: Record<string, unknown>;
  readonly tensors: Record<string, { shape: readonly number[]; data: Float32Array | Int32Array }>;
  readonly folder: Folder;
  /** Values of the resident parameters, by name. */
  readonly parameter: (name: string) => { shape: readonly number[]; data: Float64Array };
}

function draw(name: string, seed: number, count: number): Float32Array {
  // Norm weights near 1 and matrices of a size that keeps activations and scores lively.
  if (/(LayerNorm|norm|ln_?\w*)\.weight$/.test(name)) return normal(seed, count, 0.1, 1);
  if (name === "frontend.log_floor") return new Float32Array(count).fill(1e-6);
  return normal(seed, count, name.endsWith("bias") ? 0.1 : 0.35);
}

/**
 * Makes a checkpoint of an architecture; `extra` overrides configuration fields, `present` names tensors by which a host knows its head.
 */
export function tinyModel(
  family: string,
  extra: Record<string, unknown> = {},
  seed = 1,
  present: readonly string[] = [],
): TinyModel {
  const config = { ...tinyConfigs[family], ...extra };
  const host = buildHost({ config, tensors: new Set(present) }, false);
  const tensors: TinyModel["tensors"] = {};
  let next = seed * 1000;
  for (const part of host.weights.flatMap(({ parts }) => parts)) {
    const count = part.shape.reduce((product, dim) => product * dim, 1);
    tensors[part.tensor] = { shape: part.shape, data: draw(part.tensor, next++, count) };
  }
  for (const { tensor, shape } of host.tables ?? []) {
    const [frames = 0, hops = 0] = shape;
    tensors[tensor] = {
      shape,
      data: Int32Array.from({ length: frames * hops }, (_, i) => Math.floor(i / hops) + (i % hops)),
    };
  }
  const weights = checkpointBytes(tensors);
  const read = readWeights(host, readTensorFile(weights, "model.safetensors").tensors, "tiny");
  return {
    host,
    config,
    tensors,
    folder: memoryFolder({ "config.json": JSON.stringify(config), "model.safetensors": weights }),
    parameter: (name) => {
      const found = read.parameters.get(name);
      if (found === undefined) throw new Error(`no parameter ${name}`);
      return { shape: found.spec.shape, data: Float64Array.from(found.data) };
    },
  };
}

/** Tensors as a safetensors file. */
export function checkpointBytes(tensors: TinyModel["tensors"]): Uint8Array {
  const stored = Object.entries(tensors).map(([name, { shape, data }]) => ({
    name,
    dtype: data instanceof Int32Array ? ("I32" as const) : ("F32" as const),
    shape,
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
  return writeSafetensors(stored);
}
