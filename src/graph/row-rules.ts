/**
 * @file How the rows of an op's result follow from rows of its inputs: for each op that computes row by row, the smaller problem
 * whose results are the wanted rows. The references then run on that smaller problem as they are.
 */

import { sameDim } from "../ops/op.ts";
import type { Dim, SizeOf, TensorType } from "../ops/op.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import type { Node, Value } from "./value.ts";

/** What a rule may look at. */
export interface RowCall {
  readonly node: Node;
  /** Wanted rows of the outputs, ascending. */
  readonly wanted: Uint32Array;
  readonly size: SizeOf;
  /** The contents of an integer input; undefined where the call does not have it. */
  readonly table: (role: string) => Uint32Array | undefined;
}

/** A smaller call of the same op. Inputs that it does not name take part in full. */
export interface SmallerCall {
  /** Rows of inputs that take part, ascending. */
  readonly rows: Readonly<Record<string, Uint32Array>>;
  /** Integer inputs as they are in the smaller problem. */
  readonly tables: Readonly<Record<string, ReferenceTensor>>;
}

/** How an op is restricted to some of its rows. */
export interface RowRule {
  /** Integer inputs whose contents the rule reads. */
  readonly reads: readonly string[];
  /** @returns the smaller call, or null where the op must be computed in full. */
  readonly restrict: (call: RowCall) => SmallerCall | null;
}

const NOWHERE = 0xffffffff;

function indices(values: Uint32Array): ReferenceTensor {
  return { shape: [values.length], data: values };
}

/** Places of rows in an ascending list of them. */
function placesIn(list: Uint32Array): ReadonlyMap<number, number> {
  return new Map(Array.from(list, (row, place) => [row, place]));
}

function ascending(values: Iterable<number>): Uint32Array {
  return Uint32Array.from(new Set(values)).sort();
}

/** Axis 0 of an input, at run time; 0 where the call does not have it. */
function rowsOf({ node, size }: RowCall, role: string): number {
  const dim = node.inputs[role]?.type.shape[0];
  return dim === undefined ? 0 : size(dim);
}

/** Offsets of the wanted rows, which lie in the segments of `offsets`. */
function restrictOffsets(offsets: Uint32Array, wanted: Uint32Array): Uint32Array {
  const result = new Uint32Array(offsets.length);
  let at = 0;
  for (let s = 0; s < offsets.length; s += 1) {
    while (at < wanted.length && (wanted[at] as number) < (offsets[s] as number)) at += 1;
    result[s] = at;
  }
  return result;
}

/** Each result row comes of the same rows of these inputs; `segments` is their segment table, where there is one. */
function sameRows(...roles: readonly string[]): RowRule {
  return {
    reads: ["segments"],
    restrict: ({ wanted, table }) => {
      const segments = table("segments");
      return {
        rows: Object.fromEntries(roles.map((role) => [role, wanted])),
        tables: segments === undefined ? {} : { segments: indices(restrictOffsets(segments, wanted)) },
      };
    },
  };
}

/** Rows by index: the sources that the entries name, and the indices into those sources alone. */
function throughTable(
  call: RowCall,
  source: string,
  table: Uint32Array,
  entries: Uint32Array,
): { readonly rows: Uint32Array; readonly table: ReferenceTensor } {
  const count = rowsOf(call, source);
  const named = Array.from(entries, (entry) => table[entry] as number);
  const rows = ascending(named.filter((row) => row < count));
  const places = placesIn(rows);
  return { rows, table: indices(Uint32Array.from(named, (row) => places.get(row) ?? NOWHERE)) };
}

/** `gatherOf` reads its rows through `gather`; results go to rows `scatter` of a base. */
function gatherAndScatter(call: RowCall, gatherOf: string): SmallerCall {
  const { wanted, table } = call;
  const [gather, scatter] = [table("gather"), table("scatter")];
  const goals = placesIn(wanted);
  const entries =
    scatter === undefined
      ? wanted
      : Uint32Array.from(scatter.keys()).filter((entry) => goals.has(scatter[entry] as number));
  const rows: Record<string, Uint32Array> = { x: entries, residual: entries };
  const tables: Record<string, ReferenceTensor> = {};
  if (gather !== undefined) {
    const taken = throughTable(call, gatherOf, gather, entries);
    rows[gatherOf] = taken.rows;
    tables.gather = taken.table;
  }
  if (scatter !== undefined) {
    for (const role of ["base", "weight", "origin"]) rows[role] = wanted;
    tables.scatter = indices(Uint32Array.from(entries, (entry) => goals.get(scatter[entry] as number) as number));
  }
  return { rows, tables };
}

