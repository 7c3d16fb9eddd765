/**
 * @file Adapters whose slots are computed of what is trained, trained: every tensor moves, slots follow, steps resume to the same bits, what is
 * saved is what was trained, and nothing is left behind. Gradients: adapter-gradients.test.ts.
 */

import { afterEach, describe, expect, test, vi } from "vitest";
import type { AdapterTensor } from "../../src/adapters/tensors.ts";
import { EngineError } from "../../src/errors.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { AdapterInput } from "../../src/model/folders.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { adapterFiles } from "../../src/model/save.ts";
import { normal } from "../../src/random.ts";
import { DIVISOR, TARGETS, objectiveOf } from "../../src/train/objectives.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { memoryFolder, tensorFile } from "../formats/memory-folder.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { lively } from "../model/lively.ts";
import { tinyModel } from "../tiny-models.ts";
import { checkStep } from "./step-case.ts";
import { ids, labels, options } from "./trainer-case.ts";

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

async function withAdapter(adapter: (of: Model) => AdapterInput): Promise<Model> {
  const made = await loadFolder(await sharedGpu(), tinyModel("bert").folder);
  open.push(made);
  await made.addAdapter("task", adapter(made));
  await made.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
  made.setActive("task");
  return made;
}

async function steps(one: Trainer, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await one.step([{ input: { ids }, targets: labels }], { learningRate: 0.01 });
}

async function logitsOf(of: Model): Promise<Float32Array> {
  const { heads } = await of.run({ ids }, { outputs: ["heads.task"] });
  return heads.task?.data as Float32Array;
}

function tensorsOf(of: Model): ReadonlyMap<string, AdapterTensor> {
  return of.contents.adapter("task").tensors;
}

const bottleneck = { mh_adapter: false, output_adapter: true, non_linearity: "gelu", reduction_factor: 8 };
const lora = { architecture: "lora" };
const methods: readonly [string, Record<string, unknown>][] = [
  ["a norm before, and a learned scaling", { ...bottleneck, ln_before: true, scaling: "learned" }],
  ["a scaling per channel", { ...bottleneck, scaling: "channel" }],
  ["Compacter", { ...bottleneck, phm_layer: true, phm_dim: 2, phm_rank: 1 }],
  ["VeRA", { ...lora, r: 3, alpha: 5, vera_d: 0.1, vera_b: 0.2, init_weights: "vera", attn_matrices: ["q", "v"] }],
  ["DoRA", { ...lora, r: 2, alpha: 4, use_dora: true, attn_matrices: ["q", "v"] }],
  ["IA³ with a factor", { ...lora, composition_mode: "scale", r: 1, alpha: 3, init_weights: "ia3" }],
  [
    "a prefix through a network beside a parallel bottleneck",
    {
      architecture: "union",
      configs: [
        { architecture: "prefix_tuning", flat: false, prefix_length: 3, bottleneck_size: 6 },
        { ...bottleneck, is_parallel: true, scaling: 2 },
      ],
    },
  ],
];

describe.each(methods)("%s", (_, config) => {
  test("moves every tensor, and the files hold what runs", async () => {
    const of = await withAdapter((made) => lively(made.host.shape, config, 1));
    const [before, tensors] = [await logitsOf(of), tensorsOf(of)];
    const one = await Trainer.create(of, options);
    const start = await logitsOf(of);
    expect(apart(start, before)).toBeLessThan(1e-5);
    await steps(one, 3);
    const during = await logitsOf(of);
    expect(apart(during, before)).toBeGreaterThan(1e-3);
    await one.writeBack();
    expect(await logitsOf(of)).toEqual(during);
    for (const [name, { data }] of tensorsOf(of)) {
      // What VeRA's maps share is random and stays so.
      const kept = name.startsWith("shared_parameters.lora_");
      if (kept) expect(data, name).toEqual(tensors.get(name)?.data);
      else expect(data, name).not.toEqual(tensors.get(name)?.data);
    }
    await one.dispose();
    expect(await logitsOf(of)).toEqual(during);
    const other = await withAdapter(() => memoryFolder(adapterFiles(of, "task")));
    other.removeHead("task");
    const { config: head, tensors: weights } = of.contents.head("task");
    await other.addHead("task", { config: head, tensors: weights });
    expect(apart(await logitsOf(other), during)).toBeLessThan(1e-5);
  });

  test("resumes to the same bits, and leaves nothing behind", async () => {
    const of = await withAdapter((made) => lively(made.host.shape, config, 2));
    const one = await Trainer.create(of, options);
    await steps(one, 2);
    const saved = await one.save();
    await steps(one, 2);
    const after = await logitsOf(of);
    await one.restore(saved);
    expect(await logitsOf(of)).not.toEqual(after);
    await steps(one, 2);
    expect(await logitsOf(of)).toEqual(after);
    const names = one.trainables.flatMap(({ parameter, thing }) => (thing.kind === "tensor" ? [parameter] : []));
    expect(names.length).toBeGreaterThan(0);
    await one.dispose();
    const left = await of.exclusive(({ parts }) => names.filter((name) => parts.parameters.has(name)));
    expect(left).toEqual([]);
  });
});

