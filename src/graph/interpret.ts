/** @file Runs a graph in float64 on the CPU, op by op, through the references: the truth that plans are checked against. */

import { EngineError } from "../errors.ts";
import type { Attributes } from "../ops/op.ts";
import type { ReferenceTensor, ReferenceTensors } from "../reference/tensor.ts";
import { sizeLookup } from "./schedule.ts";
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
  readonly sizes: Sizes;
  /**
   * Replaces the outputs of a node: the selected rows of a GPU run, say, so that two runs that differ by a rounding
   * at the boundary can still be compared downstream.
   */
  readonly override?: (node: Node, computed: ReferenceTensors) => ReferenceTensors;
}

/** @returns the outputs of the graph in float64, by name. */
export function interpret(graph: Graph, options: InterpretOptions): Map<string, ReferenceTensor> {
  const size = sizeLookup(options.sizes);
  const known = new Map<string, ReferenceTensor>();
  const find = (value: Value): ReferenceTensor => {
    const tensor = known.get(valueKey(value));
    if (tensor === undefined)
      throw new EngineError("SHAPE", `${value.node.label} has no output ${value.output}`, { where: value.node.scope });
    return tensor;
  };
  for (const node of graph.nodes) {
    if (node.kind === "input" || node.kind === "parameter") {
      known.set(valueKey(node.outputs.value as Value), options.sources(node.label, node.kind));
    } else if (node.kind === "view") {
      const value = node.outputs.value as Value;
      known.set(valueKey(value), { shape: value.type.shape.map(size), data: find(node.inputs.x as Value).data });
    } else {
      for (const [name, tensor] of Object.entries(compute(node, find, options))) {
        const value = node.outputs[name];
        if (value !== undefined) known.set(valueKey(value), tensor);
      }
    }
  }
  return new Map([...graph.outputs].map(([name, value]) => [name, find(value)]));
}

function compute(node: Node, find: (value: Value) => ReferenceTensor, options: InterpretOptions): ReferenceTensors {
  const reference = options.references[node.label];
  if (reference === undefined) throw new EngineError("NOT_IMPLEMENTED", `${node.label} has no float64 reference`);
  const inputs = Object.fromEntries(Object.entries(node.inputs).map(([role, value]) => [role, find(value)]));
  const computed = reference(inputs, node.attributes, options.sizes);
  return options.override?.(node, computed) ?? computed;
}
