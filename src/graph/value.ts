/** @file Nodes and values: an immutable dataflow graph in which equal computations are the same object. */

import type { Attributes, Op, TensorType } from "../ops/op.ts";

/** Any op, whatever its attributes: the graph treats attributes as data. */
// Method parameters are compared bivariantly only through this one cast point; ops stay strictly typed elsewhere.
export type AnyOp = Op<Attributes>;

/** What a node does: an op, a run-time input, a resident parameter, or the same elements under another shape. */
export type NodeKind = "op" | "input" | "parameter" | "view";

/** One computation. Nodes with equal op, inputs and attributes are one node. */
export interface Node {
  readonly id: number;
  readonly kind: NodeKind;
  /** The op's stem, or the name of the input or parameter. */
  readonly label: string;
  readonly op: AnyOp | null;
  readonly inputs: Readonly<Record<string, Value>>;
  readonly attributes: Attributes;
  readonly outputs: Readonly<Record<string, Value>>;
  /** Scope in which the node was first built, for explain(). */
  readonly scope: string;
}

/** One output of a node. */
export interface Value {
  readonly node: Node;
  readonly output: string;
  readonly type: TensorType;
}

/** A finished graph: nodes in topological order, results and capture points by name. */
export interface Graph {
  readonly nodes: readonly Node[];
  readonly outputs: ReadonlyMap<string, Value>;
}

/** @returns the types of a node's inputs by role. */
export function inputTypes(node: Node): Record<string, TensorType> {
  return Object.fromEntries(Object.entries(node.inputs).map(([role, value]) => [role, value.type]));
}

/** @returns the types of a node's outputs by role. */
export function outputTypes(node: Node): Record<string, TensorType> {
  return Object.fromEntries(Object.entries(node.outputs).map(([role, value]) => [role, value.type]));
}

/** @returns a key that is unique per value within one graph. */
export function valueKey(value: Value): string {
  return `${value.node.id}.${value.output}`;
}

/** @returns the value whose elements a view shows under another shape; of any other the value itself. */
export function root(value: Value): Value {
  return value.node.kind === "view" ? root(value.node.inputs.x as Value) : value;
}
