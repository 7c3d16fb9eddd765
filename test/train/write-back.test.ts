/** @file What was trained goes back into the model: the same bits before and after, and again from the files that are written. */

import { afterEach, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { adapterFiles, headFiles } from "../../src/model/save.ts";
import type { RunOutput, Tensor } from "../../src/model/types.ts";
import { coda } from "../../src/routing/coda.ts";
import { Trainer } from "../../src/train/trainer.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import type { TrainTargets } from "../../src/train/trainable.ts";
import { memoryFolder } from "../formats/memory-folder.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { ia3, lively } from "../model/lively.ts";
import { tinyModel } from "../tiny-models.ts";

const ids = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
];
const targets = [2, 0, 1];
const optimizer = { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.1, clip: 1 } as const;

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function model(options: LoadOptions = {}): Promise<Model> {
  const made = await loadFolder(await sharedGpu(), tinyModel("bert").folder, options);
  open.push(made);
  return made;
}

async function withHead(options: LoadOptions = {}): Promise<Model> {
  const made = await model(options);
  await made.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 2 } });
  return made;
}

async function trainer(of: Model, train: TrainTargets, change: Partial<TrainerOptions> = {}): Promise<Trainer> {
  return Trainer.create(of, { train, head: "task", objective: { kind: "cross-entropy" }, optimizer, ...change });
}

async function steps(one: Trainer, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await one.step([{ input: { ids }, targets }], { learningRate: 0.02 });
}

async function bits(of: Model): Promise<{ hidden: Uint32Array; logits: Uint32Array }> {
  const { hidden, heads } = await of.run({ ids }, { outputs: ["hidden", "heads.task"] });
  const view = (tensor: Tensor | undefined): Uint32Array => new Uint32Array((tensor as Tensor).data.buffer);
  return { hidden: view(hidden), logits: view(heads.task) };
}

const bottleneck = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu" };

