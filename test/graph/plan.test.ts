/** @file Memory plan and executor: reuse, in-place updates, warm runs that create nothing, run-time lengths. */

import { describe, expect, test } from "vitest";
import { Arena } from "../../src/graph/arena.ts";
import { explain, formatExplanation } from "../../src/graph/explain.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { activation } from "../../src/ops/activation.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { PICKED, ROWS, Sketch, errorAgainst, randomInputs } from "./fixtures.ts";

/** A chain of `depth` products and norms of width 16. */
function chain(depth: number): Graph {
  const b = new Sketch();
  let x = b.input("x", [ROWS, 16]);
  for (let i = 0; i < depth; i += 1) x = b.norm(b.mm(x, `w${i}`, 16));
  return b.finish({ y: x });
}

async function planned(
  graph: Graph,
  capacities: Record<string, number>,
): Promise<{ plan: Plan; free: () => Promise<void> }> {
  const gpu = await sharedGpu();
  const arena = new Arena(gpu);
  const parameters = new Parameters(gpu);
  const plan = await Plan.create({ gpu, graph, parameters, arena, capacities });
  const free = async (): Promise<void> => {
    plan.dispose();
    parameters.dispose();
    await arena.dispose();
  };
  return { plan, free };
}

describe("memory plan", () => {
  test("slots are reused: a chain of 24 values needs three slots, far below the sum of all values", async () => {
    const { plan, free } = await planned(chain(12), { rows: 64 });
    const arena = plan.memory.slots.reduce((sum, bytes) => sum + bytes, 0);
    expect(plan.memory.slots.length).toBeLessThanOrEqual(3);
    expect(arena).toBeLessThan(plan.memory.unsharedBytes / 6);
    await free();
  });

  test("an update in place copies its base only when somebody still needs the old value", async () => {
    const build = (keep: boolean): Graph => {
      const b = new Sketch();
      const base = b.op(activation, { x: b.input("x", [ROWS, 8]) }, { kind: "relu" }).y as Value;
      const y = b.put(base, b.input("update", [PICKED, 8]), b.input("sel", [PICKED], "u32"));
      return b.finish(keep ? { y, base } : { y });
    };
    const gpu = await sharedGpu();
    for (const keep of [true, false]) {
      const graph = build(keep);
      const { plan, free } = await planned(graph, { rows: 9, picked: 4 });
      expect(plan.memory.copies).toHaveLength(keep ? 1 : 0);
      await free();
      expect((await errorAgainst(gpu, graph, graph, { rows: 9, picked: 4 })).error).toBeLessThan(1e-6);
    }
  });

  test("an input that is updated in place keeps its contents for the next run", async () => {
    const b = new Sketch();
    const graph = b.finish({
      y: b.put(b.input("x", [ROWS, 8]), b.input("update", [PICKED, 8]), b.input("sel", [PICKED], "u32")),
    });
    const { plan, free } = await planned(graph, { rows: 9, picked: 4 });
    const sizes = { rows: 9, picked: 4 };
    const inputs = randomInputs(graph, sizes);
    const first = await plan.run(inputs, sizes);
    const second = await plan.run(inputs, sizes);
    expect(second.outputs.y?.data).toEqual(first.outputs.y?.data);
    await free();
  });
});

