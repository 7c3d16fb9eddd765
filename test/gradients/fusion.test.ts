/** @file The gradient rule of `fusion`: both values, one frozen, factors, forced and pruned adapters, and what it refuses. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { activationCodes } from "../../src/ops/activation.ts";
import { fusion, fusionColumns, fusionRecord, fusionRecordWords } from "../../src/ops/fusion.ts";
import type { FusionMember } from "../../src/ops/fusion.ts";
import { checkGradient } from "./check-gradient.ts";
import type { Source } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

const { gelu, silu, tanh } = activationCodes;
const ROWS = 6;
const WIDTH = 8;
const members: readonly FusionMember[] = [
  { width: 8, activation: gelu },
  { width: 5, activation: silu },
  { width: 7, activation: tanh },
];

function sourcesOf(fused: readonly FusionMember[], temperature = 1): Record<string, Source> {
  const record = fusionRecord(fused.length, temperature, fused);
  return {
    hidden: numbers(1, [ROWS, fused.length * WIDTH]),
    score: numbers(2, [ROWS, fusionColumns(fused.length, WIDTH)], 0.5),
    table: { shape: [1, record.length], data: record },
  };
}

const attributes = { adapters: members.length, width: WIDTH };
const build = (b: GraphBuilder, values: Readonly<Record<string, Value>>): Value[] => [
  b.op(fusion, values, attributes).y as Value,
];

test.each<[string, readonly FusionMember[], number]>([
  ["all active", members, 1],
  ["a temperature", members, 2.5],
  ["one forced to 0", members.map((one, a) => (a === 1 ? { ...one, state: "forced" } : one)), 1],
  ["one pruned", members.map((one, a) => (a === 0 ? { ...one, state: "pruned" } : one)), 1],
])("%s", async (_, fused, temperature) => {
  await checkGradient({ sources: sourcesOf(fused, temperature), build });
});

test("factors, of which some leave an adapter out", async () => {
  const data = Float32Array.from({ length: ROWS * 3 }, (_, at) => [1.25, 0, 1.25, -1, 2][at % 5] as number);
  const factor: Source = { shape: [ROWS, 3], data, input: true };
  await checkGradient({ sources: { ...sourcesOf(members), factor }, build });
});

test.each(["hidden", "score"])("%s alone", async (parameter) => {
  await checkGradient({ sources: sourcesOf(members), build, leaves: [{ parameter }] });
});

test("a frozen hidden part is not gone back through", () => {
  const b = new GraphBuilder({ differentiable: true });
  const score = b.parameter("score", [ROWS, fusionColumns(3, WIDTH)]);
  const inputs = {
    hidden: b.parameter("hidden", [ROWS, 3 * WIDTH]),
    score,
    table: b.parameter("table", [1, fusionRecordWords(3)], "u32"),
  };
  const value = b.op(fusion, inputs, attributes).y as Value;
  const seed = { value, gradient: b.parameter("seed", value.type.shape) };
  const parts = backpropagate(b, [seed], [{ parameter: "score" }]).get("score") ?? [];
  const back = b.nodesOf(parts.map((part) => part.value)).find(({ label }) => label === "fusion-gradient");
  expect(Object.keys(back?.outputs ?? {})).toEqual(["dscore"]);
});

test("a value that holds both parts, and a loss of the weights, are refused", () => {
  const b = new GraphBuilder({ differentiable: true });
  const both = b.parameter("both", [ROWS, 3 * WIDTH + fusionColumns(3, WIDTH)]);
  const table = b.parameter("table", [1, fusionRecordWords(3)], "u32");
  const joint = b.op(fusion, { hidden: both, score: both, table }, { ...attributes, scoreAt: 3 * WIDTH });
  const back = (value: Value, parameter: string): unknown =>
    backpropagate(b, [{ value, gradient: b.parameter("seed", value.type.shape) }], [{ parameter }]);
  expect(() => back(joint.y as Value, "both")).toThrow("build two products");
  const c = new GraphBuilder({ differentiable: true });
  const inputs = {
    hidden: c.parameter("hidden", [ROWS, 3 * WIDTH]),
    score: c.parameter("score", [ROWS, fusionColumns(3, WIDTH)]),
    table: c.parameter("table", [1, fusionRecordWords(3)], "u32"),
  };
  const { weights } = c.op(fusion, inputs, attributes) as { weights: Value };
  expect(() =>
    backpropagate(c, [{ value: weights, gradient: c.parameter("seed", [ROWS, 3]) }], [{ parameter: "score" }]),
  ).toThrow("no gradient goes back from its weights");
});
