/** @file Runs of one plan after another: what an op does not write is still there from the run before. */

import type { OpCase } from "../../src/cases/case.ts";
import { caseGraph } from "../../src/cases/evaluate.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { Arena } from "../../src/graph/arena.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Op } from "../../src/ops/op.ts";

/** The outputs of the last of several cases with the same shapes and attributes, each run by the plan of the first. */
export async function rerun<A>(
  gpu: Gpu,
  op: Op<A>,
  variant: string,
  cases: readonly [OpCase, ...OpCase[]],
): Promise<Record<string, number[]>> {
  const { graph, sizes } = caseGraph(op, cases[0]);
  const arena = new Arena(gpu);
  const parameters = new Parameters(gpu);
  const plan = await Plan.create({ gpu, graph, parameters, arena, capacities: sizes, choose: () => variant });
  try {
    let found: Record<string, number[]> = {};
    for (const opCase of cases) {
      const { outputs } = await plan.run(caseGraph(op, opCase).inputs, sizes);
      found = Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data)]));
    }
    return found;
  } finally {
    plan.dispose();
    await arena.dispose();
    parameters.dispose();
  }
}
