/** @file AdapterFusion in a training step: folded in the graph and unfolded, against differences and against each other. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FusionConfig } from "../../src/adapters/fusion-config.ts";
import type { TrainedForm } from "../../src/adapters/fusion-sites.ts";
import type { Model } from "../../src/model/model.ts";
import { regularised, shareOf } from "../../src/train/fusion-regulariser.ts";
import { DIVISOR, TARGETS, objectiveOf } from "../../src/train/objectives.ts";
import { FUSION, WIDTH, fusedModel } from "./fused-model.ts";
import { checkStep } from "./step-case.ts";
import type { StepCase } from "./step-case.ts";

const ids = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
];
const settings = { kind: "cross-entropy" } as const;
const classes: Omit<StepCase, "train"> = {
  input: { ids },
  outputs: ["heads.task"],
  objective: objectiveOf(settings, "heads #0"),
  given: { [TARGETS]: Uint32Array.of(2, 0, 1), [DIVISOR]: Uint32Array.of(3) },
};
async function withForm<T>(model: Model, form: TrainedForm, work: () => Promise<T>): Promise<T> {
  await model.exclusive(({ store }) => store.fusions.hold(FUSION, form));
  try {
    return await work();
  } finally {
    await model.exclusive(({ store }) => store.fusions.release(FUSION));
  }
}

describe.each<[string, Partial<FusionConfig>]>([
  ["dynamic", {}],
  ["static, no key", { value: false, key: false }],
  ["no query, residual before", { query: false, residual_before: true }],
  ["query before the norm", { query_before_ln: true }],
])("a fusion in a training step, %s", (_, config) => {
  let model: Model;
  beforeAll(async () => {
    model = await fusedModel(config);
  });
  afterAll(async () => model?.dispose());

  test("folded and unfolded have one loss and one gradient, which are those of differences", async () => {
    const plain = await model.run({ ids }, { outputs: ["heads.task"] });
    const train = { fusions: [FUSION], heads: ["task"] };
    const check = () => checkStep(model, { ...classes, train });
    const folded = await withForm(model, "folded", check);
    const stems = folded.step.built.graph.nodes.map(({ label }) => label);
    expect(stems).toContain("fusion-gradient");
    expect(folded.deviceError).toBeLessThan(1e-4);
    for (const form of ["pulled", "literal"] as const) {
      const other = await withForm(model, form, check);
      // The literal form's key bias has a gradient of rounding alone.
      if (form === "pulled") expect(other.deviceError).toBeLessThan(1e-4);
      expect(other.loss).toBeCloseTo(folded.loss, 10);
      // The key's bias cancels in the softmax: folded there is none, unfolded its gradient is rounding.
      const keys = [...other.gradients.keys()].filter((parameter) => !parameter.endsWith("key_bias"));
      expect([...folded.gradients.keys()]).toEqual(keys);
      const most = Math.max(...keys.map((key) => largest(folded.gradients.get(key) as Float64Array)));
      for (const [parameter, gradient] of other.gradients) {
        const expected = folded.gradients.get(parameter) ?? new Float64Array(gradient.length);
        const apart = gradient.map((value, at) => value - (expected[at] as number));
        expect(largest(apart), parameter).toBeLessThan(1e-11 * Math.max(most, 1));
      }
    }
    const after = await model.run({ ids }, { outputs: ["heads.task"] });
    expect(after.heads.task?.data).toEqual(plain.heads.task?.data);
  });

  test("while it is trained a run gives the same function", async () => {
    const plain = await model.run({ ids });
    for (const form of ["folded", "pulled"] as const) {
      const { hidden } = await withForm(model, form, () => model.run({ ids }));
      const gap = hidden?.data.map((value, at) => Math.abs(value - (plain.hidden?.data[at] as number)));
      expect(Math.max(...(gap as Float32Array))).toBeLessThan(2e-5);
    }
  });
});

function largest(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

describe("the regulariser", () => {
  let model: Model;
  beforeAll(async () => {
    model = await fusedModel({});
  });
  afterAll(async () => model?.dispose());

  test("adds λ Σ ‖I − Wv‖² and its gradient, in every part of a batch its share", async () => {
    await withForm(model, "folded", async () => {
      await model.run({ ids });
      const values = await model.exclusive(({ store }) => store.fusions.regularisedOf(FUSION));
      expect(values).toHaveLength(2);
      const withShare = (divisor: number): Omit<StepCase, "train"> => ({
        ...classes,
        given: { ...classes.given, [DIVISOR]: Uint32Array.of(divisor) },
        objective: regularised(classes.objective, shareOf(settings, "heads #0"), {
          values,
          width: WIDTH,
          factor: 0.25,
        }),
      });
      const train = { fusions: [FUSION] };
      const [plain, whole] = [
        await checkStep(model, { ...classes, train }),
        await checkStep(model, { ...withShare(3), train }),
      ];
      expect(whole.deviceError).toBeLessThan(1e-4);
      const { tensors } = model.contents.fusion(FUSION);
      let expected = 0;
      for (const [tensor, { data }] of tensors)
        if (tensor.endsWith("value.weight"))
          data.forEach((value, at) => (expected += 0.25 * ((at % 33 === 0 ? 1 : 0) - value) ** 2));
      expect(expected).toBeGreaterThan(1);
      expect(whole.loss - plain.loss).toBeCloseTo(expected, 5);
      // Half of the batch's targets: half of the regulariser, beside half of the loss.
      const half = await checkStep(model, { ...withShare(6), train });
      expect(half.loss).toBeCloseTo(whole.loss / 2, 8);
    });
  });
});
