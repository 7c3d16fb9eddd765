/** @file From a graph to an ordered list of launches, without a GPU: variants, kernel texts, capacities. */

import { EngineError } from "../errors.ts";
import { specialize } from "../gpu/kernel-source.ts";
import type { KernelSource } from "../gpu/kernel-source.ts";
import { kernels, libs } from "../kernels.gen.ts";
import type { Cost, DeviceCount, DeviceTraits, Dim, Launch, OpCall, ReadTable, SizeOf } from "../ops/op.ts";
import { inputTypes, outputTypes } from "./value.ts";
import type { AnyOp, Graph, Node, Value } from "./value.ts";

/** One dispatch of a schedule. */
export interface ScheduledLaunch {
  readonly launch: Launch;
  readonly source: KernelSource;
  /** The symbol that the device has found before this launch and that its grid asks for: the launch is dispatched indirectly. */
  readonly follows?: string;
  /** What this launch sets the grids by of all that follow it: kernels/indirect-grids.wgsl. */
  readonly sets?: DeviceCount;
}

/** One op of a schedule with its chosen variant. */
export interface Step {
  readonly node: Node;
  readonly variant: string;
  readonly launches: readonly ScheduledLaunch[];
}

/** Chooses the variant of a node; by default the first that its op offers. */
export type VariantChoice = (node: Node, offered: readonly string[]) => string;

/** Run-time lengths, or capacities, by symbol. */
export type Sizes = Readonly<Record<string, number>>;

/** @returns a look-up of axis sizes; an unknown symbol is an error that lists the known ones. */
export function sizeLookup(sizes: Sizes): SizeOf {
  return (dim: Dim) => {
    if (typeof dim === "number") return dim;
    const value = sizes[dim.symbol];
    if (value !== undefined) return value * dim.times;
    const known = Object.keys(sizes).join(", ");
    throw new EngineError("SHAPE", `no size is given for ${dim.symbol} (given: ${known})`, { where: dim.symbol });
  };
}

/** A node as its op sees it. */
export function callOf(node: Node): OpCall {
  return { inputs: inputTypes(node), outputs: outputTypes(node), attributes: node.attributes };
}

/** The contents of an integer input or parameter in a run, as far as the host knows them (see {@link ReadTable}). */
export type TableOf = (value: Value) => Uint32Array | undefined;

/** FLOPs and bytes of a node at the given sizes; without `tables` the lengths of single segments count as equal. */
export function costOf(node: Node, size: SizeOf, tables?: TableOf): Cost {
  const read: ReadTable = (role) => {
    const value = node.inputs[role];
    return value === undefined ? undefined : tables?.(value);
  };
  return (node.op as AnyOp).cost(callOf(node), size, read);
}

/** Orders the graph and chooses every kernel from the capacities, so that a run never chooses or compiles. */
export function schedule(graph: Graph, device: DeviceTraits, capacities: Sizes, choose?: VariantChoice): Step[] {
  const capacity = sizeLookup(capacities);
  const steps: Step[] = [];
  for (const node of graph.nodes) {
    if (node.kind !== "op") continue;
    const op = node.op as AnyOp;
    const call = callOf(node);
    const offered = op.variants(call, device, capacity);
    const first = offered[0];
    if (first === undefined) {
      const { message, fix } = op.lacking?.(call, device) ?? {
        message: "no kernel variant fits this device",
        fix: "run `doctor` to see the limits of the device",
      };
      throw new EngineError("LIMIT", `${op.stem}: ${message}`, { where: node.scope, fix });
    }
    const variant = choose?.(node, offered) ?? first;
    steps.push({ node, variant, launches: op.launch(call, variant, device, capacity).map(withSource) });
  }
  return steps;
}

/** Specialises the kernel of a launch. */
export function withSource(launch: Launch): ScheduledLaunch {
  return { launch, source: specialize({ kernels, libs }, launch.kernel, launch.constants, launch.libs) };
}
