/** @file One-off evaluation: a graph, or one op, on host arrays. For tests, `doctor`, benches and first experiments. */

import type { OpCase } from "../cases/case.ts";
import { packF16 } from "../half.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { runtimeDim } from "../ops/op.ts";
import type { Dim, Op } from "../ops/op.ts";
import { Arena } from "./arena.ts";
import { GraphBuilder } from "./builder.ts";
import { Parameters } from "./parameters.ts";
import { Plan } from "./plan.ts";
import type { HostTensor } from "./plan.ts";
import type { VariantChoice } from "./schedule.ts";
import type { AnyOp, Graph, Value } from "./value.ts";

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

/** A case as a graph of one op, with what a run of it needs. */
export interface CaseGraph {
  readonly graph: Graph;
  readonly inputs: Record<string, Float32Array | Uint32Array>;
  readonly sizes: Record<string, number>;
}

/** Builds the graph of one case; axes named by `rows` stay run-time lengths. */
export function caseGraph<A>(op: Op<A>, opCase: OpCase): CaseGraph {
  const builder = new GraphBuilder();
  const roles: Record<string, Value> = {};
  const inputs: CaseGraph["inputs"] = {};
  const sizes: CaseGraph["sizes"] = {};
  for (const [role, tensor] of Object.entries(opCase.inputs())) {
    const shape: Dim[] = [...tensor.shape];
    if (tensor.rows !== undefined) {
      shape[0] = runtimeDim(tensor.rows);
      sizes[tensor.rows] = tensor.shape[0] as number;
    }
    const element = tensor.f16 === true ? "f16" : tensor.data instanceof Uint32Array ? "u32" : "f32";
    roles[role] = builder.input(role, shape, element);
    inputs[role] = tensor.f16 === true ? packF16(tensor.data as Float32Array) : tensor.data;
  }
  Object.assign(sizes, opCase.sizes);
  const outputs = builder.op(op as unknown as AnyOp, roles, opCase.attributes);
  return { graph: builder.finish(outputs), inputs, sizes };
}

/** Runs one case, optionally by a named variant. */
export async function evaluateCase<A>(gpu: Gpu, op: Op<A>, opCase: OpCase, variant?: string): Promise<Record<string, HostTensor>> {
  const { graph, inputs, sizes } = caseGraph(op, opCase);
  return evaluate(gpu, graph, inputs, sizes, variant === undefined ? {} : { choose: () => variant });
}