describe("an adapter and its head", () => {
  test.each<[string, Record<string, unknown>]>([
    ["a bottleneck", { ...bottleneck, mh_adapter: true }],
    ["a bottleneck with a gate and a norm", { ...bottleneck, use_gating: true, ln_after: true }],
    ["layers that share a bottleneck", { ...bottleneck, cross_layer_sharing: true }],
    ["an invertible one", { ...bottleneck, inv_adapter: "nice", inv_adapter_reduction_factor: 2 }],
    [
      "LoRA, its scale no power of two",
      { architecture: "lora", r: 3, alpha: 7, attn_matrices: ["q", "v"], output_lora: true },
    ],
    ["gated LoRA", { architecture: "lora", r: 2, alpha: 4, use_gating: true }],
    ["IA³", ia3],
    ["a flat prefix", { architecture: "prefix_tuning", flat: true, prefix_length: 3 }],
    ["a flat prefix with gates", { architecture: "prefix_tuning", flat: true, prefix_length: 3, use_gating: true }],
    ["a prompt", { architecture: "prompt_tuning", prompt_length: 4 }],
  ])("%s: the same bits while trained, after it, and from files", async (_, config) => {
    const of = await withHead();
    await of.addAdapter("task", lively(of.host.shape, config, 1));
    of.setActive("task");
    const before = await bits(of);
    const one = await trainer(of, { adapters: ["task"], heads: ["task"] });
    await steps(one, 3);
    const during = await bits(of);
    expect(during).not.toEqual(before);
    await one.writeBack();
    expect(await bits(of)).toEqual(during);
    await one.dispose();
    expect(await bits(of)).toEqual(during);

    const other = await model();
    await other.addAdapter("task", memoryFolder(adapterFiles(of, "task")));
    await other.addHead("task", memoryFolder(headFiles(of, "task")));
    other.setActive("task");
    expect(await bits(other)).toEqual(during);
  });

  test("goes on from what was written back, and writes again", async () => {
    const of = await withHead();
    await of.addAdapter("task", lively(of.host.shape, bottleneck, 1));
    of.setActive("task");
    const one = await trainer(of, { adapters: ["task"], heads: ["task"] });
    await steps(one, 1);
    await one.writeBack();
    const first = of.contents.adapter("task").tensors.get("layers.0.ffn.adapter_up.weight")?.data;
    await steps(one, 1);
    const during = await bits(of);
    await one.writeBack();
    await one.dispose();
    expect(await bits(of)).toEqual(during);
    expect(of.contents.adapter("task").tensors.get("layers.0.ffn.adapter_up.weight")?.data).not.toEqual(first);
  });

  test("is what comes back after others took its slot", async () => {
    const of = await withHead({ slots: { count: 1, evict: true } });
    await of.addAdapter("task", lively(of.host.shape, bottleneck, 1));
    await of.addAdapter("other", lively(of.host.shape, bottleneck, 2));
    of.setActive("task");
    const one = await trainer(of, { adapters: ["task"], heads: ["task"] });
    await steps(one, 2);
    const during = await bits(of);
    await one.writeBack();
    await one.dispose();
    of.setActive("other");
    expect(await bits(of)).not.toEqual(during);
    of.setActive("task");
    expect(await bits(of)).toEqual(during);
  });

  test("a call made while it is written back means what was trained", async () => {
    const of = await withHead();
    await of.addAdapter("task", lively(of.host.shape, bottleneck, 1));
    of.setActive("task");
    const one = await trainer(of, { adapters: ["task"], heads: ["task"] });
    await steps(one, 2);
    const during = await bits(of);
    const [, after] = await Promise.all([one.writeBack(), bits(of)]);
    expect(after).toEqual(during);
    await one.dispose();
  });

  test("room that a bottleneck of 5 leaves in a slot of 8, and what a LoRA has no tensors for, stay zero to the bit", async () => {
    const of = await withHead();
    await of.addAdapter("narrow", lively(of.host.shape, { ...bottleneck, bottleneck_width: 5 }, 1));
    await of.addAdapter(
      "low",
      lively(of.host.shape, { architecture: "lora", r: 3, alpha: 6, attn_matrices: ["q", "v"] }, 1),
    );
    const slot = async (name: string, table: string): Promise<Float32Array> =>
      of.exclusive(async ({ store, parts }) => {
        const found = store.bank.stretchesOf(store.get(name).resident).find((one) => one.table === table);
        const { parameter, slot: at, elements } = found as NonNullable<typeof found>;
        const { buffer, offset } = parts.parameters.slice(parameter);
        const [bytes] = await parts.gpu.read([{ buffer, offset: offset + 4 * at * elements, size: 4 * elements }]);
        return new Float32Array(bytes as ArrayBuffer);
      });
    const zeros = (data: Float32Array): number[] => Array.from(data.keys()).filter((at) => Object.is(data[at], 0));
    for (const [name, table, fewest] of [
      ["narrow", "layers.1.ffn", 3 * 2 * 32],
      ["low", "layers.1.qkv.lora", 32 * (3 + 8 + 3)],
    ] as const) {
      of.setActive(name);
      const before = await slot(name, table);
      const one = await trainer(of, { adapters: [name], heads: ["task"] });
      await steps(one, 3);
      const after = await slot(name, table);
      expect(after).not.toEqual(before);
      const kept = zeros(before);
      expect(kept.length).toBeGreaterThanOrEqual(fewest);
      expect(kept.filter((at) => !Object.is(after[at], 0))).toEqual([]);
      // All else has moved but what has no gradient: none here.
      await one.dispose();
    }
  });
});

