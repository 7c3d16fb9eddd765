/** @file The configuration of an AdapterFusion: presets, refusals, expected tensors, initial values, temperature. */

import { describe, expect, test } from "vitest";
import {
  expectedFusionTensors,
  fusionPresets,
  fusionTemperature,
  initFusion,
  readFusion,
} from "../../src/adapters/fusion-config.ts";

const host = { layers: 2, width: 8 };

describe("reading", () => {
  test("the default is dynamic; static has no value matrix", () => {
    expect(readFusion()).toEqual(fusionPresets.dynamic);
    expect(readFusion("dynamic")).toMatchObject({ key: true, query: true, value: true, regularization: true });
    expect(readFusion("static")).toMatchObject({ key: true, query: true, value: false, regularization: false });
    expect(fusionPresets.dynamic).toMatchObject({ residual_before: false, temperature: false, dropout_prob: null });
  });

  test("fields that are missing take their default, those that are there are checked", () => {
    expect(readFusion({ query_before_ln: true })).toEqual({ ...fusionPresets.dynamic, query_before_ln: true });
    expect(readFusion({ dropout_prob: 0.1 }).dropout_prob).toBe(0.1);
    expect(() => readFusion({ key: 1 })).toThrow("fusion.key is 1");
    expect(() => readFusion({ dropout_prob: 1 })).toThrow("fusion.dropout_prob is 1");
  });

  test("unknown fields and presets are refused by name", () => {
    expect(() => readFusion({ keys: true })).toThrow("keys is not a field");
    expect(() => readFusion({ heads: false })).toThrow("heads is not a field");
    expect(() => readFusion("statik")).toThrow("there is no fusion preset statik");
    expect(() => readFusion("constructor")).toThrow("there is no fusion preset constructor");
    expect(() => readFusion(null)).toThrow("neither a name nor an object");
    expect(() => readFusion([])).toThrow("neither a name nor an object");
  });
});

describe("tensors", () => {
  test("every place of every layer that has the fusion", () => {
    const shapes = expectedFusionTensors(fusionPresets.dynamic, host, ["attention", "ffn"], [0]);
    expect([...shapes.keys()]).toEqual(
      ["attention", "ffn"].flatMap((place) =>
        ["query.weight", "query.bias", "key.weight", "key.bias", "value.weight"].map(
          (tail) => `layers.1.${place}.${tail}`,
        ),
      ),
    );
    expect(shapes.get("layers.1.ffn.key.weight")).toEqual([8, 8]);
    expect(shapes.get("layers.1.ffn.key.bias")).toEqual([8]);
  });

  test("matrices that the configuration lacks are not expected", () => {
    const shapes = expectedFusionTensors(readFusion({ query: false, value: false }), host, ["ffn"]);
    const names = [0, 1].flatMap((layer) => [`layers.${layer}.ffn.key.weight`, `layers.${layer}.ffn.key.bias`]);
    expect([...shapes.keys()]).toEqual(names);
  });

  test("a dynamic fusion of BERT-base has 1,771,008 numbers a layer (MATHS §2.3)", () => {
    const shapes = expectedFusionTensors(fusionPresets.dynamic, { layers: 1, width: 768 }, ["ffn"]);
    const count = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(count).toBe(1_771_008);
  });

  test("fresh ones: Wv near the identity, biases zero, the rest N(0, 0.02), the same for the same seed", () => {
    const shapes = expectedFusionTensors(fusionPresets.dynamic, { layers: 1, width: 64 }, ["ffn"]);
    const tensors = initFusion(fusionPresets.dynamic, shapes, 7);
    const data = (tail: string): Float32Array => tensors.get(`layers.0.ffn.${tail}`)?.data as Float32Array;
    expect(data("value.weight").every((value, at) => value === Math.fround(at % 65 === 0 ? 1 : 1e-6))).toBe(true);
    expect(data("query.bias").every((value) => value === 0)).toBe(true);
    const spread = Math.sqrt(data("key.weight").reduce((sum, value) => sum + value ** 2, 0) / 64 ** 2);
    // The deviation of a sample of 4,096 is off by 1/√8192 on average; four times that is allowed.
    expect(Math.abs(spread / 0.02 - 1)).toBeLessThan(4 / Math.sqrt(2 * 64 ** 2));
    expect(data("query.weight")).not.toEqual(data("key.weight"));
    expect(initFusion(fusionPresets.dynamic, shapes, 7)).toEqual(tensors);
    expect(initFusion(fusionPresets.dynamic, shapes, 8)).not.toEqual(tensors);
    const bare = initFusion(readFusion({ value_initialized: false }), shapes, 7);
    expect(bare.get("layers.0.ffn.value.weight")?.data[0]).not.toBe(1);
  });
});

test("the temperature is 1; under compat it falls from 50 by 0.05 a call", () => {
  const hot = readFusion({ temperature: true });
  expect(fusionTemperature(hot)).toBe(1);
  expect([0, 1, 979, 980, 5000].map((calls) => fusionTemperature(hot, calls))).toEqual([
    50,
    49.95,
    50 - 0.05 * 979,
    1,
    1,
  ]);
  expect(fusionTemperature(readFusion(), 3)).toBe(1);
});
