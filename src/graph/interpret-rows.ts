/**
 * @file Some rows of a graph's outputs in float64. A backward pass finds which rows of every value they need, and only those are
 * computed, through the same references as in `interpret`: the numbers are the same, bit for bit. Where rows meet (the keys of a
 * segment, a selection) everything that meets is computed, and so is every op without a rule: slower, never wrong. Below the last
 * layer of a stack that attends to all rows, all rows are needed, so there is nothing to be saved.
 */

import type { ReferenceTensor, ReferenceTensors } from "../reference/tensor.ts";
import { evaluateNode, foundSize } from "./interpret.ts";
import type { InterpretOptions } from "./interpret.ts";
import { rowRule } from "./row-rules.ts";
import type { SmallerCall } from "./row-rules.ts";
import { sizeLookup } from "./schedule.ts";
import type { Sizes } from "./schedule.ts";
import { valueKey } from "./value.ts";
import type { Graph, Node, Value } from "./value.ts";

/** Rows along axis 0, ascending; null for all of them. */
export type WantedRows = Uint32Array | null;

/** What is computed. `override` sees the nodes that are computed in full, among them those of outputs wanted in full. */
export interface InterpretRowsOptions extends InterpretOptions {
  /** Rows of the outputs by name; an output that is not named is computed in full. */
  readonly wanted: Readonly<Record<string, WantedRows>>;
  /** Called before every op: how many of them are done, and of how many. */
  readonly progress?: (done: number, total: number) => void;
}

/** A value, or some rows of it: `tensor` holds those of `rows`, in that order. */
interface Known {
  readonly rows: WantedRows;
  readonly tensor: ReferenceTensor;
}

/** Rows of a node that are needed, and the smaller call that gives them; null for all. */
type Part = { readonly rows: Uint32Array; readonly call: SmallerCall } | null;

/** @returns the wanted rows of the outputs of the graph in float64, by name. */
export function interpretRows(graph: Graph, options: InterpretRowsOptions): Map<string, ReferenceTensor> {
  const whole = wholeNodes(graph, options);
  const known = new KnownValues(options);
  let done = 0;
  const compute = (node: Node, part: Part): void => {
    if (node.kind === "op") options.progress?.((done += 1), graph.nodes.length);
    known.compute(node, part);
  };
  for (const node of graph.nodes) if (whole.has(node)) compute(node, null);
  const parts = neededParts(graph, options, { whole, known });
  for (const node of graph.nodes) {
    const part = parts.get(node);
    if (part !== undefined) compute(node, part);
  }
  return new Map([...graph.outputs].map(([name, value]) => [name, known.rows(value, options.wanted[name] ?? null)]));
}

/**
 * Nodes that are needed in full before any row can be chosen: those that find a length, tables that rules read, what is wanted in
 * full, and all before.
 */
function wholeNodes(graph: Graph, { wanted }: InterpretRowsOptions): ReadonlySet<Node> {
  const found = new Set<Node>();
  for (const [name, { node }] of graph.outputs) if ((wanted[name] ?? null) === null) found.add(node);
  for (const node of graph.nodes) {
    if (node.op?.deviceCount !== undefined) found.add(node);
    for (const role of rowRule(node)?.reads ?? []) {
      const value = node.inputs[role];
      if (value !== undefined) found.add(value.node);
    }
  }
  for (const node of graph.nodes.toReversed()) {
    if (found.has(node)) for (const value of Object.values(node.inputs)) found.add(value.node);
  }
  return found;
}

