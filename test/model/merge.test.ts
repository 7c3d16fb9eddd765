/** @file Merging into the frozen weights and back: equal results, bits restored, one refusal for what cannot be merged. */

import { beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { normal } from "../../src/random.ts";
import { checkpointBytes, memoryFolder, tinyModel } from "../tiny-models.ts";
import { inputOf } from "./coda-case.ts";
import { hiddenOf, idsOf, lively } from "./lively.ts";
import { relativeError } from "./truth.ts";

/** W + BA is rounded once per weight (2⁻²⁴), 96 terms a row, two layers with norms on top. */
const TOLERANCE = 2e-5;
const everywhere = {
  selfattn_lora: true,
  intermediate_lora: true,
  output_lora: true,
  attn_matrices: ["q", "k", "v", "o"],
};
const input = idsOf([7, 2, 5]);

let gpu: Gpu;
beforeAll(async () => {
  gpu = await sharedGpu();
});

async function withModel(family: string, options: LoadOptions, use: (model: Model) => Promise<void>): Promise<void> {
  const before = gpu.memory;
  const model = await loadFolder(gpu, tinyModel(family).folder, options);
  try {
    await use(model);
  } finally {
    await model.dispose();
  }
  expect(gpu.memory).toEqual(before);
}

// The queries, keys and values of kwt have no biases, nor has any map of t5.
describe.each(["bert", "gpt2", "kwt", "t5"])("on a tiny %s", (family) => {
  const given = family === "kwt" ? inputOf(family, [7, 2, 5]) : input;
  test.each<[string, Record<string, unknown>]>([
    ["LoRA", { architecture: "lora", r: 3, alpha: 6, ...everywhere }],
    ["LoRA of queries and values", { architecture: "lora", attn_matrices: ["q", "v"] }],
    ["DoRA", { architecture: "lora", use_dora: true, ...everywhere }],
    ["IA³", { architecture: "lora", composition_mode: "scale", r: 1, init_weights: "ia3", ...everywhere }],
  ])("%s merged is what it was beside the weights; unmerging restores every bit", async (_, config) => {
    await withModel(family, {}, async (model) => {
      await model.addAdapter("a", lively(model.host.shape, config, 1));
      const bare = hiddenOf(await model.run(given));
      model.setActive("a");
      const beside = hiddenOf(await model.run(given));
      expect(relativeError(bare, beside)).toBeGreaterThan(100 * TOLERANCE);
      await model.mergeAdapter("a");
      const merged = hiddenOf(await model.run(given));
      expect(relativeError(merged, beside)).toBeLessThan(TOLERANCE);
      model.setActive(null);
      expect(relativeError(hiddenOf(await model.run(given)), beside)).toBeLessThan(TOLERANCE);
      await model.unmergeAdapter("a");
      expect(hiddenOf(await model.run(given))).toEqual(bare);
      model.setActive("a");
      expect(hiddenOf(await model.run(given))).toEqual(beside);
    });
  });
});

describe("merging", () => {
  test("restores the bits of f16 weights too", async () => {
    await withModel("bert", { precision: "f16" }, async (model) => {
      await model.addAdapter("a", lively(model.host.shape, { architecture: "lora", ...everywhere }, 1));
      const bare = hiddenOf(await model.run(input));
      await model.mergeAdapter("a");
      expect(hiddenOf(await model.run(input))).not.toEqual(bare);
      await model.unmergeAdapter("a");
      expect(hiddenOf(await model.run(input))).toEqual(bare);
    });
  });

  test("of a union leaves what is no change of a matrix running", async () => {
    await withModel("bert", {}, async (model) => {
      const bottleneck = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };
      const config = { architecture: "union", configs: [{ architecture: "lora" }, bottleneck] };
      await model.addAdapter("a", lively(model.host.shape, config, 1));
      model.setActive("a");
      const beside = hiddenOf(await model.run(input));
      await model.mergeAdapter("a");
      expect(relativeError(hiddenOf(await model.run(input)), beside)).toBeLessThan(TOLERANCE);
    });
  });

  test("an adapter added meanwhile is made for the weights as they were loaded", async () => {
    await withModel("bert", {}, async (model) => {
      const { shape } = model.host;
      const dora = lively(shape, { architecture: "lora", use_dora: true }, 2);
      await model.addAdapter("dora", dora);
      model.setActive("dora");
      const expected = hiddenOf(await model.run(input));
      model.removeAdapter("dora");
      await model.addAdapter("lora", lively(shape, { architecture: "lora" }, 1));
      await model.mergeAdapter("lora");
      await model.addAdapter("dora", dora);
      await model.unmergeAdapter("lora");
      model.setActive("dora");
      expect(hiddenOf(await model.run(input))).toEqual(expected);
    });
  });

  test.each<[string, string, RegExp, Record<string, unknown> | string]>([
    ["a gated LoRA", "UNSUPPORTED", /gated/, { architecture: "lora", use_gating: true }],
    ["a bottleneck", "UNSUPPORTED", /nothing at linear maps/, "seq_bn"],
    ["a prefix", "UNSUPPORTED", /nothing at linear maps/, { architecture: "prefix_tuning", flat: true }],
  ])("of %s is refused; nothing has changed", async (_, code, pattern, config) => {
    await withModel("bert", {}, async (model) => {
      await model.addAdapter("a", lively(model.host.shape, config, 1));
      model.setActive("a");
      const before = hiddenOf(await model.run(input));
      const memory = gpu.memory;
      const error = await model.mergeAdapter("a").catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(EngineError);
      expect(error).toMatchObject({ code, message: expect.stringMatching(pattern) as string });
      expect(gpu.memory).toEqual(memory);
      expect(hiddenOf(await model.run(input))).toEqual(before);
    });
  });

  test("of a bias of its own is refused where the host has none; beside the weights it goes on", async () => {
    await withModel("t5", {}, async (model) => {
      const path = "base_model.model.encoder.block.0.layer.1.DenseReluDense.wi_1";
      const tensor = (seed: number, shape: readonly number[]) => ({
        shape,
        data: normal(
          seed,
          shape.reduce((a, b) => a * b, 1),
          0.3,
        ),
      });
      const config = { peft_type: "LORA", r: 2, lora_alpha: 2, lora_bias: true, target_modules: ["wi_1"] };
      const tensors = {
        [`${path}.lora_A.weight`]: tensor(1, [2, 32]),
        [`${path}.lora_B.weight`]: tensor(2, [40, 2]),
        [`${path}.lora_B.bias`]: tensor(3, [40]),
      };
      const folder = {
        "adapter_config.json": JSON.stringify(config),
        "adapter_model.safetensors": checkpointBytes(tensors),
      };
      await model.addAdapter("a", memoryFolder(folder));
      const bare = hiddenOf(await model.run(input));
      model.setActive("a");
      const before = hiddenOf(await model.run(input));
      expect(relativeError(bare, before)).toBeGreaterThan(100 * TOLERANCE);
      await expect(model.mergeAdapter("a")).rejects.toMatchObject({
        code: "UNSUPPORTED",
        where: "a",
        message: expect.stringMatching(/biases of up in layer 0, and this host has none/) as string,
      });
      expect(hiddenOf(await model.run(input))).toEqual(before);
    });
  });

  test("twice, of what is not there, and removing what is merged, are refused; the model still runs", async () => {
    await withModel("bert", {}, async (model) => {
      const { shape } = model.host;
      for (const name of ["a", "b"]) await model.addAdapter(name, lively(shape, "lora", 1));
      await expect(model.mergeAdapter("c")).rejects.toMatchObject({ code: "UNKNOWN_NAME", where: "c" });
      await expect(model.unmergeAdapter("a")).rejects.toMatchObject({ code: "UNKNOWN_NAME", where: "a" });
      await model.mergeAdapter("a");
      const merged = hiddenOf(await model.run(input));
      await expect(model.mergeAdapter("a")).rejects.toMatchObject({ code: "UNSUPPORTED" });
      await expect(model.mergeAdapter("b")).rejects.toMatchObject({ code: "UNSUPPORTED", where: "b" });
      expect(() => model.removeAdapter("a")).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }) as Error);
      expect(hiddenOf(await model.run(input))).toEqual(merged);
      await model.unmergeAdapter("a");
      model.removeAdapter("a");
      await model.mergeAdapter("b");
    });
  });

  test("of one layer's change is refused where the layers share their weights", async () => {
    await withModel("albert", {}, async (model) => {
      await model.addAdapter("a", lively(model.host.shape, "lora", 1));
      const before = hiddenOf(await model.run(input));
      await expect(model.mergeAdapter("a")).rejects.toMatchObject({ code: "UNSUPPORTED", where: "a" });
      expect(hiddenOf(await model.run(input))).toEqual(before);
    });
  });
});
