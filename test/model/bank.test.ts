/** @file The bank through whole models: warm swaps that create nothing, one launch for many adapters, eviction, growth, bytes. */

import { beforeAll, describe, expect, test } from "vitest";
import { batchSplit, parallel, stack } from "../../src/adapters/composition.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { NOTHING, createdBy, hiddenOf, idsOf, lively } from "./lively.ts";
import type { RawAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

let gpu: Gpu;
let tiny: TinyModel;
/** One capacity for all plans: bits depend on the variant that a capacity chooses. */
const ONE_PLAN: LoadOptions = { maxRows: 64 };
const pfeiffer = { mh_adapter: false, output_adapter: true, original_ln_before: true };
const houlsby = { mh_adapter: true, output_adapter: true };
/** Where another adapter stands, an effect far over rounding shows that the comparison can fail. */
const MATTERS = 1e-3;

beforeAll(async () => {
  gpu = await sharedGpu();
  tiny = tinyModel("bert");
});

async function withModel(options: LoadOptions, use: (model: Model) => Promise<void>): Promise<void> {
  const before = gpu.memory;
  const model = await loadFolder(gpu, tiny.folder, { ...ONE_PLAN, ...options });
  try {
    await use(model);
  } finally {
    await model.dispose();
  }
  expect(gpu.memory).toEqual(before);
}

async function add(model: Model, name: string, config: RawAdapter, seed: number): Promise<void> {
  await model.addAdapter(name, lively(tiny.host.shape, config, seed));
}

describe("a warm model", () => {
  const variants: readonly [string, RawAdapter, RawAdapter, RawAdapter][] = [
    [
      "bottlenecks of other widths and activations",
      { ...pfeiffer, reduction_factor: 4, non_linearity: "relu" },
      { ...pfeiffer, reduction_factor: 2, non_linearity: "gelu" },
      { ...pfeiffer, reduction_factor: 16, non_linearity: "swish", scaling: 0.5 },
    ],
    [
      "LoRA of other ranks",
      { architecture: "lora", r: 8, alpha: 16 },
      { architecture: "lora", r: 2, alpha: 3 },
      { architecture: "lora", r: 5 },
    ],
    ["IA³", "ia3", "ia3", "ia3"],
    [
      "prefixes of other lengths",
      { architecture: "prefix_tuning", flat: true, prefix_length: 5 },
      { architecture: "prefix_tuning", flat: true, prefix_length: 1 },
      { architecture: "prefix_tuning", flat: false, prefix_length: 3, bottleneck_size: 8 },
    ],
  ];

  test.each(variants)("adds, removes and swaps without creating anything: %s", async (_, first, second, third) => {
    await withModel({}, async (model) => {
      const input = idsOf([7, 3, 9]);
      await add(model, "a", first, 1);
      model.setActive("a");
      const a = hiddenOf(await model.run(input));
      await model.run(input, { adapters: ["a", null, "a"] });
      const bytes = model.bank.bytes;
      const outputs: Float32Array[] = [a];
      const created = await createdBy(gpu, async () => {
        await add(model, "b", second, 2);
        model.setActive("b");
        outputs.push(hiddenOf(await model.run(input)));
        model.removeAdapter("a");
        await add(model, "c", third, 3);
        model.setActive("c");
        outputs.push(hiddenOf(await model.run(idsOf([2, 12]))));
        outputs.push(hiddenOf(await model.run(input, { adapters: ["c", "b", null] })));
        model.removeAdapter("b");
        model.removeAdapter("c");
        await add(model, "a", first, 1);
        model.setActive("a");
        expect(hiddenOf(await model.run(input))).toEqual(a);
      });
      expect(created).toEqual(NOTHING);
      expect(model.bank).toMatchObject({ bytes, evictions: 0, resident: ["a"] });
      expect(relativeError(outputs[1] as Float32Array, a)).toBeGreaterThan(MATTERS);
      expect(relativeError(outputs[3] as Float32Array, a)).toBeGreaterThan(MATTERS);
    });
  });

  test("warmup prepares compositions: their first runs create nothing and give what a cold model gives", async () => {
    const compositions = [
      "a",
      "lora",
      null,
      stack("a", "lora"),
      parallel("a", "b"),
      batchSplit("a", "lora", { batchSizes: [1, 2] }),
    ];
    const cold: Float32Array[] = [];
    const fill = async (model: Model): Promise<void> => {
      await add(model, "a", { ...pfeiffer, reduction_factor: 4, non_linearity: "relu" }, 1);
      await add(model, "b", { ...pfeiffer, reduction_factor: 8, non_linearity: "gelu" }, 2);
      await add(model, "lora", "lora", 3);
    };
    const runs = async (model: Model, into: Float32Array[]): Promise<void> => {
      for (const composition of compositions) {
        model.setActive(composition);
        into.push(hiddenOf(await model.run(idsOf([7, 3, 9]))));
      }
      into.push(hiddenOf(await model.run(idsOf([4, 6]), { adapters: ["b", null] })));
    };
    await withModel({}, async (model) => {
      await fill(model);
      await runs(model, cold);
    });
    await withModel({}, async (model) => {
      await fill(model);
      await model.warmup(compositions);
      await model.warmup([null], { adapters: ["a"] });
      const warm: Float32Array[] = [];
      expect(await createdBy(gpu, () => runs(model, warm))).toEqual(NOTHING);
      expect(warm).toEqual(cold);
    });
  });
});

describe("warmup", () => {
  test("goes over the compositions again where one of them made the bank grow", async () => {
    await withModel({ compat: "adapters-1.2" }, async (model) => {
      for (let i = 0; i < 8; i += 1) await add(model, `l${i}`, "lora", i);
      await model.warmup(["l0", stack("l1", "l2")]);
      // The library composes the LoRAs of a stack as functions: an adapter of its own, the ninth.
      expect(model.bank.slots).toBe(16);
      const created = await createdBy(gpu, async () => {
        for (const composition of ["l3", stack("l1", "l2")]) {
          model.setActive(composition);
          await model.run(idsOf([7, 3]));
        }
      });
      expect(created).toEqual(NOTHING);
      model.setActive(null);
      model.removeAdapter("l1");
      await model.run(idsOf([7, 3]));
      expect([...model.bank.resident].sort()).toEqual(["l0", "l2", "l3", "l4", "l5", "l6", "l7"]);
    });
  });
});

describe("one adapter per sequence", () => {
  test("of one method is one adapter launch per site, and equals single runs bit for bit", async () => {
    await withModel({}, async (model) => {
      const names = ["a", "b", "c", "d"];
      const activations = ["relu", "gelu", "swish", "tanh"];
      for (const [i, name] of names.entries()) {
        const config = { ...pfeiffer, reduction_factor: 2 ** (i + 1), non_linearity: activations[i], scaling: 1 + i };
        await add(model, name, config, i + 1);
      }
      const lengths = [7, 1, 9, 4, 13, 2];
      const adapters = ["c", null, "a", "d", "b", "a"];
      const input = idsOf(lengths);
      model.setActive("a");
      const one = await model.explain(lengths);
      const many = await model.explain(lengths, { adapters });
      const launches = (from: typeof one): string[] =>
        from.steps.filter(({ op }) => op === "adapter").map(({ scope, launches: count }) => `${scope}: ${count}`);
      expect(launches(one)).toHaveLength(tiny.host.shape.layers);
      expect(launches(many)).toEqual(launches(one));
      expect(many.launches).toBe(one.launches);
      const mixed = await model.run(input, { adapters });
      for (const [s, name] of adapters.entries()) {
        model.setActive(name);
        const whole = await model.run(input);
        expect(hiddenOf(mixed, s), `sequence ${s}`).toEqual(hiddenOf(whole, s));
        const single = await model.run({ ids: [input.ids[s] as number[]] });
        expect(hiddenOf(mixed, s), `sequence ${s} alone`).toEqual(hiddenOf(single));
        if (name !== "a") {
          model.setActive("a");
          expect(relativeError(hiddenOf(await model.run(input), s), hiddenOf(mixed, s))).toBeGreaterThan(MATTERS);
        }
      }
    });
  });

  /** f32 through two layers of width 32: the same sums in another order. */
  const TOLERANCE = 5e-6;

  test("methods mixed in one batch equal single runs", async () => {
    await withModel({}, async (model) => {
      await add(model, "pfeiffer", { ...pfeiffer, reduction_factor: 4, non_linearity: "relu" }, 1);
      await add(model, "houlsby", { ...houlsby, reduction_factor: 8, non_linearity: "swish" }, 2);
      await add(model, "lora", { architecture: "lora", attn_matrices: ["q", "k", "v"], intermediate_lora: true }, 3);
      await add(model, "prefix", { architecture: "prefix_tuning", flat: true, prefix_length: 3 }, 4);
      await add(model, "ia3", "ia3", 5);
      await add(model, "gated", { ...pfeiffer, reduction_factor: 4, non_linearity: "relu", use_gating: true }, 6);
      await add(
        model,
        "plus",
        { ...pfeiffer, reduction_factor: 4, non_linearity: "gelu", original_ln_after: false, ln_after: true },
        7,
      );
      const adapters = ["pfeiffer", "houlsby", null, "lora", "prefix", "ia3", "gated", "plus"];
      const input = idsOf([7, 3, 9, 4, 6, 5, 8, 2]);
      const mixed = await model.run(input, { adapters });
      model.setActive(null);
      const bare = await model.run(input);
      for (const [s, name] of adapters.entries()) {
        model.setActive(name);
        const single = hiddenOf(await model.run({ ids: [input.ids[s] as number[]] }));
        expect(relativeError(hiddenOf(mixed, s), single), String(name)).toBeLessThan(TOLERANCE);
        if (name !== null) expect(relativeError(hiddenOf(bare, s), single), name).toBeGreaterThan(MATTERS);
      }
    });
  });
});

describe("slots", () => {
  const config = { ...pfeiffer, reduction_factor: 4, non_linearity: "relu" };
  const input = idsOf([5, 8]);
  const names = ["a", "b", "c", "d"];

  /** Results of a model without limits, and the bytes that a slot takes. */
  async function reference(): Promise<{ outputs: Map<string, Float32Array>; slotBytes: number }> {
    const outputs = new Map<string, Float32Array>();
    let slotBytes = 0;
    await withModel({}, async (model) => {
      for (const [i, name] of names.entries()) await add(model, name, config, i);
      for (const name of names) {
        model.setActive(name);
        outputs.set(name, hiddenOf(await model.run(input)));
      }
      slotBytes = model.bank.bytes / model.bank.slots;
    });
    return { outputs, slotBytes };
  }

  test.each(["count", "bytes"] as const)(
    "given as %s: the adapter unused for longest goes, visibly; results stay right",
    async (kind) => {
      const { outputs, slotBytes } = await reference();
      const gone: string[] = [];
      const slots = kind === "count" ? { count: 2, evict: true } : { bytes: Math.floor(2.9 * slotBytes) };
      await withModel({ slots, onEvict: (name) => gone.push(name) }, async (model) => {
        for (const [i, name] of names.entries()) await add(model, name, config, i);
        expect(model.bank.slots).toBe(2);
        expect(model.bank.bytes).toBe(2 * slotBytes);
        const use = async (name: string): Promise<void> => {
          model.setActive(name);
          expect(hiddenOf(await model.run(input)), name).toEqual(outputs.get(name));
        };
        for (const name of ["a", "b", "a", "c"]) await use(name);
        expect(gone).toEqual(["b"]);
        expect(model.bank).toMatchObject({ evictions: 1, resident: ["a", "c"] });
        const created = await createdBy(gpu, async () => {
          for (const name of ["d", "a", "b", "c", "a"]) await use(name);
        });
        expect(created).toEqual(NOTHING);
        expect(gone).toEqual(["b", "a", "c", "d", "a", "b"]);
        expect(model.bank.evictions).toBe(6);
        // Both slots in one batch, and one adapter more than there are slots.
        const both = await model.run(input, { adapters: ["d", "b"] });
        expect(hiddenOf(both, 1)).toEqual((outputs.get("b") as Float32Array).slice(5 * 32));
        await expect(model.run(idsOf([1, 1, 1]), { adapters: ["a", "b", "c"] })).rejects.toMatchObject({
          code: "NO_CAPACITY",
          where: "slots.count",
        });
        await use("c");
      });
    },
  );

  test("a larger slot leaves fewer under the same budget: what no longer fits is evicted visibly", async () => {
    const { outputs, slotBytes } = await reference();
    const gone: string[] = [];
    await withModel({ slots: { bytes: 4 * slotBytes }, onEvict: (name) => gone.push(name) }, async (model) => {
      for (const [i, name] of names.entries()) await add(model, name, config, i);
      for (const name of names) {
        model.setActive(name);
        await model.run(input);
      }
      expect(model.bank).toMatchObject({ slots: 4, evictions: 0 });
      await add(model, "wide", { ...houlsby, reduction_factor: 4, non_linearity: "relu" }, 9);
      expect(model.bank.slots).toBe(2);
      expect(model.bank.bytes).toBeLessThanOrEqual(4 * slotBytes);
      expect(gone).toEqual(["a", "b"]);
      expect(model.bank).toMatchObject({ evictions: 2, resident: ["c", "d"] });
      for (const name of ["d", "c", "a"]) {
        model.setActive(name);
        expect(hiddenOf(await model.run(input)), name).toEqual(outputs.get(name));
      }
    });
  });

  test("without options they grow, and every adapter still gives what it gave", async () => {
    await withModel({}, async (model) => {
      const many = Array.from({ length: 9 }, (_, i) => `n${i}`);
      await add(model, "n0", config, 0);
      model.setActive("n0");
      const first = hiddenOf(await model.run(input));
      for (const [i, name] of many.entries()) if (i > 0) await add(model, name, config, i);
      expect(model.bank).toMatchObject({ slots: 16, evictions: 0, resident: many });
      expect(hiddenOf(await model.run(input))).toEqual(first);
      // Wider than the tables so far.
      await add(model, "wide", { ...config, reduction_factor: 0.25 }, 99);
      expect(hiddenOf(await model.run(input))).toEqual(first);
      const batch = await model.run(idsOf([5, 5, 5]), { adapters: ["n0", "wide", "n8"] });
      model.setActive("wide");
      const wide = await model.run(idsOf([5, 5, 5]));
      expect(relativeError(hiddenOf(batch, 1), hiddenOf(wide, 1))).toBeLessThan(5e-6);
    });
  });

  test("a removed adapter gives its slot back; runs called before still have it", async () => {
    await withModel({ slots: { count: 1 } }, async (model) => {
      await add(model, "a", config, 1);
      model.setActive("a");
      const before = hiddenOf(await model.run(input));
      const running = model.run(input);
      model.removeAdapter("a");
      expect(model.active).toBeNull();
      const created = await createdBy(gpu, () => add(model, "b", config, 2));
      expect(created).toEqual(NOTHING);
      expect(hiddenOf(await running)).toEqual(before);
      expect(model.bank.resident).toEqual(["b"]);
      model.removeAdapter("b");
      await add(model, "a", config, 1);
      model.setActive("a");
      expect(hiddenOf(await model.run(input))).toEqual(before);
    });
  });
});
