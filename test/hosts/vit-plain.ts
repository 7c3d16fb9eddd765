/**
 * @file The forward pass of ViT in plain float64, by its equations and the published tensor names (MATHS §3.3): the patch projection as
 * the convolution that it is, pixel by pixel.
 */

import type { Folder } from "../../src/formats/folder.ts";
import type { RunInput } from "../../src/model/types.ts";
import { normal } from "../../src/random.ts";
import { activate } from "../../src/reference/activation.ts";
import { checkpointBytes, memoryFolder } from "../tiny-models.ts";
import { Plain } from "./bert-plain.ts";
import type { Rows, Tensors } from "./bert-plain.ts";

/** Sizes of a tiny ViT; nothing is square. */
export const SIZES = {
  width: 24,
  heads: 3,
  layers: 2,
  ffn: 40,
  channels: 3,
  height: 8,
  across: 12,
  patch: [4, 3],
  patches: 8,
  labels: 5,
} as const;

/** Its configuration, with fields of published ones that change nothing. */
export const CONFIG: Readonly<Record<string, unknown>> = {
  architectures: ["ViTForImageClassification"],
  model_type: "vit",
  hidden_size: SIZES.width,
  num_hidden_layers: SIZES.layers,
  num_attention_heads: SIZES.heads,
  intermediate_size: SIZES.ffn,
  hidden_act: "gelu",
  hidden_dropout_prob: 0,
  attention_probs_dropout_prob: 0,
  initializer_range: 0.02,
  layer_norm_eps: 1e-12,
  image_size: [SIZES.height, SIZES.across],
  patch_size: SIZES.patch,
  num_channels: SIZES.channels,
  qkv_bias: true,
  encoder_stride: 16,
  id2label: { 0: "a", 1: "b", 2: "c", 3: "d", 4: "e" },
};

const SHAPE = [SIZES.channels, SIZES.height, SIZES.across];
/** Values of an image. */
export const PIXELS: number = SIZES.channels * SIZES.height * SIZES.across;

const BYTES = Uint8Array.from({ length: PIXELS }, (_, i) => (i * 89 + 3) % 256);
/** Floats in [0, 1]. */
export const FLOATS: Float32Array = normal(31, PIXELS, 0.3, 0.5).map((v) => Math.min(1, Math.max(0, v)));
/** Bytes of every value, and floats. */
export const IMAGES: NonNullable<RunInput["images"]> = [BYTES, FLOATS].map((data) => ({ data, shape: SHAPE }));
/** What stands in [0, 1], normalised by Hugging Face's default. */
export const NORMALISED: readonly number[][] = [
  Array.from(BYTES, (v) => (v / 255 - 0.5) / 0.5),
  Array.from(FLOATS, (v) => (v - 0.5) / 0.5),
];

/** A folder in memory; `extra` overrides the configuration, `files` stand beside it. */
export function plainFolder(
  tensors: Tensors,
  extra: Readonly<Record<string, unknown>> = {},
  files: Readonly<Record<string, string>> = {},
): Folder {
  const config = JSON.stringify({ ...CONFIG, ...extra });
  return memoryFolder({ "config.json": config, "model.safetensors": checkpointBytes(tensors), ...files });
}

/** Linear maps of a layer and their modules. */
const MODULES = {
  query: "attention.attention.query",
  key: "attention.attention.key",
  value: "attention.attention.value",
  proj: "attention.output.dense",
  up: "intermediate.dense",
  down: "output.dense",
} as const;

/** A linear map of a layer. */
export type PlainMap = keyof typeof MODULES;

/** What adapters do to a pass. */
export interface PlainHooks {
  readonly linear?: (layer: number, map: PlainMap, x: Rows, y: Rows) => Rows;
  /** The stream after the feed-forward part f, and h that entered it. */
  readonly close?: (layer: number, f: Rows, h: Rows) => Rows;
}

/** A checkpoint with deterministic weights of lively size. */
export function plainCheckpoint(prefix = "vit.", qkvBias = true): Tensors {
  const tensors: Tensors = {};
  let seed = 4000;
  const draw = (name: string, shape: readonly number[], deviation: number, mean = 0): void => {
    const count = shape.reduce((product, dim) => product * dim, 1);
    tensors[name] = { shape, data: normal((seed += 1), count, deviation, mean) };
  };
  const linear = (name: string, out: number, inputs: number, bias = true): void => {
    draw(`${name}.weight`, [out, inputs], 0.35);
    if (bias) draw(`${name}.bias`, [out], 0.2);
  };
  const norm = (name: string): void => {
    draw(`${name}.weight`, [SIZES.width], 0.1, 1);
    draw(`${name}.bias`, [SIZES.width], 0.1);
  };
  const { width, ffn, channels, patch, patches, labels, layers } = SIZES;
  const at = `${prefix}embeddings`;
  draw(`${at}.cls_token`, [1, 1, width], 1);
  draw(`${at}.position_embeddings`, [1, patches + 1, width], 0.5);
  draw(`${at}.patch_embeddings.projection.weight`, [width, channels, ...patch], 0.3);
  draw(`${at}.patch_embeddings.projection.bias`, [width], 0.2);
  for (let layer = 0; layer < layers; layer += 1) {
    const name = `${prefix}encoder.layer.${layer}`;
    for (const map of ["query", "key", "value"] as const) linear(`${name}.${MODULES[map]}`, width, width, qkvBias);
    linear(`${name}.${MODULES.proj}`, width, width);
    linear(`${name}.${MODULES.up}`, ffn, width);
    linear(`${name}.${MODULES.down}`, width, ffn);
    norm(`${name}.layernorm_before`);
    norm(`${name}.layernorm_after`);
  }
  norm(`${prefix}layernorm`);
  linear("classifier", labels, width);
  return tensors;
}