describe("executor", () => {
  test("a warm run creates no pipeline, bind group or buffer, and submits once, also at another length", async () => {
    const gpu = await sharedGpu();
    const graph = chain(3);
    const { plan, free } = await planned(graph, { rows: 40 });
    await plan.run(randomInputs(graph, { rows: 40 }), { rows: 40 });
    const before = { ...gpu.counters, ...gpu.memory };
    for (const rows of [40, 1, 17, 39]) await plan.run(randomInputs(graph, { rows }), { rows });
    const after = { ...gpu.counters, ...gpu.memory };
    expect(after).toEqual({ ...before, submits: before.submits + 4 });
    await free();
  });

  test("rows do not depend on how many others there are: the bits of a short run are a prefix of a long one", async () => {
    const graph = chain(2);
    const { plan, free } = await planned(graph, { rows: 33 });
    const inputs = randomInputs(graph, { rows: 33 });
    const long = (await plan.run(inputs, { rows: 33 })).outputs.y?.data as Float32Array;
    for (const rows of [1, 5, 32]) {
      const short = (await plan.run({ ...inputs, x: (inputs.x as Float32Array).slice(0, rows * 16) }, { rows })).outputs
        .y?.data;
      expect(short).toEqual(long.slice(0, rows * 16));
    }
    await free();
  });

  test("a run over the capacity, and an input of the wrong length, are refused; the plan still runs", async () => {
    const graph = chain(1);
    const { plan, free } = await planned(graph, { rows: 8 });
    const inputs = randomInputs(graph, { rows: 8 });
    await expect(plan.run(randomInputs(graph, { rows: 9 }), { rows: 9 })).rejects.toMatchObject({
      code: "NO_CAPACITY",
    });
    await expect(plan.run({ ...inputs, x: normal(1, 17) }, { rows: 8 })).rejects.toThrow(
      /input x \[rows, 16\]: 17 words given, expected 128/,
    );
    expect((await plan.run(inputs, { rows: 8 })).outputs.y?.shape).toEqual([8, 16]);
    await free();
  });

  test("no rows: empty results", async () => {
    const graph = chain(1);
    const { plan, free } = await planned(graph, { rows: 8 });
    const { outputs } = await plan.run(randomInputs(graph, { rows: 0 }), { rows: 0 });
    expect(outputs.y).toEqual({ shape: [0, 16], data: new Float32Array(0) });
    await free();
  });

  test("profiling times every launch; the arena grows for a second plan and both still run", async () => {
    const gpu = await sharedGpu();
    const arena = new Arena(gpu);
    const parameters = new Parameters(gpu);
    const make = (rows: number): Promise<Plan> =>
      Plan.create({ gpu, graph: chain(2), parameters, arena, capacities: { rows } });
    const small = await make(4);
    const inputs = randomInputs(small.graph, { rows: 4 });
    const first = await small.run(inputs, { rows: 4 }, { profile: true });
    if (gpu.info.clock !== "wall") expect(first.launchMilliseconds).toHaveLength(4);
    const large = await make(4096);
    await large.run(randomInputs(large.graph, { rows: 4096 }), { rows: 4096 });
    expect((await small.run(inputs, { rows: 4 })).outputs).toEqual(first.outputs);
    small.dispose();
    large.dispose();
    parameters.dispose();
    await arena.dispose();
  });

  test("dispose gives every byte back", async () => {
    const gpu = await sharedGpu();
    const before = gpu.memory;
    const { plan, free } = await planned(chain(2), { rows: 32 });
    await plan.run(randomInputs(plan.graph, { rows: 32 }), { rows: 32 });
    await free();
    expect(gpu.memory).toEqual(before);
    await expect(plan.run({}, { rows: 1 })).rejects.toMatchObject({ code: "DISPOSED" });
  });

  test("a value past the binding limit is refused with limit, value and remedy before anything is allocated", async () => {
    const gpu = await sharedGpu();
    const before = gpu.memory;
    const rows = Math.ceil((gpu.info.limits.maxStorageBufferBindingSize as number) / 64) + 1;
    await expect(planned(chain(1), { rows })).rejects.toMatchObject({
      code: "LIMIT",
      message: expect.stringMatching(/maxStorageBufferBindingSize/),
    });
    const { buffers } = gpu.memory;
    expect(buffers).toBe(before.buffers);
  });

  test("explain counts launches, FLOPs and bytes of a plan counted by hand", async () => {
    const { plan, free } = await planned(chain(2), { rows: 64 });
    const explanation = explain(plan.steps, plan.memory, { rows: 10 });
    expect(explanation.launches).toBe(4);
    const matmuls = explanation.steps.filter(({ op }) => op === "matmul");
    expect(matmuls.map(({ flops }) => flops)).toEqual([2 * 10 * 16 * 16, 2 * 10 * 16 * 16]);
    expect(matmuls.map(({ bytes }) => bytes)).toEqual([4 * (10 * 16 * 2 + 256), 4 * (10 * 16 * 2 + 256)]);
    expect(formatExplanation(explanation)).toMatch(/4 launches/);
    await free();
  });
});
