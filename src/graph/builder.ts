/** @file The graph builder: hash-consed values, scopes and dotted names. */

import { EngineError } from "../errors.ts";
import { formatShape } from "../ops/op.ts";
import type { Builder } from "../ops/gradient.ts";
import type { Attributes, Dim, Op, Shape, TensorType } from "../ops/op.ts";
import type { AnyOp, Graph, Node, NodeKind, Value } from "./value.ts";

/** A gradient that takes the place of the derivative: a value counts as a function of its sources, with this rule. */
export interface CustomGradient {
  readonly sources: readonly Value[];
  /** ∂L/∂source of every source from ∂L/∂value; undefined where there is none. */
  readonly rule: (gradient: Value) => readonly (Value | undefined)[];
}

/** What stands before the label of a table of indices whose order the host gives. */
export const ORDER = "order ";

/** What the label of the same elements under another shape begins with. */
const VIEW = "view ";

/**
 * Builds a graph of immutable values. The same op on the same inputs with the same attributes is the same value, so
 * work that two branches share is done once without any code about sharing.
 * @example
 * const b = new GraphBuilder();
 * const y = b.op(activationOp, { x: b.input("x", [runtimeDim("rows"), 64]) }, { kind: "relu" }).y;
 * const graph = b.finish({ y });
 */
export class GraphBuilder implements Builder {
  readonly #nodes: Node[] = [];
  readonly #known = new Map<string, Node>();
  readonly #names = new Map<string, Value>();
  readonly #custom = new Map<Node, CustomGradient>();
  readonly #differentiable: boolean;
  #scope = "";

  /** @param options.differentiable gradients will be built: rules of {@link withGradient} are kept */
  constructor(options: { readonly differentiable?: boolean } = {}) {
    this.#differentiable = options.differentiable ?? false;
  }

  /** Whether gradients will be built: forms that a gradient can go back through are asked for then. */
  get differentiable(): boolean {
    return this.#differentiable;
  }

  /** Capture points by dotted name. A name is an alias: one value may have several. */
  get names(): ReadonlyMap<string, Value> {
    return this.#names;
  }

