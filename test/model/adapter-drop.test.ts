/** @file AdapterDrop: layers without adapters at run time, and many tasks at once over layers that are computed once. */

import { beforeAll, describe, expect, test } from "vitest";
import { parallel } from "../../src/adapters/composition.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { Explanation } from "../../src/graph/explain.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";
import { hiddenOf, idsOf, lively } from "./lively.ts";
import type { LivelyAdapter } from "./lively.ts";
import { relativeError } from "./truth.ts";

const LAYERS = 7;
const DROPPED = 5;
const TASKS = Array.from({ length: 8 }, (_, i) => `task${i}`);
const pfeiffer = {
  mh_adapter: false,
  output_adapter: true,
  original_ln_before: true,
  reduction_factor: 4,
  non_linearity: "relu",
};
/** f32 through seven layers of width 32: the same sums in another order. */
const TOLERANCE = 2e-5;

let gpu: Gpu;
let tiny: TinyModel;

beforeAll(async () => {
  gpu = await sharedGpu();
  tiny = tinyModel("bert", { num_hidden_layers: LAYERS });
});

async function withModel(use: (model: Model) => Promise<void>): Promise<void> {
  const model = await loadFolder(gpu, tiny.folder);
  try {
    await use(model);
  } finally {
    await model.dispose();
  }
}

/** The adapter of `lively` that stands in the other layers only. A prefix is one tensor for all layers: two blocks of columns each. */
function without(config: Record<string, unknown>, left: readonly number[]): LivelyAdapter {
  const { shape } = tiny.host;
  const part = lively(shape, { ...config, leave_out: left }, 1);
  if (config.architecture !== "prefix_tuning") return part;
  const whole = lively(shape, config, 1).tensors;
  const block = 2 * shape.width;
  const stays = (_: number, at: number): boolean => !left.includes(Math.floor((at % (LAYERS * block)) / block));
  const tensors = Object.entries(part.tensors).map(([name, { shape: axes }]) => {
    return [name, { shape: axes, data: (whole[name] as { data: Float32Array }).data.filter(stays) }] as const;
  });
  return { ...part, tensors: Object.fromEntries(tensors) };
}

/** Launches and multiply-adds of a layer, in all or of one operation. */
function inLayer(explanation: Explanation, layer: number, op?: string): { launches: number; flops: number } {
  const steps = explanation.steps.filter(
    ({ scope, op: label }) => scope.split("/")[0]?.startsWith(`layers.${layer}`) && (op === undefined || label === op),
  );
  return {
    launches: steps.reduce((sum, { launches }) => sum + launches, 0),
    flops: steps.reduce((sum, { flops }) => sum + flops, 0),
  };
}

describe("dropAdapters", () => {
  test.each<[string, Record<string, unknown>]>([
    ["bottlenecks", pfeiffer],
    ["lora", { architecture: "lora" }],
    ["prefix", { architecture: "prefix_tuning", flat: true, prefix_length: 2 }],
  ])("of the lowest n layers equals leave_out, bit for bit: %s", async (_, config) => {
    await withModel(async (model) => {
      const { shape } = tiny.host;
      await model.addAdapter("whole", lively(shape, config, 1));
      const input = idsOf([7, 3]);
      model.setActive("whole");
      const undropped = hiddenOf(await model.run(input));
      for (const count of [0, 2, LAYERS]) {
        const left = Array.from({ length: count }, (_, layer) => layer);
        model.dropAdapters({ layers: count });
        const dropped = hiddenOf(await model.run(input));
        model.dropAdapters(null);
        if (count < LAYERS) {
          await model.addAdapter("part", without(config, left));
          model.setActive("part");
        } else model.setActive(null);
        expect(relativeError(dropped, hiddenOf(await model.run(input)))).toBe(0);
        if (count < LAYERS) model.removeAdapter("part");
        model.setActive("whole");
        if (count === 0) expect(dropped).toEqual(undropped);
        else expect(relativeError(dropped, undropped)).toBeGreaterThan(100 * TOLERANCE);
      }
      model.dropAdapters({ layers: [1, 6] });
      const some = hiddenOf(await model.run(input));
      model.dropAdapters(null);
      await model.addAdapter("part", without(config, [1, 6]));
      model.setActive("part");
      expect(relativeError(some, hiddenOf(await model.run(input)))).toBe(0);
    });
  });

  test.each([-1, LAYERS + 1, 1.5, [0, LAYERS]])(
    "of %j layers is refused, and what was dropped stays dropped",
    async (layers) => {
      await withModel(async (model) => {
        await model.addAdapter("a", lively(tiny.host.shape, pfeiffer, 1));
        model.setActive("a");
        model.dropAdapters({ layers: 2 });
        const before = hiddenOf(await model.run(idsOf([4])));
        expect(() => model.dropAdapters({ layers })).toThrow(
          expect.objectContaining({ code: "BAD_CONFIG", where: "layers" }) as Error,
        );
        expect(hiddenOf(await model.run(idsOf([4])))).toEqual(before);
      });
    },
  );
});

describe("eight tasks at once with five layers dropped", () => {
  test("hold each shared launch once, and give what eight single runs give", async () => {
    await withModel(async (model) => {
      for (const [i, name] of TASKS.entries()) await model.addAdapter(name, lively(tiny.host.shape, pfeiffer, i));
      model.dropAdapters({ layers: DROPPED });
      const lengths = [9, 4];
      const input = idsOf(lengths);
      model.setActive("task0");
      const single = await model.explain(lengths);
      model.setActive(parallel(...TASKS));
      const many = await model.explain(lengths);
      for (let layer = 0; layer < LAYERS; layer += 1) {
        const [one, all] = [inLayer(single, layer), inLayer(many, layer)];
        expect(one.launches).toBeGreaterThan(0);
        if (layer < DROPPED) expect(all, `layer ${layer}`).toEqual(one);
      }
      // The first adapters stand after the feed-forward of layer 5: all before it is shared, all behind it is there per task.
      expect(inLayer(many, DROPPED, "matmul")).toEqual(inLayer(single, DROPPED, "matmul"));
      expect(inLayer(many, DROPPED, "adapter").launches).toBe(inLayer(single, DROPPED, "adapter").launches);
      expect(inLayer(many, DROPPED, "adapter").flops).toBe(8 * inLayer(single, DROPPED, "adapter").flops);
      const [one, all] = [inLayer(single, LAYERS - 1), inLayer(many, LAYERS - 1)];
      expect(all.launches).toBe(one.launches);
      expect(inLayer(many, LAYERS - 1, "matmul").flops).toBe(8 * inLayer(single, LAYERS - 1, "matmul").flops);
      const out = await model.run(input);
      expect(out.hidden?.shape).toEqual([8 * 13, 32]);
      for (const [i, name] of TASKS.entries()) {
        model.setActive(name);
        const alone = await model.run(input);
        for (const s of [0, 1])
          expect(relativeError(hiddenOf(out, 2 * i + s), hiddenOf(alone, s)), name).toBeLessThan(TOLERANCE);
      }
      expect(relativeError(hiddenOf(out, 0), hiddenOf(out, 2))).toBeGreaterThan(100 * TOLERANCE);
    });
  });
});
