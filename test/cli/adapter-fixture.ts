/** @file Adapters, heads and fusions with random weights for the tiny model of the command line, as folders on disk. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { AdapterHost } from "../../src/adapters/config/types.ts";
import { readAdapterConfig } from "../../src/adapters/config/read.ts";
import { expectedTensors } from "../../src/adapters/config/shapes.ts";
import { expectedFusionTensors, readFusion } from "../../src/adapters/fusion-config.ts";
import { expectedHeadTensors } from "../../src/adapters/heads.ts";
import { readHeadConfig } from "../../src/adapters/heads-config.ts";
import { adapterPresets } from "../../src/adapters/config/presets.ts";
import { writeAdapterFolder } from "../../src/formats/adapter-hub/write-adapter.ts";
import { writeFusionFolder, writeHeadFolder } from "../../src/formats/adapter-hub/write.ts";
import { normal } from "../../src/random.ts";
import { tiny } from "./fixture.ts";

/** The tiny model, as adapters see it. */
export const tinyShape: AdapterHost = {
  layers: tiny.layers,
  width: tiny.width,
  heads: tiny.heads,
  headWidth: tiny.width / tiny.heads,
  ffnWidth: tiny.ffn,
  normPosition: "post",
};

type Shapes = ReadonlyMap<string, readonly number[]>;

function drawn(shapes: Shapes, seed: number): Map<string, { shape: readonly number[]; data: Float32Array }> {
  return new Map(
    [...shapes].map(([name, shape], index) => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      return [name, { shape, data: normal(1000 * seed + index, count, 0.3) }];
    }),
  );
}

async function write(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<string> {
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of files) await writeFile(join(folder, name), bytes);
  return folder;
}

/** Writes an adapter with random weights; `shape` makes it one of another host. */
export async function writeTinyAdapter(
  folder: string,
  preset: string,
  options: { readonly seed?: number; readonly shape?: Partial<AdapterHost> } = {},
): Promise<string> {
  const shape = { ...tinyShape, ...options.shape };
  const tensors = drawn(expectedTensors(readAdapterConfig(preset, shape), shape), options.seed ?? 1);
  const config = adapterPresets[preset] as Record<string, unknown>;
  const adapter = { format: "hub", config, tensors, hiddenSize: shape.width } as const;
  return write(folder, writeAdapterFolder(adapter, { family: "bert", name: "tiny", weights: "safetensors" }));
}

/** Writes LoRA of PEFT on queries and values with random weights. */
export async function writeTinyPeft(folder: string, seed = 1): Promise<string> {
  const rank = 2;
  const names = Array.from({ length: tiny.layers }, (_, layer) => [`layers.${layer}.query.`, `layers.${layer}.value.`]);
  const shapes = names.flat().flatMap((name): [string, readonly number[]][] => [
    [`${name}lora_A`, [rank, tiny.width]],
    [`${name}lora_B`, [tiny.width, rank]],
  ]);
  const modules = Object.fromEntries(names.flat().map((name) => [name.slice(0, -1), { r: rank, alpha: 2 * rank }]));
  const tensors = drawn(new Map(shapes), seed);
  const adapter = { format: "peft", config: { peft_type: "LORA", modules }, tensors, hiddenSize: null } as const;
  return write(folder, writeAdapterFolder(adapter, { family: "bert", name: "tiny", weights: "safetensors" }));
}

/** Writes a head of one layer with random weights. */
export async function writeTinyHead(folder: string, type: string, labels: number, seed = 1): Promise<string> {
  const config = { head_type: type, num_labels: labels, layers: 1, activation_function: null };
  const tensors = drawn(expectedHeadTensors(readHeadConfig(config, tiny.width), tiny.width), seed);
  const head = { config, tensors, hiddenSize: tiny.width };
  return write(folder, writeHeadFolder(head, { family: "bert", name: "tiny", weights: "safetensors" }));
}

/** Writes a fusion at both places of every layer with random weights. */
export async function writeTinyFusion(folder: string, names: readonly string[], seed = 1): Promise<string> {
  const tensors = drawn(expectedFusionTensors(readFusion("dynamic"), tinyShape, ["attention", "ffn"]), seed);
  const fusion = { config: { preset: "dynamic" }, tensors, hiddenSize: tiny.width, names };
  return write(folder, writeFusionFolder(fusion, { family: "bert", weights: "safetensors" }));
}
