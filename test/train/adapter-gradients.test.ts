/** @file Gradients of what is trained of adapters, method by method, end to end: all of their tensors' elements, and nothing beside them. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { coda } from "../../src/routing/coda.ts";
import { DIVISOR, TARGETS, objectiveOf } from "../../src/train/objectives.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { lively } from "../model/lively.ts";
import { tinyModel } from "../tiny-models.ts";
import { checkStep } from "./step-case.ts";
import type { StepCase } from "./step-case.ts";

const classes: Omit<StepCase, "train"> = {
  input: {
    ids: [
      [3, 9, 27, 1, 14],
      [8, 2, 19],
    ],
  },
  outputs: ["heads.task"],
  objective: objectiveOf({ kind: "cross-entropy" }, "heads #0"),
  given: { [TARGETS]: Uint32Array.of(2, 0), [DIVISOR]: Uint32Array.of(2) },
  moved: 12,
};
const bottleneck = { mh_adapter: false, output_adapter: true, non_linearity: "gelu", reduction_factor: 7 };

describe("on a small BERT", () => {
  let model: Model;
  beforeAll(async () => {
    model = await loadFolder(await sharedGpu(), tinyModel("bert").folder);
    await model.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
  });
  afterAll(async () => model?.dispose());

  async function check(name: string, config: Record<string, unknown>): Promise<void> {
    await model.addAdapter(name, lively(model.host.shape, config, 2));
    model.setActive(name);
    const { deviceError, step, stretches } = await checkStep(model, { ...classes, train: { adapters: [name] } });
    // Every table has a gradient.
    expect(new Set(step.gradients.map(({ parameter }) => parameter)).size).toBe(stretches.length);
    expect(deviceError).toBeLessThan(1e-4);
    model.setActive(null);
  }

  test.each<[string, Record<string, unknown>]>([
    ["LoRA of queries and values", { architecture: "lora", r: 2, alpha: 7, attn_matrices: ["q", "v"] }],
    [
      "LoRA everywhere",
      {
        architecture: "lora",
        r: 3,
        alpha: 6,
        attn_matrices: ["q", "k", "v", "o"],
        intermediate_lora: true,
        output_lora: true,
      },
    ],
    ["gated LoRA", { architecture: "lora", r: 2, alpha: 4, attn_matrices: ["k"], use_gating: true }],
    [
      "IA³",
      {
        architecture: "lora",
        composition_mode: "scale",
        r: 1,
        alpha: 1,
        init_weights: "ia3",
        attn_matrices: ["k", "v"],
        intermediate_lora: true,
      },
    ],
    ["a width of 4 in a room of 8, with a gate", { ...bottleneck, use_gating: true }],
    ["a width of 4 in a room of 8, with a norm", { ...bottleneck, ln_after: true }],
    ["one bottleneck for all layers", { ...bottleneck, cross_layer_sharing: true }],
    ["flat prefixes", { architecture: "prefix_tuning", flat: true, prefix_length: 3 }],
    ["a prompt", { architecture: "prompt_tuning", prompt_length: 3 }],
  ])("%s", async (name, config) => check(name, config));

  test("LoRA where queries and keys are of other rows", async () => {
    model.setRouting(coda({ reduction: 2, attention: "k-to-all", router: "strided" }));
    await check("routed", { architecture: "lora", r: 2, alpha: 4, attn_matrices: ["q", "v"] });
    model.setRouting(null);
  });
});