const added = (a: Rows, b: Rows): Rows => a.map((row, r) => row.map((v, c) => v + (b[r]?.[c] as number)));

/** A pass over one image at a time. */
export class PlainVit {
  readonly #plain: Plain;
  readonly #tensors: Tensors;
  readonly #prefix: string;

  constructor(tensors: Tensors, prefix = "vit.") {
    const names = { prefix, layer: "encoder.layer", types: 0, heads: SIZES.heads, layers: SIZES.layers, start: 0 };
    const maps = { ...MODULES, norm1: "layernorm_before", norm2: "layernorm_after" };
    this.#tensors = withBiases(tensors);
    this.#plain = new Plain(this.#tensors, { ...names, maps, eps: 1e-12 });
    this.#prefix = prefix;
  }

  /** Class token, then the convolution at every patch, positions added; `pixels` [channels, height, width] are normalised. */
  embed(pixels: ArrayLike<number>): Rows {
    const { width, channels, height, across, patch, patches } = SIZES;
    const at = `${this.#prefix}embeddings`;
    const data = (name: string): Float32Array => (this.#tensors[`${at}.${name}`] as Tensors[string]).data;
    const [weight, bias] = [data("patch_embeddings.projection.weight"), data("patch_embeddings.projection.bias")];
    const rows: Rows = [[...data("cls_token")]];
    for (let place = 0; place < patches; place += 1) {
      const columns = across / patch[1];
      const [top, left] = [Math.floor(place / columns) * patch[0], (place % columns) * patch[1]];
      rows.push(
        Array.from({ length: width }, (_, out) => {
          let sum = bias[out] as number;
          for (let c = 0; c < channels; c += 1)
            for (let y = 0; y < patch[0]; y += 1)
              for (let x = 0; x < patch[1]; x += 1) {
                const w = weight[((out * channels + c) * patch[0] + y) * patch[1] + x] as number;
                sum += w * (pixels[(c * height + top + y) * across + left + x] as number);
              }
          return sum;
        }),
      );
    }
    const positions = data("position_embeddings");
    return rows.map((row, r) => row.map((v, c) => v + (positions[r * width + c] as number)));
  }

  layer(x: Rows, index: number, hooks: PlainHooks = {}): Rows {
    const at = `${this.#prefix}encoder.layer.${index}`;
    const map = (which: PlainMap, rows: Rows): Rows => {
      const y = this.#plain.linear(rows, `${at}.${MODULES[which]}`);
      return hooks.linear?.(index, which, rows, y) ?? y;
    };
    const read = this.#plain.norm(x, `${at}.layernorm_before`);
    const mixed = this.#plain.attention(map("query", read), map("key", read), map("value", read));
    const h = added(x, map("proj", mixed));
    const normed = this.#plain.norm(h, `${at}.layernorm_after`);
    const f = map(
      "down",
      map("up", normed).map((row) => row.map((v) => activate("gelu", v))),
    );
    return hooks.close?.(index, f, h) ?? added(h, f);
  }

  /** The last hidden states, after the final norm. */
  hidden(pixels: ArrayLike<number>, hooks: PlainHooks = {}): Rows {
    let x = this.embed(pixels);
    for (let index = 0; index < SIZES.layers; index += 1) x = this.layer(x, index, hooks);
    return this.finish(x);
  }

  finish(x: Rows): Rows {
    return this.#plain.norm(x, `${this.#prefix}layernorm`);
  }

  /** Of the class token. */
  logits(hidden: Rows): number[] {
    return this.#plain.linear([hidden[0] as number[]], "classifier")[0] as number[];
  }

  /** Weights of a layer as row-major matrices, queries, keys and values one below the other. */
  packed(index: number, name: string): ArrayLike<number> {
    const at = `${this.#prefix}encoder.layer.${index}`;
    const [part, kind] = name.split(".") as [string, string];
    const norms: Readonly<Record<string, string>> = { norm1: "layernorm_before", norm2: "layernorm_after" };
    const modules =
      part === "qkv"
        ? (["query", "key", "value"] as const).map((map) => MODULES[map])
        : [norms[part] ?? MODULES[part as PlainMap]];
    return modules.flatMap((module) => [...(this.#tensors[`${at}.${module}.${kind}`] as Tensors[string]).data]);
  }
}

/** Zeros for the biases that a checkpoint leaves out. */
function withBiases(tensors: Tensors): Tensors {
  const missing = Object.entries(tensors).flatMap(([name, { shape }]) => {
    const bias = name.replace(/weight$/, "bias");
    const out = shape[0] as number;
    return bias in tensors || bias === name ? [] : [[bias, { shape: [out], data: new Float32Array(out) }] as const];
  });
  return { ...tensors, ...Object.fromEntries(missing) };
}