function apart(a: Float32Array, b: Float32Array): number {
  const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] as number))), 0) / scale;
}

describe("a training that fails to begin", () => {
  const plans: readonly [string, (outputs: readonly string[]) => boolean][] = [
    ["for want of the update's plan", (outputs) => outputs.includes("norm")],
    ["for want of the plan that computes slots", (outputs) => outputs.includes("task 0")],
  ];

  test.each(plans)("%s leaves the model as it was", async (_, fails) => {
    const of = await withAdapter((made) => lively(made.host.shape, { ...lora, r: 2, use_dora: true }, 1));
    const gpu = await sharedGpu();
    await (await Trainer.create(of, options)).dispose();
    const expected = await logitsOf(of);
    const before = gpu.memory;
    const create = Plan.create.bind(Plan);
    let failed = 0;
    const spy = vi.spyOn(Plan, "create").mockImplementation(async (parts) => {
      if (!fails([...parts.graph.outputs.keys()])) return create(parts);
      failed += 1;
      throw new EngineError("OUT_OF_MEMORY", "no room");
    });
    await expect(Trainer.create(of, options)).rejects.toThrow("no room");
    spy.mockRestore();
    expect(failed).toBe(1);
    expect(await logitsOf(of)).toEqual(expected);
    expect(gpu.memory).toEqual(before);
    const again = await Trainer.create(of, options);
    await steps(again, 1);
    await again.dispose();
  });
});

describe("of PEFT", () => {
  const step = {
    input: { ids: ids.slice(0, 2) },
    outputs: ["heads.task"],
    objective: objectiveOf({ kind: "cross-entropy" }, "heads #0"),
    given: { [TARGETS]: Uint32Array.of(2, 0), [DIVISOR]: Uint32Array.of(2) },
    train: { adapters: ["task"] },
    moved: 8,
  };
  const maps = ["query", "value"];

  function folder(config: Record<string, unknown>, magnitudes: boolean): ReturnType<typeof memoryFolder> {
    const tensors = Object.fromEntries(
      [0, 1].flatMap((layer) =>
        maps.flatMap((map, index) => {
          const at = `base_model.model.bert.encoder.layer.${layer}.attention.self.${map}`;
          const seed = 10 * layer + index;
          return [
            [`${at}.lora_A.weight`, { data: normal(seed, 64, 0.3), shape: [2, 32] }],
            [`${at}.lora_B.weight`, { data: normal(50 + seed, 64, 0.3), shape: [32, 2] }],
            ...(magnitudes
              ? [[`${at}.lora_magnitude_vector`, { data: normal(90 + seed, 32, 0.2, 1), shape: [32] }] as const]
              : []),
          ];
        }),
      ),
    );
    const common = { peft_type: "LORA", r: 2, lora_alpha: 6, target_modules: maps, bias: "none" };
    return memoryFolder([
      ["adapter_config.json", { ...common, ...config }],
      ["adapter_model.safetensors", tensorFile(tensors)],
    ]);
  }

  test("maps of several scales", async () => {
    const of = await withAdapter(() => folder({ alpha_pattern: { value: 3 } }, false));
    const { deviceError, stretches } = await checkStep(of, step);
    expect(deviceError).toBeLessThan(1e-4);
    expect(stretches.filter(({ thing }) => thing.kind === "tensor")).toHaveLength(4);
  });

  test("DoRA, whose norm counts as a constant", async () => {
    const of = await withAdapter(() => folder({ use_dora: true }, true));
    const detached = (source: string, slots: string): boolean => /lora_[AB]$/.test(source) && slots.endsWith(".vector");
    const { deviceError } = await checkStep(of, { ...step, detached });
    expect(deviceError).toBeLessThan(1e-4);
  });
});