  /** A value supplied at every run. */
  input(name: string, shape: Shape, element: TensorType["element"] = "f32"): Value {
    return only(this.#node("input", name, null, {}, {}, { value: { shape, element } }));
  }

  /** A value that stays on the GPU: a weight, or a slot of a bank. */
  parameter(name: string, shape: Shape, element: TensorType["element"] = "f32"): Value {
    return only(this.#node("parameter", name, null, {}, {}, { value: { shape, element } }));
  }

  /** The same elements under another shape; costs nothing. Throws SHAPE when the element counts differ. */
  reshape(x: Value, shape: Shape): Value {
    if (!sameCount(x.type.shape, shape)) {
      const message = `reshape: ${formatShape(x.type.shape)} and ${formatShape(shape)} hold different numbers of elements`;
      throw new EngineError("SHAPE", message, { where: this.#scope });
    }
    const base = x.node.label.startsWith(VIEW) ? (x.node.inputs.x as Value) : x;
    if (formatShape(base.type.shape) === formatShape(shape)) return base;
    const label = `${VIEW}${formatShape(shape)}`;
    return only(this.#node("view", label, null, { x: base }, {}, { value: { shape, element: x.type.element } }));
  }

  /** The same elements as another value: what is computed of it does not merge with what is computed of the original. Costs nothing. */
  copy(x: Value): Value {
    return only(this.#node("view", "copy", null, { x }, {}, { value: x.type }));
  }

  /**
   * The same value with a gradient of its own, such as a straight-through one. Where nothing is differentiated it is the value.
   * @param sources what the value counts as a function of; the rule gives their gradients, in their order
   */
  withGradient(value: Value, sources: readonly Value[], rule: CustomGradient["rule"]): Value {
    if (!this.#differentiable) return value;
    const roles = Object.fromEntries(sources.map((source, index) => [`source${index}`, source]));
    const label = `custom gradient ${this.#custom.size}`;
    const node = this.#node("view", label, null, { x: value, ...roles }, {}, { value: value.type });
    this.#custom.set(node, { sources, rule });
    return only(node);
  }

  /** @returns the gradient that {@link withGradient} has given a node, else null. */
  customGradient(node: Node): CustomGradient | null {
    return this.#custom.get(node) ?? null;
  }

  /** The places of a run-time table of indices in ascending order of what they hold; see {@link Builder.order}. */
  order(index: Value): Value {
    if (this.given(index)) return this.input(`${ORDER}${index.node.label}`, index.type.shape, "u32");
    const message = `${index.node.label}: the order of indices that the device finds is not known`;
    throw new EngineError("UNSUPPORTED", message, { where: this.#scope });
  }

  /** Whether the host gives these indices. */
  given(index: Value): boolean {
    return index.node.kind === "input";
  }

  /** Applies an op. Inputs that are undefined are left out. Throws SHAPE with the scope when the types do not fit. */
  op<A>(op: Op<A>, inputs: Readonly<Record<string, Value | undefined>>, attributes: A): Record<string, Value> {
    const given: Record<string, Value> = {};
    for (const [role, value] of Object.entries(inputs)) if (value !== undefined) given[role] = value;
    const types = Object.fromEntries(Object.entries(given).map(([role, value]) => [role, value.type]));
    let outputs: Record<string, TensorType>;
    try {
      outputs = op.infer(types, attributes);
    } catch (error) {
      if (!(error instanceof EngineError) || this.#scope === "") throw error;
      throw new EngineError(error.code, `${this.#scope}: ${error.message}`, {
        fix: error.fix,
        where: error.where,
        cause: error,
      });
    }
    const node = this.#node("op", op.stem, op as unknown as AnyOp, given, attributes as Attributes, outputs);
    return node.outputs as Record<string, Value>;
  }

  /** Runs `build` inside a scope; names and explain() carry its dotted path. */
  scope<T>(name: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = outer === "" ? name : `${outer}.${name}`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** Gives a value a name inside the current scope, under which it can be captured. */
  name(name: string, value: Value): Value {
    const path = this.#scope === "" ? name : `${this.#scope}.${name}`;
    const taken = this.#names.get(path);
    if (taken !== undefined && taken !== value) {
      throw new EngineError("SHAPE", `the name ${path} is given to two different values`, { where: path });
    }
    this.#names.set(path, value);
    return value;
  }

  /** @returns the graph of everything that the outputs need, in topological order. */
  finish(outputs: Readonly<Record<string, Value>> | ReadonlyMap<string, Value>): Graph {
    const results = outputs instanceof Map ? new Map(outputs) : new Map(Object.entries(outputs));
    return { nodes: reachable(this.#nodes, results.values()), outputs: results };
  }

  /** @returns the nodes that these values need, in topological order. */
  nodesOf(values: Iterable<Value>): readonly Node[] {
    return reachable(this.#nodes, values);
  }

  #node(
    kind: NodeKind,
    label: string,
    op: AnyOp | null,
    inputs: Record<string, Value>,
    attributes: Attributes,
    outputs: Record<string, TensorType>,
  ): Node {
    const key = nodeKey(kind, label, inputs, attributes);
    const known = this.#known.get(key);
    if (known !== undefined) {
      if (kind === "input" || kind === "parameter") this.#sameSource(known, outputs.value as TensorType);
      return known;
    }
    const values: Record<string, Value> = {};
    const node: Node = {
      id: this.#nodes.length,
      kind,
      label,
      op,
      inputs,
      attributes: clean(attributes),
      outputs: values,
      scope: this.#scope,
    };
    for (const [name, type] of Object.entries(outputs)) values[name] = { node, output: name, type };
    this.#nodes.push(node);
    this.#known.set(key, node);
    return node;
  }

  #sameSource(known: Node, type: TensorType): void {
    const first = only(known).type;
    if (formatShape(first.shape) === formatShape(type.shape) && first.element === type.element) return;
    const message = `${known.kind} ${known.label} is ${formatShape(first.shape)} in one place and ${formatShape(type.shape)} in another`;
    throw new EngineError("SHAPE", message, { where: known.label });
  }
}

/** Nodes that the values need, in the given (topological) order. */
export function reachable(nodes: readonly Node[], values: Iterable<Value>): Node[] {
  const needed = new Set<Node>();
  const stack = [...values].map((value) => value.node);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    for (const value of Object.values(node.inputs)) stack.push(value.node);
  }
  return nodes.filter((node) => needed.has(node));
}

function only(node: Node): Value {
  return node.outputs.value as Value;
}

function clean(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
}

function nodeKey(kind: NodeKind, label: string, inputs: Record<string, Value>, attributes: Attributes): string {
  const roles = Object.keys(inputs)
    .sort()
    .map((role) => `${role}=${(inputs[role] as Value).node.id}.${(inputs[role] as Value).output}`);
  const settings = Object.entries(clean(attributes)).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([kind, label, roles, settings]);
}

/** Element counts as a number times run-time symbols: equal exactly when they are equal for every run. */
function sameCount(a: Shape, b: Shape): boolean {
  return countKey(a) === countKey(b);
}

function countKey(shape: Shape): string {
  let factor = 1;
  const symbols: string[] = [];
  for (const dim of shape as readonly Dim[]) {
    if (typeof dim === "number") factor *= dim;
    else {
      factor *= dim.times;
      symbols.push(dim.symbol);
    }
  }
  return `${factor}·${symbols.sort().join("·")}`;
}
