/** @file Runs a graph in float64 on the CPU, op by op, through the references: the truth that plans are checked against. */

import { EngineError } from "../errors.ts";
import type { Attributes } from "../ops/op.ts";
import type { ReferenceTensor, ReferenceTensors } from "../reference/tensor.ts";
import { callOf, sizeLookup } from "./schedule.ts";
import type { Sizes } from "./schedule.ts";
import { valueKey } from "./value.ts";
import type { Graph, Node, Value } from "./value.ts";

/** The float64 twin of an op; `sizes` holds the run-time sizes by symbol, for attributes that name one. */
export type Reference = (inputs: ReferenceTensors, attributes: Attributes, sizes: Sizes) => ReferenceTensors;

/** What the interpreter needs besides the graph. */
export interface InterpretOptions {
  readonly references: Readonly<Record<string, Reference>>;
  /** Inputs and parameters by name. */
  readonly sources: (name: string, kind: "input" | "parameter") => ReferenceTensor;
  /** Lengths by symbol; of one that an op finds on the device, the most it can be. */
  readonly sizes: Sizes;
  /**
   * Replaces the outputs of a node: the selected rows of a GPU run, say, so that two runs that differ by a rounding
   * at the boundary can still be compared downstream.
   */
  readonly override?: (node: Node, computed: ReferenceTensors) => ReferenceTensors;
}

/** @returns the outputs of the graph in float64, by name. */
export function interpret(graph: Graph, options: InterpretOptions): Map<string, ReferenceTensor> {
  const known = new Map<string, ReferenceTensor>();
  const sizes = { ...options.sizes };
  const find = (value: Value): ReferenceTensor => {
    const tensor = known.get(valueKey(value));
    if (tensor === undefined)
      throw new EngineError("SHAPE", `${value.node.label} has no output ${value.output}`, { where: value.node.scope });
    return tensor;
  };
  for (const node of graph.nodes) {
    const inputs = Object.fromEntries(Object.entries(node.inputs).map(([role, value]) => [role, find(value)]));
    const computed = evaluateNode(node, inputs, { ...options, sizes });
    for (const [name, tensor] of Object.entries(computed)) {
      const value = node.outputs[name];
      if (value !== undefined) known.set(valueKey(value), tensor);
    }
    Object.assign(sizes, foundSize(node, computed));
  }
  return new Map([...graph.outputs].map(([name, value]) => [name, find(value)]));
}

/** @returns the length that a node finds, by its symbol; nothing of most nodes. */
export function foundSize(node: Node, computed: ReferenceTensors): Sizes {
  const count = node.op?.deviceCount?.(callOf(node));
  return count === undefined ? {} : { [count.symbol]: Number(computed[count.output]?.data[0]) };
}

/** @returns the outputs of one node from its inputs by role; `override` has its say. */
export function evaluateNode(node: Node, inputs: ReferenceTensors, options: InterpretOptions): ReferenceTensors {
  const { kind, label, attributes } = node;
  if (kind === "input" || kind === "parameter") return { value: options.sources(label, kind) };
  if (kind === "view") {
    const { shape } = (node.outputs.value as Value).type;
    return { value: { shape: shape.map(sizeLookup(options.sizes)), data: (inputs.x as ReferenceTensor).data } };
  }
  const reference = options.references[label];
  if (reference === undefined) throw new EngineError("NOT_IMPLEMENTED", `${label} has no float64 reference`);
  const computed = reference(inputs, attributes, options.sizes);
  return options.override?.(node, computed) ?? computed;
}
