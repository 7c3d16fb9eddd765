/** @file Compositions through whole models: text and back, heads per copy and per part, none, snapshots, abort, explain. */

import { beforeAll, describe, expect, test } from "vitest";
import { average, batchSplit, fuse, none, parallel, split, stack } from "../../src/adapters/composition.ts";
import type { Composition, CompositionInput } from "../../src/adapters/composition.ts";
import { compositionFromJson, compositionToJson } from "../../src/adapters/composition-json.ts";
import { formatComposition, parseComposition } from "../../src/adapters/composition-text.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { hiddenOf, idsOf, lively } from "./lively.ts";
import type { RawAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

const pfeiffer = { mh_adapter: false, output_adapter: true, original_ln_before: true };
const ADAPTERS: Readonly<Record<string, RawAdapter>> = {
  a: { ...pfeiffer, reduction_factor: 4, non_linearity: "relu" },
  b: { ...pfeiffer, reduction_factor: 2, non_linearity: "gelu" },
  c: { ...pfeiffer, reduction_factor: 8, non_linearity: "tanh", scaling: 2 },
  "odd name": { mh_adapter: true, output_adapter: true, reduction_factor: 8, non_linearity: "swish" },
  lora: { architecture: "lora", r: 4 },
};
/** f32 through two layers of width 32: the same sums in another order. */
const TOLERANCE = 5e-6;
const MATTERS = 1e-3;
const head = (labels: number): Record<string, unknown> => ({
  head_type: "classification",
  num_labels: labels,
  layers: 2,
});

let gpu: Gpu;
let tiny: TinyModel;
beforeAll(async () => {
  gpu = await sharedGpu();
  tiny = tinyModel("bert");
});

async function withModel(use: (model: Model) => Promise<void>): Promise<void> {
  const before = gpu.memory;
  const model = await loadFolder(gpu, tiny.folder, { maxRows: 64 });
  try {
    let seed = 0;
    for (const [name, config] of Object.entries(ADAPTERS))
      await model.addAdapter(name, lively(tiny.host.shape, config, (seed += 1)));
    await use(model);
  } finally {
    await model.dispose();
  }
  expect(gpu.memory).toEqual(before);
}

async function hiddenWith(model: Model, active: CompositionInput, input = idsOf([6, 6, 6])): Promise<Float32Array> {
  model.setActive(active);
  return hiddenOf(await model.run(input));
}

describe("as data", () => {
  test.each<[string, Composition]>([
    ["stack", stack("a", fuse("b", "c"), "odd name")],
    ["fuse", fuse("a", stack("b", "c"))],
    ["split", split("a", split("b", null, { splits: [1, 2] }), { splits: [3, 3] })],
    ["batchSplit", batchSplit(stack("a", "odd name"), null, { batchSizes: [2, 1] })],
    ["parallel", parallel(stack("a", "b"), "lora", null)],
    ["average", average("a", split("b", "c", { splits: 3 }), { weights: [0.1, -0.7], normalize: false })],
  ])("%s runs the same from its own text and JSON", async (_, composition) => {
    await withModel(async (model) => {
      await model.addFusion(["b", "c"], "dynamic");
      await model.addFusion(["a", "c"], "dynamic");
      const direct = await hiddenWith(model, composition);
      const text = formatComposition(model.active as Composition);
      expect(await hiddenWith(model, parseComposition(text))).toEqual(direct);
      expect(formatComposition(model.active as Composition)).toBe(text);
      const json = JSON.parse(JSON.stringify(compositionToJson(composition))) as unknown;
      expect(await hiddenWith(model, compositionFromJson(json))).toEqual(direct);
      expect(relativeError(await hiddenWith(model, null), direct)).not.toBeLessThan(MATTERS);
    });
  });
});

describe("none", () => {
  test("stands for no adapter: alone, in a stack, a split, a batch split, a parallel run and an average", async () => {
    await withModel(async (model) => {
      const [bare, a] = [await hiddenWith(model, null), await hiddenWith(model, "a")];
      expect(await hiddenWith(model, none)).toEqual(bare);
      expect(await hiddenWith(model, stack(null, "a", none))).toEqual(a);
      expect(await hiddenWith(model, split(null, null, { splits: [2, 4] }))).toEqual(bare);
      const parts = await hiddenWith(model, batchSplit("a", null, { batchSizes: [1, 2] }));
      expect(parts.slice(0, 6 * 32)).toEqual(a.slice(0, 6 * 32));
      expect(parts.slice(6 * 32)).toEqual(bare.slice(6 * 32));
      const copies = await hiddenWith(model, parallel(null, "a"));
      expect(relativeError(copies.slice(0, 18 * 32), bare)).toBeLessThan(TOLERANCE);
      expect(relativeError(copies.slice(18 * 32), a)).toBeLessThan(TOLERANCE);
      const whole = await hiddenWith(model, average("a", null, { weights: [1, 0], normalize: false }));
      expect(relativeError(whole, a)).toBeLessThan(TOLERANCE);
      const nothing = await hiddenWith(model, average("a", null, { weights: [0, 1], normalize: false }));
      expect(relativeError(nothing, bare)).toBeLessThan(TOLERANCE);
    });
  });
});

describe("heads", () => {
  test("of a parallel run read their own copy, those of a batch split their own part", async () => {
    await withModel(async (model) => {
      await model.addHead("a", { config: head(3), seed: 1 });
      await model.addHead("b", { config: head(3), seed: 2 });
      await model.addHead("odd name", { config: head(5), seed: 3 });
      const input = idsOf([6, 2, 9]);
      const single = new Map<string, Float32Array>();
      for (const name of ["a", "b", "odd name"]) {
        model.setActive(name);
        const { heads } = await model.run(input);
        expect(Object.keys(heads)).toEqual([name]);
        expect(heads[name]?.sequences).toBeUndefined();
        single.set(name, heads[name]?.data as Float32Array);
      }
      expect(single.get("odd name")).toHaveLength(15);
      model.setActive(parallel("a", "odd name", "b"));
      const copies = await model.run(input);
      expect(Object.keys(copies.heads).sort()).toEqual(["a", "b", "odd name"]);
      for (const [place, name] of ["a", "odd name", "b"].entries()) {
        const found = copies.heads[name];
        expect([...(found?.sequences ?? [])]).toEqual([3 * place, 3 * place + 1, 3 * place + 2]);
        expect(relativeError(found?.data ?? [], single.get(name) as Float32Array), name).toBeLessThan(TOLERANCE);
      }
      model.setActive(batchSplit("b", stack("a", "odd name"), { batchSizes: [2, 1] }));
      const parts = await model.run(input);
      expect([...(parts.heads.b?.sequences ?? [])]).toEqual([0, 1]);
      expect(relativeError(parts.heads.b?.data ?? [], (single.get("b") as Float32Array).slice(0, 6))).toBeLessThan(
        TOLERANCE,
      );
      expect([...(parts.heads["odd name"]?.sequences ?? [])]).toEqual([2]);
      expect(parts.heads["odd name"]?.shape).toEqual([1, 5]);
      const each = await model.run(input, { adapters: ["odd name", null, "a"] });
      expect([...(each.heads.a?.sequences ?? [])]).toEqual([2]);
      expect(relativeError(each.heads.a?.data ?? [], (single.get("a") as Float32Array).slice(6))).toBeLessThan(
        TOLERANCE,
      );
      expect([...(each.heads["odd name"]?.sequences ?? [])]).toEqual([0]);
    });
  });

  test("that are removed are gone from the next run on, and still there in those called before", async () => {
    await withModel(async (model) => {
      await model.addHead("a", { config: head(3) });
      await model.addHead("free", { config: head(2) });
      model.setActive("a");
      const before = model.run(idsOf([3]));
      model.removeHead("free");
      const after = model.run(idsOf([3]));
      expect(model.heads).toEqual(["a"]);
      expect(() => model.removeHead("free")).toThrow(
        expect.objectContaining({ code: "UNKNOWN_NAME", where: "free" }) as Error,
      );
      expect(Object.keys((await before).heads).sort()).toEqual(["a", "free"]);
      expect(Object.keys((await after).heads)).toEqual(["a"]);
      await model.addHead("free", { config: head(4) });
      expect((await model.run(idsOf([3]))).heads.free?.shape).toEqual([1, 4]);
    });
  });
});

describe("a run", () => {
  test("has what was set when it was called", async () => {
    await withModel(async (model) => {
      const expected = [
        await hiddenWith(model, "a"),
        await hiddenWith(model, "b"),
        await hiddenWith(model, parallel("a", "b")),
      ];
      model.setActive("a");
      const first = model.run(idsOf([6, 6, 6]));
      model.setActive("b");
      const second = model.run(idsOf([6, 6, 6]));
      model.setActive(parallel("a", "b"));
      const third = model.run(idsOf([6, 6, 6]));
      model.setActive("lora");
      model.dropAdapters({ layers: 2 });
      model.removeAdapter("a");
      model.removeAdapter("b");
      expect([hiddenOf(await first), hiddenOf(await second), hiddenOf(await third)]).toEqual(expected);
      expect(model.adapters).not.toContain("a");
    });
  });

  test("that is aborted leaves composition and bits as they were", async () => {
    await withModel(async (model) => {
      const composition = stack("a", parallel("b", "lora"));
      const before = await hiddenWith(model, composition);
      const controller = new AbortController();
      const running = model.run(idsOf([6, 6, 6]), { signal: controller.signal });
      controller.abort(new Error("enough"));
      await expect(running).rejects.toThrow("enough");
      expect(formatComposition(model.active as Composition)).toBe("stack(a,parallel(b,lora))");
      expect(hiddenOf(await model.run(idsOf([6, 6, 6])))).toEqual(before);
    });
  });

  test("is explained with its composition: launches, and rows times the width that each of them takes", async () => {
    await withModel(async (model) => {
      const adapters = async (active: CompositionInput): Promise<{ launches: number; flops: number }> => {
        model.setActive(active);
        const { steps, parts } = await model.explain([6, 3]);
        return { launches: steps.filter(({ op }) => op === "adapter").length, flops: parts.adapter };
      };
      /** 4 d b a row, in two layers of width 32; the bottlenecks of a, b and c have 8, 16 and 4 units. */
      const units = (count: number): number => 2 * 4 * 32 * count;
      expect(await adapters("a")).toEqual({ launches: 2, flops: units(9 * 8) });
      expect((await adapters(null)).launches).toBe(0);
      expect(await adapters(stack("a", "b", "c"))).toEqual({ launches: 6, flops: units(9 * (8 + 16 + 4)) });
      expect(await adapters(parallel("a", "b", "c"))).toEqual({ launches: 2, flops: units(9 * (8 + 16 + 4)) });
      const halves = batchSplit("a", "b", { batchSizes: [1, 1] });
      expect(await adapters(halves)).toEqual({ launches: 2, flops: units(6 * 8 + 3 * 16) });
      expect((await adapters(average("a", "b"))).launches).toBe(4);
      expect((await adapters("odd name")).launches).toBe(4);
    });
  });
});
