/** @file Ops that change parameters where they lie: no copies, kept between runs, refused where somebody still reads the old contents. */

import { expect, test } from "vitest";
import { Arena } from "../../src/graph/arena.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Value } from "../../src/graph/value.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { sgd } from "../../src/ops/sgd.ts";
import { sharedGpu } from "../gpu-fixture.ts";

interface Step {
  readonly b: GraphBuilder;
  readonly weights: Value;
  readonly updated: Value;
}

/** weights − rate · momentum over one block of 64 elements from element 2 on. */
function step(): Step {
  const b = new GraphBuilder();
  const weights = b.parameter("weights", [80]);
  const inputs = {
    weights,
    first: b.parameter("first", [64]),
    gradient: b.input("gradient", [64]),
    blocks: b.input("blocks", [1, 4], "u32"),
    groups: b.input("groups", [1, 4]),
    norm: b.input("norm", [1]),
    settings: b.input("settings", [4]),
  };
  return { b, weights, updated: b.op(sgd, inputs, {}).weights as Value };
}

const inputs = {
  gradient: new Float32Array(64).fill(1),
  blocks: Uint32Array.of(2, 64, 0, 0),
  groups: Float32Array.of(1, 0, 1, 1),
  norm: Float32Array.of(64),
  settings: Float32Array.of(0.5, 0.5, 0, 1),
};

test("a parameter is changed in place, and keeps the change", async () => {
  const gpu = await sharedGpu();
  const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
  parameters.set("weights", { shape: [80], element: "f32" }, new Float32Array(80).fill(10));
  parameters.set("first", { shape: [64], element: "f32" }, new Float32Array(64));
  const { b, updated } = step();
  const plan = await Plan.create({ gpu, graph: b.finish({ updated }), parameters, arena, capacities: {} });
  try {
    expect(plan.memory.copies).toEqual([]);
    expect(plan.memory.placeOf(updated)).toEqual({ kind: "parameter", name: "weights" });
    const first = (await plan.run(inputs, {})).outputs.updated?.data;
    expect([...(first ?? [])]).toEqual(Array.from({ length: 80 }, (_, i) => (i < 2 || i >= 66 ? 10 : 9.5)));
    // The momentum is 1.5 by now.
    const second = (await plan.run(inputs, {})).outputs.updated?.data;
    expect(second?.[2]).toBe(8.75);
    const [bytes] = await gpu.read([parameters.slice("weights")]);
    expect(new Float32Array(bytes as ArrayBuffer)).toEqual(second);
  } finally {
    plan.dispose();
    parameters.dispose();
    await arena.dispose();
  }
});

test("old contents cannot be read behind it, and only sources can be changed", async () => {
  const gpu = await sharedGpu();
  const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
  const { b, weights, updated } = step();
  const late = b.op(elementwise, { a: updated, b: weights }, { operation: "sub" }).y as Value;
  const parts = { gpu, parameters, arena, capacities: {} };
  await expect(Plan.create({ ...parts, graph: b.finish({ late }) })).rejects.toThrow(
    "sgd changes weights, which is read behind it",
  );
  const other = new GraphBuilder();
  const sum = other.op(elementwise, { a: other.input("a", [80]), b: other.input("b", [80]) }, { operation: "add" }).y;
  const node = step().updated.node;
  const changed = other.op(sgd, { ...copied(other, node.inputs), weights: sum as Value }, {}).weights as Value;
  await expect(Plan.create({ ...parts, graph: other.finish({ changed }) })).rejects.toThrow("which is no parameter");
  await arena.dispose();
});

/** The same sources on another builder. */
function copied(b: GraphBuilder, values: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(
    Object.entries(values).map(([role, { type }]) => [role, b.input(`${role} input`, type.shape, type.element)]),
  );
}
