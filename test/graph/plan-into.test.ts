/** @file Outputs of a plan that stay on the GPU: copied to the caller's place, not read back. */

import { expect, test } from "vitest";
import { Arena } from "../../src/graph/arena.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Value } from "../../src/graph/value.ts";
import { activation } from "../../src/ops/activation.ts";
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