const linear: RowRule = { reads: ["gather", "scatter"], restrict: (call) => gatherAndScatter(call, "x") };

const norm: RowRule = {
  reads: ["gather", "scatter"],
  restrict: (call) => gatherAndScatter(call, String(call.node.attributes.gatherOf ?? "x")),
};

const gatherRows: RowRule = {
  reads: ["rows"],
  restrict: (call) => {
    const { rows, table } = throughTable(call, "x", call.table("rows") as Uint32Array, call.wanted);
    return { rows: { x: rows }, tables: { rows: table } };
  },
};

const scatterAddRows: RowRule = {
  reads: ["rows"],
  restrict: ({ wanted, table }) => {
    const targets = table("rows") as Uint32Array;
    const goals = placesIn(wanted);
    const entries = Uint32Array.from(targets.keys()).filter((entry) => goals.has(targets[entry] as number));
    const moved = Uint32Array.from(entries, (entry) => goals.get(targets[entry] as number) as number);
    return { rows: { base: wanted, weight: wanted, x: entries }, tables: { rows: indices(moved) } };
  },
};

/** A right side of another shape is a row or a number that repeats. */
const elementwise: RowRule = {
  reads: [],
  restrict: ({ node, wanted }) => {
    const [a, b] = [node.inputs.a?.type as TensorType, node.inputs.b?.type];
    const repeats =
      b === undefined || b.shape.length !== a.shape.length || !sameDim(a.shape[0] as Dim, b.shape[0] as Dim);
    return { rows: repeats ? { a: wanted } : { a: wanted, b: wanted }, tables: {} };
  },
};

/** The other side is one vector for all rows, or a row for each. */
const rowDot: RowRule = {
  reads: [],
  restrict: ({ node, wanted }) => {
    const rows = node.inputs.w?.type.shape.length === 2 ? { x: wanted, w: wanted } : { x: wanted };
    return { rows, tables: {} };
  },
};

/** Of its input a constant takes the shape, or the first axes of it. */
const fill: RowRule = {
  reads: [],
  restrict: ({ node, wanted }) => (node.attributes.axes === 0 ? null : { rows: { x: wanted }, tables: {} }),
};

/** Queries by row; of the keys, all of every segment that asks. Positions that follow from a row's place are written out. */
const attention: RowRule = {
  reads: ["q_segments", "kv_segments"],
  restrict: ({ node, wanted, table }) => {
    const queries = table("q_segments") as Uint32Array;
    const keys = table("kv_segments") as Uint32Array;
    const asked = restrictOffsets(queries, wanted);
    const keyRows: number[] = [];
    const keyOffsets = new Uint32Array(keys.length);
    const positions = new Uint32Array(wanted.length);
    for (let s = 0; s + 1 < asked.length; s += 1) {
      const [from, to] = [asked[s] as number, asked[s + 1] as number];
      const last = to > from ? (keys[s + 1] as number) : 0;
      for (let row = keys[s] as number; row < last; row += 1) keyRows.push(row);
      keyOffsets[s + 1] = keyRows.length;
      for (let at = from; at < to; at += 1) positions[at] = (wanted[at] as number) - (queries[s] as number);
    }
    const kv = Uint32Array.from(keyRows);
    const given = node.inputs.positions !== undefined;
    return {
      rows: { q: wanted, kv, kv_positions: kv, ...(given ? { positions: wanted } : {}) },
      tables: {
        q_segments: indices(asked),
        kv_segments: indices(keyOffsets),
        ...(given ? {} : { positions: indices(positions) }),
      },
    };
  },
};

/** Ops that compute row by row. The others are computed in full. */
const rules: Readonly<Record<string, RowRule>> = {
  activation: sameRows("x"),
  adapter: sameRows("x", "residual"),
  attention,
  elementwise,
  fill,
  "gather-rows": gatherRows,
  "layer-norm": norm,
  matmul: linear,
  "rms-norm": norm,
  "row-dot": rowDot,
  "scatter-add-rows": scatterAddRows,
  "segment-affine": sameRows("x", "residual"),
};

/** The same elements under another shape: the same rows, where rows stay rows. */
const view: RowRule = {
  reads: [],
  restrict: ({ node, wanted }) => {
    const [from, to] = [node.inputs.x as Value, node.outputs.value as Value];
    if (!sameDim(from.type.shape[0] as Dim, to.type.shape[0] as Dim)) return null;
    return { rows: { x: wanted }, tables: {} };
  },
};

/** @returns the rule of a node, or undefined where it is computed in full. */
export function rowRule({ kind, label }: Node): RowRule | undefined {
  if (kind === "view") return view;
  return kind === "op" ? rules[label] : undefined;
}
