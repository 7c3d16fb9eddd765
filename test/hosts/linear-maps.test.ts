/** @file Where hosts say that their linear maps lie: a bias is named exactly where the host declares one, and a declared one must be there. */

import { describe, expect, test } from "vitest";
import { syntheticHost } from "../../src/bench/encoder-host.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import type { Host, WeightPart } from "../../src/hosts/host.ts";
import { buildHost } from "../../src/hosts/index.ts";
import { readWeights } from "../../src/model/load-weights.ts";
import { LINEAR_MAPS } from "../../src/sites/site.ts";
import type { LinearMap } from "../../src/sites/site.ts";
import { checkpointBytes, tinyConfigs, tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { CONFIG, plainCheckpoint } from "./vit-plain.ts";

const QKV: readonly LinearMap[] = ["query", "key", "value"];

function vit(qkvBias: boolean): Pick<TinyModel, "host" | "tensors"> {
  const tensors = plainCheckpoint("vit.", qkvBias);
  const source = { config: { ...CONFIG, qkv_bias: qkvBias }, tensors: new Set(Object.keys(tensors)) };
  return { host: buildHost(source, false), tensors: tensors as TinyModel["tensors"] };
}

/** Every architecture, and its maps that have no bias. */
const HOSTS: readonly (readonly [string, Pick<TinyModel, "host" | "tensors">, readonly LinearMap[]])[] = [
  ...Object.keys(tinyConfigs).map((family) => {
    const without = family === "t5" ? LINEAR_MAPS : family === "kwt" ? QKV : [];
    return [family, tinyModel(family), without] as const;
  }),
  ["vit", vit(true), []],
  ["vit without biases of queries, keys and values", vit(false), QKV],
];

function biasesOf({ shape, map }: Host): (string | null)[][] {
  return Array.from({ length: shape.layers }, (_, layer) => LINEAR_MAPS.map((name) => map(layer, name).bias));
}

/** The tensors that a resident parameter is made of. */
function partsOf(host: Host, name: string): readonly WeightPart[] {
  return host.weights.find((spec) => spec.name === name)?.parts ?? [];
}

function read(host: Host, tensors: TinyModel["tensors"]): unknown {
  return readWeights(host, readTensorFile(checkpointBytes(tensors), "model.safetensors").tensors, "model.safetensors");
}

describe.each(HOSTS)("%s", (_, { host, tensors }, without) => {
  const biases = biasesOf(host);

  test("names biases where the architecture has them, beside their weights", () => {
    for (const layer of biases)
      expect(LINEAR_MAPS.filter((__, index) => layer[index] === null)).toEqual(
        LINEAR_MAPS.filter((map) => without.includes(map)),
      );
    const named = biases.flatMap((layer, index) =>
      LINEAR_MAPS.map((map, at) => ({ ...host.map(index, map), bias: layer[at] as string | null })),
    );
    for (const { weight, bias, first, count, inputs } of named) {
      const specs = [weight, bias].map((name) => host.weights.find((spec) => spec.name === name));
      expect(specs[0]?.shape[1]).toBe(inputs);
      expect(specs[0]?.shape[0]).toBeGreaterThanOrEqual(first + count);
      if (bias !== null) expect(specs[1]?.shape).toEqual([specs[0]?.shape[0]]);
    }
  });

  test("refuses a checkpoint without one of them, by name and shape", () => {
    expect(() => read(host, tensors)).not.toThrow();
    const declared = [...new Set(biases.flat().filter((bias) => bias !== null))].flatMap((name) => partsOf(host, name));
    expect(declared.length === 0).toBe(without.length === LINEAR_MAPS.length);
    for (const { tensor, shape } of declared) {
      const { [tensor]: __, ...rest } = tensors;
      expect(() => read(host, rest)).toThrow(
        expect.objectContaining({
          code: "BAD_WEIGHTS",
          message: expect.stringContaining(`missing: ${tensor} [${shape.join(", ")}]`) as string,
        }) as Error,
      );
    }
  });

  test("refuses a bias that the architecture does not have", () => {
    for (const map of without) {
      const { weight } = host.map(0, map);
      const [part] = partsOf(host, weight) as [WeightPart];
      const stray = part.tensor.replace(/weight$/, "bias");
      const [out = 0] = part.shape;
      expect(() => read(host, { ...tensors, [stray]: { shape: [out], data: new Float32Array(out) } })).toThrow(
        `unexpected: ${stray} [${out}]`,
      );
    }
  });
});

test("the encoders of the bench follow their style", () => {
  const sizes = { layers: 2, width: 16, heads: 2, ffnWidth: 24, bottleneck: 4 };
  expect(biasesOf(syntheticHost(sizes)).flat()).not.toContain(null);
  expect(new Set(biasesOf(syntheticHost({ ...sizes, style: "t5" })).flat())).toEqual(new Set([null]));
});
