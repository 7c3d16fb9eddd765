/** @file Compositions on the synthetic encoder: every form agrees with float64, and a fusion of other weights does not. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adapterLeaf, fuse, parallel, stack } from "../../src/adapters/composition.ts";
import type { AdapterTensor, AdapterTensors } from "../../src/adapters/tensors.ts";
import { Encoder } from "../../src/bench/encoder.ts";
import type { EncoderSizes } from "../../src/bench/encoder.ts";
import { encoderCandidate } from "../../src/bench/encoder-run.ts";
import type { ComposedForm } from "../../src/bench/encoder-run.ts";
import { measureComposed } from "../../src/bench/composed-table.ts";
import { fusionCandidate } from "../../src/bench/fusion-part.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const tiny: EncoderSizes = { layers: 2, width: 32, heads: 2, ffnWidth: 64, bottleneck: 8 };
const narrow = {
  mh_adapter: false,
  output_adapter: true,
  original_ln_before: true,
  non_linearity: "relu",
  reduction_factor: 4,
};
const names = ["a", "b", "c"];
const say = (): void => {};

const forms: readonly Omit<ComposedForm, "kind">[] = [
  { name: "one adapter", adapters: adapterLeaf("a") },
  { name: "a stack", adapters: stack("a", "b") },
  { name: "an adapter per sequence", adapters: ["a", null, "c"] },
  { name: "a fusion", adapters: fuse(...names) },
  { name: "parallel", adapters: parallel(...names) },
  { name: "parallel, one layer dropped", adapters: parallel(...names), dropped: 1 },
];

describe("compositions", () => {
  let encoder: Encoder;
  let tensors: AdapterTensors;
  beforeAll(async () => {
    encoder = new Encoder(await sharedGpu(), tiny, 7, { slots: names.length });
    for (const [index, name] of names.entries()) await encoder.add(name, narrow, 100 * (index + 1));
    tensors = await encoder.addFusion(names, ["ffn"], 900);
  });
  afterAll(() => encoder.dispose());

  test.each(forms)("$name agrees with float64 on ragged sequences", async (form) => {
    const candidate = await encoderCandidate(encoder, { kind: "composed", ...form }, [9, 1, 6]);
    const verdict = await candidate.verify(say);
    candidate.planned.dispose();
    expect(verdict.ok, verdict.detail).toBe(true);
    expect(candidate.flops).toBeGreaterThan(0);
  });

  test("an adapter does something, and a dropped one does not", async () => {
    const run = async (dropped: number): Promise<ArrayLike<number>> => {
      const form: ComposedForm = { kind: "composed", name: "one", adapters: adapterLeaf("a"), dropped };
      const { planned } = await encoderCandidate(encoder, form, [5]);
      const { outputs } = await planned.run();
      planned.dispose();
      return outputs.hidden?.data ?? [];
    };
    const bare = await encoderCandidate(encoder, { kind: "dense" }, [5]);
    const { outputs } = await bare.planned.run();
    bare.planned.dispose();
    expect(await run(2)).toEqual(outputs.hidden?.data);
    expect(await run(1)).not.toEqual(outputs.hidden?.data);
    expect(await run(0)).not.toEqual(await run(1));
  });

  test("few rows run in the plan of many", async () => {
    const form: ComposedForm = { kind: "composed", name: "parallel", adapters: parallel(...names) };
    const few = await encoderCandidate(encoder, form, [3], [100]);
    expect(few.planned.plan.capacities.rows).toBe(128);
    expect((await few.verify(say)).ok).toBe(true);
    few.planned.dispose();
  });

  test.each(["literal", "pulled", "folded"] as const)("the part, %s, agrees with the literal form", async (form) => {
    const candidate = await fusionCandidate({ encoder, names, tensors, tokens: 11 }, form);
    const verdict = await candidate.verify(say);
    candidate.planned.dispose();
    expect(verdict.ok, verdict.detail).toBe(true);
  });

  test("a fusion folded of other weights is found", async () => {
    const other = new Encoder(await sharedGpu(), tiny, 7, { slots: names.length });
    try {
      for (const [index, name] of names.entries()) await other.add(name, narrow, 100 * (index + 1));
      const own = await other.addFusion(names, ["ffn"], 900);
      const name = "layers.0.ffn.value.weight";
      const { data, shape } = own.get(name) as AdapterTensor;
      const changed = new Map(own).set(name, { shape, data: data.map((x, at) => (at === 40 ? x + 0.1 : x)) });
      const candidate = await fusionCandidate({ encoder: other, names, tensors: changed, tokens: 11 }, "folded");
      const verdict = await candidate.verify(say);
      candidate.planned.dispose();
      expect(verdict.ok).toBe(false);
      expect(verdict.detail).toMatch(/^y\[/);
    } finally {
      await other.dispose();
    }
  });

  test("rows hold ratios against the first form and the goals", async () => {
    const entries = [
      { form: { kind: "dense" } as const },
      { form: { kind: "composed", ...forms[0] } as ComposedForm, throughput: 1e-9, time: 1e9 },
    ];
    const table = { suite: "s", batch: "2 × 3", lengths: [3, 3], entries, repeats: { warmup: 0, rounds: 2 } };
    const [base, row] = await measureComposed(encoder, table, { progress: () => {} });
    expect(base?.reaches).toBeUndefined();
    expect(row?.reaches?.map(({ measure, ok }) => [measure, ok])).toEqual([
      ["throughput ratio >= 1e-9", true],
      ["time ratio <= 1000000000", true],
    ]);
    const { "throughput ratio": throughput } = row?.cells ?? {};
    expect(throughput).toBeGreaterThan(0);
  });
});