/** From the outputs back to the inputs: which rows of every other node are needed. Nodes that are not needed are left out. */
function neededParts(
  graph: Graph,
  options: InterpretRowsOptions,
  { whole, known }: { readonly whole: ReadonlySet<Node>; readonly known: KnownValues },
): ReadonlyMap<Node, Part> {
  const size = sizeLookup(known.sizes);
  const demands = new Map<Node, Set<number> | null>();
  const demand = (node: Node, rows: WantedRows): void => {
    const before = demands.get(node);
    demands.set(node, rows === null || before === null ? null : new Set([...(before ?? []), ...rows]));
  };
  for (const [name, { node }] of graph.outputs) demand(node, options.wanted[name] ?? null);
  const parts = new Map<Node, Part>();
  for (const node of graph.nodes.toReversed()) {
    const demanded = demands.get(node);
    if (demanded === undefined || whole.has(node)) continue;
    const rows = demanded === null ? null : Uint32Array.from(demanded).sort();
    const table = (role: string): Uint32Array | undefined => {
      const value = node.inputs[role];
      return value === undefined ? undefined : (known.rows(value, null).data as Uint32Array);
    };
    const call = rows === null ? null : (rowRule(node)?.restrict({ node, wanted: rows, size, table }) ?? null);
    parts.set(node, rows === null || call === null ? null : { rows, call });
    for (const [role, value] of Object.entries(node.inputs)) {
      if (call?.tables[role] === undefined) demand(value.node, call?.rows[role] ?? null);
    }
  }
  return parts;
}

/** What has been computed so far. */
class KnownValues {
  readonly #options: InterpretOptions;
  readonly #sizes: Record<string, number>;
  readonly #values = new Map<string, Known>();

  constructor(options: InterpretOptions) {
    this.#sizes = { ...options.sizes };
    this.#options = { ...options, sizes: this.#sizes };
  }

  /** Lengths by symbol: those that an op finds as soon as it has been computed. */
  get sizes(): Sizes {
    return this.#sizes;
  }

  /** Rows of a value that is known at least there. */
  rows(value: Value, rows: WantedRows): ReferenceTensor {
    const { rows: have, tensor } = this.#values.get(valueKey(value)) as Known;
    if (rows === null || rows === have) return tensor;
    return takeRows(tensor, have === null ? rows : placesOf(rows, have));
  }

  /** Computes a part of a node, or all of it. */
  compute(node: Node, part: Part): void {
    const inputs: Record<string, ReferenceTensor> = {};
    for (const [role, value] of Object.entries(node.inputs)) {
      inputs[role] = part?.call.tables[role] ?? this.rows(value, part?.call.rows[role] ?? null);
    }
    for (const [role, tensor] of Object.entries(part?.call.tables ?? {})) inputs[role] ??= tensor;
    const computed = part === null ? evaluateNode(node, inputs, this.#options) : this.#part(node, inputs, part.rows);
    for (const [name, tensor] of Object.entries(computed)) {
      const value = node.outputs[name];
      if (value !== undefined) this.#values.set(valueKey(value), { rows: part?.rows ?? null, tensor });
    }
    if (part === null) Object.assign(this.#sizes, foundSize(node, computed));
  }

  #part(node: Node, inputs: ReferenceTensors, rows: Uint32Array): ReferenceTensors {
    const { override: _, ...options } = this.#options;
    const computed = evaluateNode(node, inputs, options);
    if (node.kind !== "view") return computed;
    const { shape, data } = computed.value as ReferenceTensor;
    return { value: { shape: [rows.length, ...shape.slice(1)], data } };
  }
}

/** Where rows stand in an ascending list that holds them. */
function placesOf(rows: Uint32Array, list: Uint32Array): Uint32Array {
  let at = 0;
  return rows.map((row) => {
    while ((list[at] as number) < row) at += 1;
    return at;
  });
}

function takeRows({ shape, data }: ReferenceTensor, places: Uint32Array): ReferenceTensor {
  const width = shape.slice(1).reduce((product, axis) => product * axis, 1);
  const Elements = data.constructor as new (length: number) => Float64Array | Uint32Array;
  const taken = new Elements(places.length * width);
  places.forEach((place, index) => taken.set(data.subarray(place * width, (place + 1) * width), index * width));
  return { shape: [places.length, ...shape.slice(1)], data: taken };
}
