/** @file The frame of all passes: a graph is rebuilt node by node, and a rule may put something better in a node's place. */

import { GraphBuilder } from "./builder.ts";
import { valueKey } from "./value.ts";
import type { AnyOp, Graph, Node, Value } from "./value.ts";

/** What a rule may look at and build with. */
export interface RewriteContext {
  readonly builder: GraphBuilder;
  /** How often a value of the new graph is used, counted on the old one: results count as uses. */
  readonly uses: (value: Value) => number;
  /** The new value in place of an old one; the old one must come earlier or be a source. */
  readonly mapped: (value: Value) => Value;
}

/**
 * Looks at a node of the old graph whose inputs are already rebuilt.
 * @returns the new outputs by name, or null to rebuild the node as it is.
 */
export type Rule = (
  node: Node,
  inputs: Readonly<Record<string, Value>>,
  context: RewriteContext,
) => Readonly<Record<string, Value>> | null;

/** Applies a rule to every node in order. The old graph is left as it is; dead code disappears. */
export function rewrite(graph: Graph, rule: Rule): Graph {
  const builder = new GraphBuilder();
  const mapping = new Map<Value, Value>();
  const oldUses = countUses(graph);
  const newUses = new Map<Value, number>();
  const mapped = (value: Value): Value => {
    const known = mapping.get(value);
    if (known !== undefined) return known;
    const copy = copySource(builder, value);
    mapping.set(value, copy);
    return copy;
  };
  const context: RewriteContext = { builder, mapped, uses: (value) => newUses.get(value) ?? 0 };
  for (const node of graph.nodes) {
    const outputs = builder.scope(node.scope, () => rebuild(node, rule, context));
    for (const [name, old] of Object.entries(node.outputs)) {
      const value = outputs[name] as Value;
      mapping.set(old, value);
      newUses.set(value, (newUses.get(value) ?? 0) + (oldUses.get(valueKey(old)) ?? 0));
    }
  }
  return builder.finish(new Map([...graph.outputs].map(([name, value]) => [name, mapped(value)])));
}

function rebuild(node: Node, rule: Rule, context: RewriteContext): Readonly<Record<string, Value>> {
  if (node.kind === "input" || node.kind === "parameter") return { value: context.mapped(node.outputs.value as Value) };
  const inputs = Object.fromEntries(Object.entries(node.inputs).map(([role, value]) => [role, context.mapped(value)]));
  if (node.kind === "view")
    return { value: context.builder.reshape(inputs.x as Value, (node.outputs.value as Value).type.shape) };
  return rule(node, inputs, context) ?? context.builder.op(node.op as AnyOp, inputs, node.attributes);
}

function copySource(builder: GraphBuilder, value: Value): Value {
  const { shape, element } = value.type;
  if (value.node.kind === "input") return builder.input(value.node.label, shape, element);
  if (value.node.kind === "parameter") return builder.parameter(value.node.label, shape, element);
  throw new Error(`node ${value.node.id} (${value.node.label}) is used before it is built`);
}

/** Uses of every value, by key; a result counts as one. */
export function countUses(graph: Graph): Map<string, number> {
  const uses = new Map<string, number>();
  const add = (value: Value): void => void uses.set(valueKey(value), (uses.get(valueKey(value)) ?? 0) + 1);
  for (const node of graph.nodes) for (const value of Object.values(node.inputs)) add(value);
  for (const value of graph.outputs.values()) add(value);
  return uses;
}
