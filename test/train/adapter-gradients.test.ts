/** @file Gradients of what is trained of adapters, method by method, end to end: all of their tensors' elements, and nothing beside them. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { coda } from "../../src/routing/coda.ts";
import { DIVISOR, TARGETS, objectiveOf } from "../../src/train/objectives.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { ia3, lively } from "../model/lively.ts";
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

const compacter = { ...bottleneck, reduction_factor: 8, phm_layer: true, phm_dim: 2, phm_rank: 1 };
const lora = { architecture: "lora" };

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
    ["IA³", ia3],
    ["a width of 4 in a room of 8, with a gate", { ...bottleneck, use_gating: true }],
    ["a width of 4 in a room of 8, with a norm", { ...bottleneck, ln_after: true }],
    ["one bottleneck for all layers", { ...bottleneck, cross_layer_sharing: true }],
    ["a norm before, its γ and β", { ...bottleneck, ln_before: true }],
    ["a learned scaling", { ...bottleneck, scaling: "learned" }],
    ["a scaling per channel", { ...bottleneck, scaling: "channel", mh_adapter: true }],
    ["Compacter, with a rule that all layers share", compacter],
    [
      "Compacter with all of its factors",
      { ...compacter, shared_phm_rule: false, factorized_phm_rule: true, phm_rank: 2 },
    ],
    [
      "Compacter whole, behind a norm and scaled",
      { ...compacter, factorized_phm_W: false, ln_before: true, scaling: "learned" },
    ],
    ["Compacter of shared factors", { ...compacter, shared_W_phm: true }],
    [
      "prefixes through a network",
      { architecture: "prefix_tuning", flat: false, prefix_length: 3, bottleneck_size: 6 },
    ],
    [
      "prefixes through a network, gated, not in all layers",
      {
        architecture: "prefix_tuning",
        flat: false,
        prefix_length: 4,
        bottleneck_size: 5,
        use_gating: true,
        leave_out: [0],
      },
    ],
    ["VeRA", { ...lora, r: 3, alpha: 5, vera_d: 0.1, vera_b: 0.2, init_weights: "vera", attn_matrices: ["q", "v"] }],
    ["DoRA", { ...lora, r: 2, alpha: 4, use_dora: true, attn_matrices: ["q", "v", "o"] }],
    ["IA³ with a factor", { ...ia3, alpha: 3 }],
    ["flat prefixes", { architecture: "prefix_tuning", flat: true, prefix_length: 3 }],
    ["a prompt", { architecture: "prompt_tuning", prompt_length: 3 }],
  ])("%s", async (name, config) => check(name, config));

  test("LoRA where queries and keys are of other rows", async () => {
    model.setRouting(coda({ reduction: 2, attention: "k-to-all", router: "strided" }));
    await check("routed", { architecture: "lora", r: 2, alpha: 4, attn_matrices: ["q", "v"] });
    model.setRouting(null);
  });
});
