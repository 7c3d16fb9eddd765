/** @file A case of the shared table as a graph of one op, and its one-off evaluation on a device. */

import { packF16 } from "../half.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { evaluate } from "../graph/evaluate.ts";
import type { HostTensor } from "../graph/plan.ts";
import type { AnyOp, Graph, Value } from "../graph/value.ts";
import { runtimeDim } from "../ops/op.ts";
import type { Dim, Op } from "../ops/op.ts";
import type { OpCase } from "./case.ts";

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
export async function evaluateCase<A>(
  gpu: Gpu,
  op: Op<A>,
  opCase: OpCase,
  variant?: string,
): Promise<Record<string, HostTensor>> {
  const { graph, inputs, sizes } = caseGraph(op, opCase);
  return evaluate(gpu, graph, inputs, sizes, variant === undefined ? {} : { choose: () => variant });
}
