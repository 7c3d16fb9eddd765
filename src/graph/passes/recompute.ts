/**
 * @file Activation recomputation (Chen et al. 2016, arXiv 1604.06174): values inside a segment of the forward pass are not kept for the
 * backward pass but computed once more, from what enters the segment, right before they are read. The same kernels on the same numbers:
 * gradients have the same bits.
 */

import { GraphBuilder } from "../builder.ts";
import { root, valueKey } from "../value.ts";
import type { AnyOp, Graph, Node, Value } from "../value.ts";

/** How a graph with a backward pass is divided. */
export interface Segments {
  /** The segment of the forward pass that a scope belongs to; null for none, whose values are kept. */
  readonly segmentOf: (scope: string) => string | null;
  /** Whether a scope belongs to the backward pass. */
  readonly isBackward: (scope: string) => boolean;
}

/** Segments that are layers. The last one is kept: the backward pass begins with it. */
export function layerSegments(layers: number): Segments {
  return {
    segmentOf: (scope) => {
      const [, layer] = /^layers\.(\d+)(\.|$)/.exec(scope) ?? [];
      return layer === undefined || Number(layer) === layers - 1 ? null : layer;
    },
    isBackward: (scope) => scope.startsWith("backward"),
  };
}

/** Keys of values that outlive their segment: read elsewhere in the forward pass, or results. */
function lasting({ nodes, outputs }: Graph, { segmentOf, isBackward }: Segments): Set<string> {
  const kept = new Set([...outputs.values()].map((value) => valueKey(root(value))));
  for (const { kind, scope, inputs } of nodes) {
    if (kind !== "op" || isBackward(scope)) continue;
    for (const value of Object.values(inputs)) {
      const source = root(value);
      if (segmentOf(source.node.scope) !== segmentOf(scope)) kept.add(valueKey(source));
    }
  }
  return kept;
}

/** A graph under reconstruction. */
class Recomputing {
  readonly #builder = new GraphBuilder();
  readonly #graph: Graph;
  readonly #segments: Segments;
  readonly #kept: ReadonlySet<string>;
  readonly #new = new Map<string, Value>();
  readonly #again = new Map<string, Value>();

  constructor(graph: Graph, segments: Segments) {
    this.#graph = graph;
    this.#segments = segments;
    this.#kept = lasting(graph, segments);
  }

  run(): Graph {
    const { nodes, outputs } = this.#graph;
    for (const node of nodes) {
      const back = node.kind === "op" && this.#segments.isBackward(node.scope);
      this.#builder.scope(node.scope, () => {
        this.#keep(this.#new, node, (value) =>
          back && this.#isInner(value) ? this.#oncemore(value) : this.#mapped(value),
        );
      });
    }
    return this.#builder.finish(new Map([...outputs].map(([name, value]) => [name, this.#mapped(value)])));
  }

  /** Builds a node from inputs that `input` finds, and notes its outputs. */
  #keep(values: Map<string, Value>, node: Node, input: (value: Value) => Value): void {
    for (const [name, value] of Object.entries(this.#built(node, input)))
      values.set(valueKey(node.outputs[name] as Value), value);
  }

  #built(
    { kind, label, inputs, outputs, op, attributes }: Node,
    input: (value: Value) => Value,
  ): Record<string, Value> {
    const b = this.#builder;
    const own = outputs.value as Value;
    if (kind === "input") return { value: b.input(label, own.type.shape, own.type.element) };
    if (kind === "parameter") return { value: b.parameter(label, own.type.shape, own.type.element) };
    if (kind === "view") return { value: b.reshape(input(inputs.x as Value), own.type.shape) };
    const given = Object.fromEntries(Object.entries(inputs).map(([role, value]) => [role, input(value)]));
    return b.op(op as AnyOp, given, attributes);
  }

  #mapped(value: Value): Value {
    return this.#new.get(valueKey(value)) as Value;
  }

  /** Whether a value is made in a segment and not kept. */
  #isInner(value: Value): boolean {
    const { node } = root(value);
    if (node.kind !== "op" || this.#segments.isBackward(node.scope)) return false;
    return this.#segments.segmentOf(node.scope) !== null && !this.#kept.has(valueKey(root(value)));
  }

  /** An inner value, computed once more; what enters its segment is the same elements as another value, so that the two do not merge. */
  #oncemore(value: Value): Value {
    const key = valueKey(value);
    const known = this.#again.get(key);
    if (known !== undefined) return known;
    const { node } = value;
    if (!this.#isInner(value)) {
      const same = this.#mapped(value);
      return root(value).node.kind === "op" ? this.#builder.copy(same) : same;
    }
    this.#builder.scope(`recompute.${node.scope}`, () =>
      this.#keep(this.#again, node, (input) => this.#oncemore(input)),
    );
    return this.#again.get(key) as Value;
  }
}

/** @returns an equal graph that keeps less for its backward pass and computes more. Pass it through no other pass afterwards. */
export function recompute(graph: Graph, segments: Segments): Graph {
  return new Recomputing(graph, segments).run();
}
