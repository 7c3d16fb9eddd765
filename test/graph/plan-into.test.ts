/** @file Outputs of a plan that stay on the GPU: copied to the caller's place, not read back. */

import { describe, expect, test } from "vitest";
import { Arena } from "../../src/graph/arena.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Value } from "../../src/graph/value.ts";
import { activation } from "../../src/ops/activation.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { sharedGpu } from "../gpu-fixture.ts";

test("an output that is kept lands at its offset, an input can be kept as well, and the rest is read back", async () => {
  const gpu = await sharedGpu();
  const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
  parameters.set("kept", { shape: [12], element: "f32" }, new Float32Array(12).fill(7));
  const b = new GraphBuilder();
  const x = b.input("x", [4]);
  const y = b.op(activation, { x }, { kind: "relu" }).y as Value;
  const z = b.op(activation, { x }, { kind: "identity" }).y as Value;
  const plan = await Plan.create({ gpu, graph: b.finish({ x, y, z }), parameters, arena, capacities: {} });
  const { buffer } = parameters.slice("kept");
  const into = { y: { buffer, offset: 16 }, x: { buffer, offset: 32 } };
  const inputs = { x: Float32Array.of(1, -2, 3, -4) };
  const { outputs } = await plan.run(inputs, {}, { into });
  expect(Object.keys(outputs)).toEqual(["z"]);
  expect(outputs.z?.data).toEqual(inputs.x);
  const [bytes] = await arena.readback.read([{ buffer, offset: 0, size: 48 }]);
  expect([...new Float32Array(bytes as ArrayBuffer)]).toEqual([7, 7, 7, 7, 1, 0, 3, 0, 1, -2, 3, -4]);
  await expect(plan.run(inputs, {}, { into: { stray: { buffer, offset: 0 } } })).rejects.toThrow("no output stray");
  plan.dispose();
  parameters.dispose();
  await arena.dispose();
});

describe("an output with a home", () => {
  async function planned(outputs: (b: GraphBuilder) => Record<string, Value>, homes: Record<string, number>) {
    const gpu = await sharedGpu();
    const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
    parameters.set("home", { shape: [256], element: "f32" }, new Float32Array(256));
    const b = new GraphBuilder();
    const graph = b.finish(outputs(b));
    const places = Object.entries(homes).map(([name, at]) => [name, { parameter: "home", at }] as const);
    const plan = await Plan.create({ gpu, graph, parameters, arena, capacities: {}, homes: new Map(places) });
    const { buffer } = parameters.slice("home");
    const into = Object.fromEntries(Object.entries(homes).map(([name, at]) => [name, { buffer, offset: 4 * at }]));
    const { outputs: read } = await plan.run({ x: Float32Array.of(1, -2, 3, -4) }, {}, { into });
    const [bytes] = await gpu.read([parameters.slice("home")]);
    const at = (name: string): string => plan.memory.placeOf(graph.outputs.get(name) as Value).kind;
    const found = { read, home: new Float32Array(bytes as ArrayBuffer), slots: plan.memory.slots.length, at };
    plan.dispose();
    parameters.dispose();
    await arena.dispose();
    return found;
  }
  const relu = (b: GraphBuilder, x: Value): Value => b.op(activation, { x }, { kind: "relu" }).y as Value;

  test("is written there, without a place in the arena", async () => {
    const { read, home, slots, at } = await planned((b) => ({ y: b.reshape(relu(b, b.input("x", [4])), [2, 2]) }), {
      y: 64,
    });
    expect(read).toEqual({});
    expect([...home.subarray(62, 70)]).toEqual([0, 0, 1, 0, 3, 0, 0, 0]);
    expect(slots).toBe(0);
    expect(at("y")).toBe("parameter");
  });

  test("is copied there where it is read, is two outputs, or lies where no binding begins", async () => {
    const { home, at } = await planned(
      (b) => {
        const x = b.input("x", [4]);
        const y = relu(b, x);
        const twice = b.op(activation, { x }, { kind: "tanh" }).y as Value;
        const odd = b.op(activation, { x }, { kind: "identity" }).y as Value;
        return {
          y,
          z: relu(b, b.op(elementwise, { a: y, b: y }, { operation: "mul" }).y as Value),
          a: twice,
          b: twice,
          odd,
        };
      },
      { y: 0, a: 64, b: 128, odd: 6, z: 192 },
    );
    expect(["y", "a", "b", "odd", "z"].map(at)).toEqual(["slot", "slot", "slot", "slot", "parameter"]);
    expect([...home.subarray(0, 10)]).toEqual([1, 0, 3, 0, 0, 0, 1, -2, 3, -4]);
    expect([...home.subarray(192, 196)]).toEqual([1, 0, 9, 0]);
    expect(home[64]).toBeCloseTo(Math.tanh(1), 6);
    expect([...home.subarray(64, 68)]).toEqual([...home.subarray(128, 132)]);
  });
});
