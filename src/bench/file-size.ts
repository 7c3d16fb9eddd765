/** @file Bytes of an adapter's files against those of its full model at equal precision, both really written. */

import { readAdapterConfig } from "../adapters/config/read.ts";
import { expectedTensors } from "../adapters/config/shapes.ts";
import { writeAdapterFolder } from "../formats/adapter-hub/write-adapter.ts";
import { writeSafetensors } from "../formats/safetensors-writer.ts";
import { buildHost } from "../hosts/index.ts";
import type { Host } from "../hosts/host.ts";

/** The published configuration of BERT-base. */
export const bertBaseConfig = {
  model_type: "bert",
  hidden_size: 768,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  intermediate_size: 3072,
  max_position_embeddings: 512,
  vocab_size: 30_522,
  type_vocab_size: 2,
};

/** Bytes of both. */
export interface FileSizes {
  /** Configuration and weights of the adapter. */
  readonly adapter: number;
  /** The safetensors file of the model; its config.json is left out, to the model's favour. */
  readonly model: number;
}

/** Writes a Pfeiffer adapter of reduction factor 16 and BERT-base without its pooler, in f32, and counts. */
export function fileSizes(): FileSizes {
  const host = buildHost({ config: bertBaseConfig, tensors: new Set() }, false);
  return { adapter: adapterBytes(host), model: modelBytes(host) };
}

function adapterBytes({ shape }: Host): number {
  const config = readAdapterConfig("pfeiffer", shape);
  const tensors = new Map(
    [...expectedTensors(config, shape)].map(([name, axes]) => {
      const data = new Float32Array(axes.reduce((product, axis) => product * axis, 1));
      return [name, { shape: axes, data }] as const;
    }),
  );
  const files = writeAdapterFolder(
    { format: "hub", config: { ...config, preset: "seq_bn" }, tensors, hiddenSize: shape.width },
    { family: "bert", name: "adapter", weights: "safetensors" },
  );
  return [...files.values()].reduce((sum, { length }) => sum + length, 0);
}

function modelBytes({ weights }: Host): number {
  const parts = weights.flatMap((spec) => spec.parts);
  const tensors = parts.map(({ tensor, shape }) => {
    const bytes = new Uint8Array(4 * shape.reduce((product, axis) => product * axis, 1));
    return { name: tensor, dtype: "F32" as const, shape, bytes };
  });
  return writeSafetensors(tensors, { format: "pt" }).length;
}
