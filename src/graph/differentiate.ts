/**
 * @file Reverse-mode differentiation: from a loss to the leaves that are trained. Gradients are graph values like all others, built
 * towards those leaves only: what no leaf lies below has no backward pass.
 */

import { EngineError } from "../errors.ts";
import { elementwise } from "../ops/elementwise.ts";
import { fill } from "../ops/fill.ts";
import type { BackwardCall, Gradient, GradientRule, Ref } from "../ops/gradient.ts";
import { gradientRules } from "../ops/gradients/index.ts";
import { formatShape } from "../ops/op.ts";
import type { GraphBuilder } from "./builder.ts";
import { callOf } from "./schedule.ts";
import { valueKey } from "./value.ts";
import type { Node, Value } from "./value.ts";

/** What is trained: a parameter, or of a stack of slots one. */
export interface Leaf {
  /** The label of the parameter. */
  readonly parameter: string;
  /** The slot that is trained, where the parameter is a stack of them. */
  readonly slot?: number;
  /** Elements of the parameter, or of its slot; a row of axis 0 when absent. */
  readonly elements?: number;
}

/** ∂L of a stretch of a leaf's elements. */
export interface LeafGradient {
  /** The first element, from the start of the parameter or of its slot. */
  readonly at: number;
  readonly value: Value;
}

/** A value from which gradients go back, and ∂L of it. */
export interface Seed {
  readonly value: Value;
  /** Of the value's shape. */
  readonly gradient: Value;
}

/** Contributions to the gradient of a value, in the order in which they are found. */
type Contributions = Map<string, Ref[]>;

/** A differentiation under way. */
interface Sweep {
  readonly b: GraphBuilder;
  readonly leaves: ReadonlyMap<string, Leaf>;
  /** Keys of values that depend on a leaf. */
  readonly needing: ReadonlySet<string>;
  readonly found: Contributions;
  /** Contributions to leaves, by parameter and first element. */
  readonly parts: Map<string, Map<number, Ref[]>>;
}

function isLeaf(node: Node, leaves: ReadonlyMap<string, Leaf>): boolean {
  return node.kind === "parameter" && leaves.has(node.label);
}

/** Keys of all values that depend on a leaf. */
function dependents(b: GraphBuilder, nodes: readonly Node[], leaves: ReadonlyMap<string, Leaf>): Set<string> {
  const needing = new Set<string>();
  for (const node of nodes) {
    const custom = b.customGradient(node);
    const sources = custom === null ? Object.values(node.inputs) : custom.sources;
    const depends = isLeaf(node, leaves) || sources.some((value) => needing.has(valueKey(value)));
    if (!depends) continue;
    // Whole numbers have no gradient: a choice of rows does not make what is read through it depend on its scores.
    for (const value of Object.values(node.outputs)) if (value.type.element !== "u32") needing.add(valueKey(value));
  }
  return needing;
}

function sum(b: GraphBuilder, terms: readonly Ref[]): Value {
  const [first, ...others] = terms as readonly Value[];
  return others.reduce(
    (a, value) => b.op(elementwise, { a, b: value }, { operation: "add" }).y as Value,
    first as Value,
  );
}

/** Takes a contribution to a whole value, which may be a leaf. */
function add({ found, leaves, parts }: Sweep, value: Value, gradient: Ref): void {
  if (isLeaf(value.node, leaves)) {
    takePart(parts, value.node.label, 0, gradient);
    return;
  }
  const key = valueKey(value);
  found.set(key, [...(found.get(key) ?? []), gradient]);
}

/** Takes what a rule gave for one input. */
function take(sweep: Sweep, node: Node, role: string, gradient: Gradient): void {
  const value = node.inputs[role] as Value;
  if ("type" in gradient) {
    expectShape(node, role, gradient, value);
    add(sweep, value, gradient);
    return;
  }
  if (!isLeaf(value.node, sweep.leaves))
    throw unsupported(node, `the gradient of ${role} has parts, but ${role} is no parameter that is trained`);
  for (const { at, value: part } of gradient) takePart(sweep.parts, value.node.label, at, part);
}

function takePart(all: Sweep["parts"], parameter: string, at: number, value: Ref): void {
  const parts = all.get(parameter) ?? new Map<number, Ref[]>();
  all.set(parameter, parts);
  parts.set(at, [...(parts.get(at) ?? []), value]);
}

/** A rule that gives another shape would add up nonsense: an error of the engine, found when the graph is built. */
function expectShape(node: Node, role: string, gradient: Ref, value: Value): void {
  const [found, expected] = [formatShape(gradient.type.shape), formatShape(value.type.shape)];
  if (found !== expected) throw unsupported(node, `the gradient of ${role} is ${found}, expected ${expected}`);
}

function unsupported(node: Node, message: string): EngineError {
  return new EngineError("UNSUPPORTED", `${node.label}: ${message}`, { where: node.scope });
}

