/** @file One case of one op as candidates of a bench: every variant that the device can run, against one float64 truth. */

import type { OpCase } from "../cases/case.ts";
import { compare, referenceInputs } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Arena } from "../graph/arena.ts";
import { caseGraph } from "../cases/evaluate.ts";
import type { Reference } from "../graph/interpret.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { HostTensor } from "../graph/plan.ts";
import { callOf, costOf, sizeLookup } from "../graph/schedule.ts";
import type { TableOf } from "../graph/schedule.ts";
import type { Node } from "../graph/value.ts";
import type { Cost, Op } from "../ops/op.ts";
import type { ReferenceTensors } from "../reference/tensor.ts";
import type { Candidate } from "./harness.ts";
import { PlannedRun } from "./planned-run.ts";

/** Where the plans of a bench live. */
export interface BenchRoom {
  readonly gpu: Gpu;
  readonly arena: Arena;
  readonly parameters: Parameters;
}

/** A variant of an op on one case. */
export interface KernelCandidate extends Candidate {
  readonly stem: string;
  readonly case: string;
  readonly variant: string;
  /** Is it the one that a plan of this capacity chooses? */
  readonly chosen: boolean;
  readonly cost: Cost;
  readonly planned: PlannedRun;
}

/** Plans a case once per variant; `wanted` may leave variants out, never the chosen one. */
export async function kernelCandidates<A>(
  room: BenchRoom,
  op: Op<A>,
  reference: Reference,
  opCase: OpCase,
  wanted: (variant: string, cost: Cost) => boolean = () => true,
): Promise<KernelCandidate[]> {
  const { graph, inputs, sizes } = caseGraph(op, opCase);
  const node = graph.nodes.find(({ kind }) => kind === "op") as Node;
  const size = sizeLookup(sizes);
  const offered = op.variants(callOf(node) as never, room.gpu.traits, size);
  const tables: TableOf = ({ node: { label } }) => {
    const data = inputs[label];
    return data instanceof Uint32Array ? data : undefined;
  };
  const cost = costOf(node, size, tables);
  let truth: ReferenceTensors | undefined;
  const expected = (): ReferenceTensors =>
    (truth ??= reference(referenceInputs(opCase.inputs()), opCase.attributes, sizes));
  const candidates: KernelCandidate[] = [];
  for (const variant of offered.filter((name, index) => index === 0 || wanted(name, cost))) {
    const planned = await PlannedRun.create(room.gpu, room.parameters, room.arena, {
      graph,
      inputs,
      sizes,
      choose: () => variant,
    });
    candidates.push({
      name: `${op.stem} ${opCase.name}, ${variant}`,
      stem: op.stem,
      case: opCase.name,
      variant,
      chosen: variant === offered[0],
      cost,
      planned,
      verify: async () => worst(opCase, (await planned.run()).outputs, expected()),
      run: async () => (await planned.run()).milliseconds,
    });
  }
  return candidates;
}

/** The output that is furthest from its truth. */
function worst(opCase: OpCase, outputs: Readonly<Record<string, HostTensor>>, expected: ReferenceTensors): Comparison {
  const found = Object.entries(outputs).map(([name, { data }]) => {
    const tolerance = opCase.exact?.includes(name) === true ? 0 : opCase.tolerance;
    return compare(name, data, expected[name]?.data ?? [], tolerance);
  });
  return found.find(({ ok }) => !ok) ?? found.reduce((a, b) => (b.error > a.error ? b : a));
}
