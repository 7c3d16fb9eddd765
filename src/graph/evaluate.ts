/** @file One-off evaluation: a graph on host arrays. For tests, `doctor`, benches and first experiments. */

import type { Gpu } from "../gpu/gpu.ts";
import { Arena } from "./arena.ts";
import { Parameters } from "./parameters.ts";
import { Plan } from "./plan.ts";
import type { HostTensor } from "./plan.ts";
import type { VariantChoice } from "./schedule.ts";
import type { Graph } from "./value.ts";

/** Runs a graph once and frees everything again. */
export async function evaluate(
  gpu: Gpu,
  graph: Graph,
  inputs: Readonly<Record<string, Float32Array | Uint32Array>>,
  sizes: Readonly<Record<string, number>>,
  options: { readonly choose?: VariantChoice; readonly parameters?: Parameters } = {},
): Promise<Record<string, HostTensor>> {
  const arena = new Arena(gpu);
  const parameters = options.parameters ?? new Parameters(gpu);
  let plan: Plan | undefined;
  try {
    const choose = options.choose === undefined ? {} : { choose: options.choose };
    plan = await Plan.create({ gpu, graph, parameters, arena, capacities: sizes, ...choose });
    return (await plan.run(inputs, sizes)).outputs;
  } finally {
    plan?.dispose();
    await arena.dispose();
    if (options.parameters === undefined) parameters.dispose();
  }
}