/** Goes back through one node whose outputs have these gradients. */
function step(sweep: Sweep, node: Node, gradients: Readonly<Record<string, Value>>): void {
  const { b, leaves, needing } = sweep;
  const custom = b.customGradient(node);
  if (custom !== null) {
    custom.rule(gradients.value as Value).forEach((gradient, index) => {
      const source = custom.sources[index] as Value;
      if (gradient === undefined || !needing.has(valueKey(source))) return;
      expectShape(node, `source ${index}`, gradient, source);
      add(sweep, source, gradient);
    });
    return;
  }
  if (node.kind === "view") {
    const x = node.inputs.x as Value;
    take(sweep, node, "x", b.reshape(gradients.value as Value, x.type.shape));
    return;
  }
  const rule = gradientRules[node.label] as GradientRule | undefined;
  if (rule === undefined) throw unsupported(node, "has no gradient rule");
  const call: BackwardCall = {
    inputs: node.inputs,
    outputs: node.outputs,
    attributes: node.attributes,
    gradients,
    wants: (role) => {
      const value = node.inputs[role];
      return value !== undefined && needing.has(valueKey(value));
    },
    slotOf: (role) => leaves.get(node.inputs[role]?.node.label ?? "")?.slot ?? null,
    slotRows: (role) => slotRows(node.inputs[role] as Value, leaves),
  };
  for (const [role, gradient] of Object.entries(rule(b, call)))
    if (gradient !== undefined && call.wants(role)) take(sweep, node, role, gradient);
}

/** How many rows of a parameter's axis 0 belong to its slot that is trained. */
function slotRows({ node, type }: Value, leaves: ReadonlyMap<string, Leaf>): number {
  const row = type.shape.slice(1).reduce<number>((product, dim) => product * (dim as number), 1);
  const elements = leaves.get(node.label)?.elements;
  return elements === undefined ? 1 : elements / row;
}

/**
 * Builds ∂loss/∂leaf for every leaf, in the builder that holds the loss.
 * @param loss [1]
 * @returns as {@link backpropagate} does
 */
export function differentiate(
  b: GraphBuilder,
  loss: Value,
  leaves: readonly Leaf[],
): ReadonlyMap<string, readonly LeafGradient[]> {
  const shape = formatShape(loss.type.shape);
  if (shape !== "[1]") throw new EngineError("SHAPE", `the loss is ${shape}, expected [1]`, { where: "loss" });
  const one = b.op(fill, { x: loss }, { value: 1 }).y as Value;
  return backpropagate(b, [{ value: loss, gradient: one }], leaves);
}

/**
 * Builds ∂L/∂leaf for every leaf from ∂L of some values, in the builder that holds them. Work of the backward pass has the scope of
 * what it goes back through, behind `backward`.
 * @returns the gradients of every leaf by its parameter: stretches of its elements, the first ones first; none where no value depends
 * on the leaf
 * @throws EngineError UNSUPPORTED where an op on the way has no gradient, naming it and its place
 */
export function backpropagate(
  b: GraphBuilder,
  seeds: readonly Seed[],
  leaves: readonly Leaf[],
): ReadonlyMap<string, readonly LeafGradient[]> {
  const byParameter = new Map(leaves.map((leaf) => [leaf.parameter, leaf]));
  const nodes = b.nodesOf(seeds.map(({ value }) => value));
  const needing = dependents(b, nodes, byParameter);
  refuseCounted(nodes, needing);
  const sweep: Sweep = { b, leaves: byParameter, needing, found: new Map(), parts: new Map() };
  for (const { value, gradient } of seeds) if (needing.has(valueKey(value))) add(sweep, value, gradient);
  for (const node of nodes.toReversed()) {
    if (isLeaf(node, byParameter)) continue;
    b.scope(node.scope === "" ? "backward" : `backward.${node.scope}`, () => {
      const gradients: Record<string, Value> = {};
      for (const [name, value] of Object.entries(node.outputs)) {
        const terms = sweep.found.get(valueKey(value));
        if (terms !== undefined) gradients[name] = sum(b, terms);
      }
      if (Object.keys(gradients).length > 0) step(sweep, node, gradients);
    });
  }
  return collect(sweep, leaves);
}

/**
 * Rows whose number the device finds lie in buffers of the host's capacity: a sum over all of them would add up what no row of this run
 * has written.
 */
function refuseCounted(nodes: readonly Node[], needing: ReadonlySet<string>): void {
  const counts = nodes.flatMap((node) => {
    const count = node.op?.deviceCount?.(callOf(node));
    return count === undefined ? [] : [{ node, symbol: count.symbol }];
  });
  for (const { node, symbol } of counts) {
    const counted = ({ type }: Value): boolean =>
      type.shape.some((dim) => typeof dim === "object" && dim.symbol === symbol);
    const reached = nodes.some(({ outputs }) =>
      Object.values(outputs).some((value) => needing.has(valueKey(value)) && counted(value)),
    );
    if (reached) throw unsupported(node, "what is computed of rows that the device counts has no gradient");
  }
}

function collect({ b, parts }: Sweep, leaves: readonly Leaf[]): Map<string, readonly LeafGradient[]> {
  const gradients = new Map<string, readonly LeafGradient[]>();
  for (const { parameter } of leaves) {
    const own = [...(parts.get(parameter) ?? [])].sort(([a], [c]) => a - c);
    gradients.set(
      parameter,
      own.map(([at, terms]) => ({ at, value: sum(b, terms) })),
    );
  }
  return gradients;
}