describe("routers", () => {
  const policy = coda({ reduction: 2, epsilon: 0.5, seed: 4 });
  const trainedOf = ({ routing }: RunOutput): unknown[] => (routing ?? []).map((layer) => layer?.trained);

  test("count as trained, are the same when routed again, and can be read out", async () => {
    const of = await withHead();
    await of.addAdapter("task", lively(of.host.shape, bottleneck, 1));
    of.setActive("task");
    of.setRouting(policy);
    const drawn = [...(of.contents.routing?.vectors.values() ?? [])];
    expect(trainedOf(await of.run({ ids }))).toEqual([false, false]);
    const one = await trainer(of, { adapters: ["task"], heads: ["task"], routers: true });
    await steps(one, 3);
    // Another policy without vectors, or none, does not cost what was learned.
    of.setRouting(coda({ reduction: 2, router: "random" }));
    await bits(of);
    of.setRouting(null);
    await bits(of);
    of.setRouting(policy);
    const during = await bits(of);
    await one.writeBack();
    await one.dispose();
    expect(await bits(of)).toEqual(during);
    expect(trainedOf(await of.run({ ids }))).toEqual([true, true]);

    of.setRouting(coda({ reduction: 2, seed: 5 }));
    expect(trainedOf(await of.run({ ids }))).toEqual([false, false]);
    of.setRouting(policy);
    expect(await bits(of)).toEqual(during);
    expect(trainedOf(await of.run({ ids }))).toEqual([true, true]);

    const { weights } = of.contents.routing?.policy ?? {};
    expect(weights).toHaveLength(2);
    expect(weights).not.toEqual(drawn);
    const other = await model();
    await other.addAdapter("task", memoryFolder(adapterFiles(of, "task")));
    await other.addHead("task", memoryFolder(headFiles(of, "task")));
    other.setActive("task");
    other.setRouting({ ...policy, weights: weights as readonly Float32Array[] });
    expect(await bits(other)).toEqual(during);
  });

  test("of another kind are refused while some are trained", async () => {
    const of = await withHead();
    of.setRouting(policy);
    const one = await trainer(of, { heads: ["task"], routers: true });
    expect(() => of.setRouting(coda({ reduction: 2, seed: 9 }))).toThrow("while routers are trained");
    of.setRouting(coda({ reduction: 3, epsilon: 0.5, seed: 4, attention: "k-to-all" }));
    await one.dispose();
    of.setRouting(coda({ reduction: 2, seed: 9 }));
  });
});

describe("while a head is trained", () => {
  test("heads find room beside it, and are refused where it would have to move", async () => {
    const of = await withHead();
    const config = { head_type: "classification", num_labels: 3, layers: 2 };
    const one = await trainer(of, { heads: ["task"] });
    await steps(one, 1);
    const during = await bits(of);
    for (const name of ["b", "c", "d"]) await of.addHead(name, { config });
    await expect(of.addHead("e", { config })).rejects.toThrow("no room for another head of this shape");
    expect(await bits(of)).toEqual(during);
    await one.writeBack();
    await one.dispose();
    await of.addHead("e", { config });
    expect(await bits(of)).toEqual(during);
  });
});

describe("refused before anything is trained", () => {
  test("two adapters of one table", async () => {
    const of = await withHead();
    await of.addAdapter("learned", { config: { ...bottleneck, scaling: "learned" } });
    await of.addAdapter("a", { config: bottleneck });
    await of.addAdapter("b", { config: bottleneck });
    of.setActive("learned");
    await expect(trainer(of, { adapters: ["a", "b"] })).rejects.toThrow("adapter a and adapter b share the table");
    const both = trainer(of, { adapters: ["learned", "a"] });
    await expect(both).rejects.toThrow("adapter learned and adapter a share the table");
    // Nothing of the refused one is left in the way.
    const one = await trainer(of, { adapters: ["learned"] });
    await steps(one, 1);
    await one.dispose();
  });

  test("tasks with norms of their own, while those of the host are trained", async () => {
    const of = await withHead();
    const one = await trainer(of, { host: "norms" });
    await steps(one, 1);
    const norms = Object.fromEntries(
      [...of.host.weights]
        .filter(({ norm }) => norm === true)
        .map(({ parts, shape }) => [
          parts[0]?.tensor as string,
          { shape, data: new Float32Array(shape[0] as number).fill(1) },
        ]),
    );
    await expect(of.deploy("t", { adapter: "seq_bn", norms } as never)).rejects.toThrow(
      "those of the host are trained",
    );
    await one.dispose();
  });
});
