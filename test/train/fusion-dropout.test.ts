/** @file Dropout inside fusions: of scores, where the key's bias counts, and of whole adapters, in both readings. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { drawLabel } from "../../src/adapters/evaluate/dropout.ts";
import type { Dropouts, FusionDropout } from "../../src/adapters/evaluate/dropout.ts";
import type { TrainedForm } from "../../src/adapters/fusion-sites.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import type { Model } from "../../src/model/model.ts";
import { SEED, drawsOf, dropoutsOf } from "../../src/train/dropouts.ts";
import { DIVISOR, TARGETS, objectiveOf } from "../../src/train/objectives.ts";
import { Trainer } from "../../src/train/trainer.ts";
import { FUSION, fusedModel } from "./fused-model.ts";
import { checkStep } from "./step-case.ts";
import type { StepCase } from "./step-case.ts";

const ids = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
];
const classes: Omit<StepCase, "train" | "draft"> = {
  input: { ids },
  outputs: ["heads.task"],
  objective: objectiveOf({ kind: "cross-entropy" }, "heads #0"),
  given: { [TARGETS]: Uint32Array.of(2, 0, 1), [DIVISOR]: Uint32Array.of(3) },
  seeds: [5, 2],
};
const none: Dropouts = { seed: SEED, hidden: 0, head: 0, attention: 0, fusion: null };

const isBias = (parameter: string): boolean => parameter.endsWith("key_bias");

describe("in a step", () => {
  let model: Model;
  beforeAll(async () => {
    model = await fusedModel();
  });
  afterAll(async () => model?.dispose());

  async function check(form: TrainedForm, dropout: Dropouts): ReturnType<typeof checkStep> {
    await model.exclusive(({ store }) => store.fusions.hold(FUSION, form));
    try {
      return await checkStep(model, { ...classes, draft: { dropout }, train: { fusions: [FUSION] } });
    } finally {
      await model.exclusive(({ store }) => store.fusions.release(FUSION));
    }
  }

  test.each<[string, Partial<Dropouts>]>([
    ["of scores", { attention: 0.4 }],
    ["of whole adapters", { fusion: { rate: 0.5, reading: "each", by: "sequence" } }],
    ["of both", { attention: 0.3, fusion: { rate: 0.34, reading: "count", by: "batch" } }],
  ])("dropout %s: folded, pulled and literal are one function with one gradient", async (_, change) => {
    const dropout = { ...none, ...change };
    const folded = await check("folded", dropout);
    expect(folded.deviceError).toBeLessThan(5e-4);
    expect(folded.loss).not.toBeCloseTo((await check("folded", none)).loss, 6);
    for (const form of ["pulled", "literal"] as const) {
      const other = await check(form, dropout);
      expect(other.loss).toBeCloseTo(folded.loss, 10);
      const keys = [...other.gradients.keys()].filter((key) => change.attention !== undefined || !isBias(key));
      expect([...folded.gradients.keys()]).toEqual(keys);
      for (const [parameter, gradient] of other.gradients)
        gradient.forEach((value, at) => expect(value).toBeCloseTo(folded.gradients.get(parameter)?.[at] ?? 0, 11));
    }
    // The key's bias cancels unless the scores of a row have factors that differ.
    const bias = [...folded.gradients].filter(([parameter]) => isBias(parameter));
    expect(bias).toHaveLength(change.attention === undefined ? 0 : 2);
    // Of the lower layer's two adapters one may be left out, and then nothing is weighed there.
    const most = Math.max(0, ...bias.flatMap(([, gradient]) => [...gradient].map(Math.abs)));
    if (change.attention !== undefined) expect(most).toBeGreaterThan(1e-6);
  });

  test("the rate of the fusion comes before that of the host's attention", async () => {
    const own = await fusedModel({ dropout_prob: 0.25 });
    await own.exclusive(({ store }) => store.fusions.hold(FUSION));
    const draft = { dropout: { ...none, attention: 0.1 } };
    const { step } = await checkStep(own, { ...classes, draft, train: { fusions: [FUSION] } });
    const rates = step.built.graph.nodes.flatMap(({ label, attributes }) =>
      label === "dropout" ? [attributes.rate] : [],
    );
    expect(rates).toEqual([0.25, 0.25]);
    await own.exclusive(({ store }) => store.fusions.release(FUSION));
    await own.dispose();
  });

  test("a trainer draws anew in every pass, and the same from the same seed", async () => {
    const losses = async (fusion: FusionDropout): Promise<number[]> => {
      const trainer = await Trainer.create(model, {
        train: { fusions: [FUSION] },
        head: "task",
        objective: { kind: "cross-entropy" },
        optimizer: { kind: "sgd", momentum: 0, weightDecay: 0, clip: null },
        dropout: { fusion },
        seed: 4,
      });
      const found: number[] = [];
      for (let i = 0; i < 4; i += 1)
        found.push((await trainer.step([{ input: { ids }, targets: [2, 0, 1] }], { learningRate: 0 })).loss);
      await trainer.dispose();
      return found;
    };
    const first = await losses({ rate: 0.5, reading: "each", by: "sequence" });
    expect(new Set(first).size).toBeGreaterThan(2);
    expect(await losses({ rate: 0.5, reading: "each", by: "sequence" })).toEqual(first);
    expect(await losses({ rate: 0.5, reading: "count", by: "sequence" })).not.toEqual(first);
  });
});

describe("what is drawn", () => {
  /** Rows of a table of N adapters for so many sequences. */
  function rows(draw: FusionDropout, adapters: number, sequences: number, stream = 1, pass = 0): number[][] {
    const b = new GraphBuilder();
    const label = drawLabel({ ...draw, stream });
    const graph = b.finish({ y: b.input(label, [sequences, adapters]) });
    const table = drawsOf(graph, {}, [9, pass])[label] as Float32Array;
    return Array.from({ length: sequences }, (_, row) => [...table.subarray(row * adapters, (row + 1) * adapters)]);
  }
  const gone = (row: readonly number[]): number => row.filter((value) => value === -1).length;

  test("count: exactly 6 of 8 at 0.75, every one as often as the others", () => {
    const drawn = rows({ rate: 0.75, reading: "count", by: "sequence" }, 8, 2000);
    expect(drawn.every((row) => gone(row) === 6)).toBe(true);
    // 2000 draws of probability 3/4: six standard deviations are 116.
    for (let a = 0; a < 8; a += 1)
      expect(Math.abs(gone(drawn.map((row) => row[a] as number)) - 1500)).toBeLessThan(116);
  });

  test("each: every adapter by itself, and never all of them", () => {
    const drawn = rows({ rate: 0.5, reading: "each", by: "sequence" }, 8, 2000);
    const all = drawn.reduce((sum, row) => sum + gone(row), 0);
    // 16,000 coins: six standard deviations are 380; all eight at once come once in 256 rows, and one of them stays.
    expect(Math.abs(all - 8000)).toBeLessThan(400);
    expect(new Set(drawn.map(gone)).size).toBeGreaterThan(5);
    expect(rows({ rate: 0.99, reading: "each", by: "sequence" }, 4, 500).every((row) => gone(row) < 4)).toBe(true);
    expect(rows({ rate: 0.99, reading: "count", by: "sequence" }, 4, 5).every((row) => gone(row) === 3)).toBe(true);
  });

  test("by batch: one draw for all sequences; others by stream, and by pass", () => {
    const batch = { rate: 0.5, reading: "each", by: "batch" } as const;
    const drawn = rows(batch, 8, 40);
    expect(new Set(drawn.map(String)).size).toBe(1);
    expect(new Set(rows({ ...batch, by: "sequence" }, 8, 40).map(String)).size).toBeGreaterThan(20);
    const others = [rows(batch, 8, 1, 2), rows(batch, 8, 1, 1, 1), rows(batch, 8, 1, 1, 2)].map(String);
    expect(new Set([...others, String(drawn[0])]).size).toBe(4);
    expect(rows(batch, 8, 40)).toEqual(drawn);
  });

  test("rates are checked", () => {
    const fusion: FusionDropout = { rate: 1, reading: "each", by: "batch" };
    const host = { dropout: { attention: 0.1, head: 0.2 } } as Parameters<typeof dropoutsOf>[0];
    expect(() => dropoutsOf(host, { fusion })).toThrow("fusion.rate is 1");
    expect(dropoutsOf(host)).toEqual({ seed: SEED, hidden: 0, attention: 0.1, head: 0.2, fusion: null });
    expect(dropoutsOf(host, null)).toBeNull();
  });
});
