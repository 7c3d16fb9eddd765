/** @file `attention-gradient` on the device against float64; bits of rows, runs shorter than the plan, what is refused. */

import { describe, expect, test } from "vitest";
import { attentionGradientCases } from "../../src/cases/attention-gradient.ts";
import { matrix } from "../../src/cases/case-tensors.ts";
import { normal } from "../../src/cases/case.ts";
import type { CaseTensor, OpCase } from "../../src/cases/case.ts";
import { caseGraph, evaluateCase } from "../../src/cases/evaluate.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import { Arena } from "../../src/graph/arena.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import { attentionGradient } from "../../src/ops/attention-gradient.ts";
import type { AttentionGradientAttributes } from "../../src/ops/attention-gradient.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Dim, TensorType } from "../../src/ops/op.ts";
import { attentionGradient as reference } from "../../src/reference/attention-gradient.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";

describeOp(attentionGradient, reference, attentionGradientCases);

const [heads, headWidth, reach] = [2, 8, 3];
const width = heads * headWidth;
const all = [5, 37, 1, 18];

/** Packed, causal and biased rows of some segments of a batch, one after another. */
function batch(segments: readonly number[]): OpCase {
  const offset = (s: number): number => all.slice(0, s).reduce((a, b) => a + b, 0);
  const rows = offset(all.length);
  const pick = (seed: number, columns: number): CaseTensor => {
    const data = normal(seed, rows * columns);
    const part = (s: number): Float32Array => data.subarray(offset(s) * columns, offset(s + 1) * columns);
    return matrix(Float32Array.from(segments.flatMap((s) => [...part(s)])), columns);
  };
  const table = segmentTable(segments.map((s) => all[s] as number));
  const qkv = pick(1, 3 * width);
  return {
    name: "batch",
    attributes: {
      heads,
      headWidth,
      scale: 0.25,
      causal: true,
      kAt: width,
      vAt: 2 * width,
      packed: true,
      wantsBias: true,
    },
    inputs: () => ({
      q: qkv,
      kv: qkv,
      q_segments: table,
      kv_segments: table,
      y: pick(2, width),
      dy: pick(3, width),
      bias: { shape: [2 * reach + 1, heads], data: normal(4, (2 * reach + 1) * heads) },
    }),
    tolerance: 0,
  };
}

async function variantsHere(): Promise<readonly string[]> {
  return (await sharedGpu()).traits.subgroups ? ["portable", "subgroup"] : ["portable"];
}

test("a row's bits depend on its own segment only", async () => {
  const gpu = await sharedGpu();
  for (const variant of await variantsHere()) {
    const whole = (await evaluateCase(gpu, attentionGradient, batch([0, 1, 2, 3]), variant)).dq?.data as Float32Array;
    const turned = (await evaluateCase(gpu, attentionGradient, batch([3, 1, 2, 0]), variant)).dq?.data as Float32Array;
    const cut = (data: Float32Array, first: number, rows: number): Float32Array =>
      data.slice(first * 3 * width, (first + rows) * 3 * width);
    expect(cut(turned, 0, 18), variant).toEqual(cut(whole, 43, 18));
    expect(cut(turned, 18, 38), variant).toEqual(cut(whole, 5, 38));
    expect(cut(turned, 56, 5), variant).toEqual(cut(whole, 0, 5));
  }
});

test("a run shorter than the one before gives what it gives alone, to the bit", async () => {
  const gpu = await sharedGpu();
  for (const variant of await variantsHere()) {
    const [long, short] = [batch([0, 1, 2, 3]), batch([2, 3])].map((opCase) => caseGraph(attentionGradient, opCase));
    const expected = await evaluateCase(gpu, attentionGradient, batch([2, 3]), variant);
    const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
    const capacities = long?.sizes ?? {};
    const graph = long?.graph as NonNullable<typeof long>["graph"];
    const plan = await Plan.create({ gpu, graph, parameters, arena, capacities, choose: () => variant });
    await plan.run(long?.inputs ?? {}, capacities);
    const { outputs } = await plan.run(short?.inputs ?? {}, short?.sizes ?? {});
    expect(outputs.dq?.data, variant).toEqual(expected.dq?.data);
    expect(outputs.dbias?.data, variant).toEqual(expected.dbias?.data);
    plan.dispose();
    parameters.dispose();
    await arena.dispose();
  }
});

describe("what it costs and refuses", () => {
  const rows = runtimeDim("rows");
  const type = (element: "f32" | "u32", ...shape: readonly Dim[]): TensorType => ({ shape, element });
  const [qkv, y, offsets] = [type("f32", rows, 3 * width), type("f32", rows, width), type("u32", 2)];
  const inputs = { q: qkv, kv: qkv, q_segments: offsets, kv_segments: offsets, y, dy: y };
  const attributes = { heads, headWidth, scale: 1, kAt: width, vAt: 2 * width };

  test.each<[string, Partial<AttentionGradientAttributes>, readonly string[], number]>([
    ["queries", { wantsQ: true }, ["dq"], 4],
    ["keys", { wantsKv: true }, ["dkv"], 5],
    ["queries and keys", { wantsQ: true, wantsKv: true }, ["dq", "dkv"], 8],
    ["one matrix", { wantsQ: true, packed: true }, ["dq"], 8],
  ])("%s", (_, wants, names, products) => {
    const call = { inputs, attributes: { ...attributes, ...wants } };
    const outputs = attentionGradient.infer(inputs, call.attributes);
    expect(Object.keys(outputs)).toEqual(names);
    const { parts } = attentionGradient.cost({ ...call, outputs }, (dim) => (typeof dim === "number" ? dim : 10));
    expect(parts?.attention).toBe(products * 2 * headWidth * heads * 100);
  });

  test.each<[string, string, Partial<AttentionGradientAttributes>, Record<string, TensorType>]>([
    ["SHAPE", "attention-gradient", {}, {}],
    ["SHAPE", "attention-gradient.dy axis 1", { wantsQ: true }, { dy: qkv }],
    ["SHAPE", "attention-gradient.y axis 0", { wantsQ: true }, { y: type("f32", 3, width) }],
    ["SHAPE", "attention-gradient.bias", { wantsBias: true }, {}],
    ["SHAPE", "attention-gradient.kv", { packed: true }, { q: type("f32", rows, 4 * width) }],
    ["UNSUPPORTED", "attention-gradient.kv", { packed: true, vAt: width }, {}],
    ["UNSUPPORTED", "attention-gradient.kv", { packed: true, kAt: 4 }, {}],
    ["UNSUPPORTED", "attention-gradient.kv", { wantsKv: true, kAt: 4, vAt: 0 }, {}],
  ])("%s at %s", (code, where, wrongAttributes, wrongInputs) => {
    const call = (): unknown =>
      attentionGradient.infer({ ...inputs, ...wrongInputs }, { ...attributes, ...wrongAttributes });
    expect(call).toThrow(expect.objectContaining({ code, where }));
  });
});
