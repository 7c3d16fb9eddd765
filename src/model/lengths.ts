/** @file Everything that follows from the lengths of a batch: run-time sizes, segment tables, capacities of plans. */

import { copiesOf, fillFeed, offsetsOf, viewsOf } from "../adapters/feeds.ts";
import type { Feed, FeedSource, Stage, StageStep } from "../adapters/feeds.ts";
import { stagePrefix } from "../adapters/evaluate/context.ts";
import { prefixTable } from "../adapters/pack-rows.ts";
import type { AdapterBank } from "../adapters/bank.ts";
import type { Program, View } from "../adapters/program.ts";
import type { Graph } from "../graph/value.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { HostFeed, HostShape } from "../hosts/host.ts";
import { probabilityTables } from "../hosts/symbols.ts";
import { blocksOf, keysTable, selectionOf, selectionTable } from "../routing/selection.ts";
import type { SelectionRule } from "../routing/selection.ts";
import { blockKeys, blockOffsets, selectionTableData } from "./selection-tables.ts";
import type { NamedRows, SelectionSource } from "./selection-tables.ts";

/** Run-time inputs and sizes of one batch. */
export interface Lengths {
  readonly inputs: Readonly<Record<string, Uint32Array | Float32Array>>;
  readonly sizes: Sizes;
  /** The segment table of a stage of rows, or of the rows selected among them. */
  readonly table: (name: string) => Uint32Array;
  readonly source: FeedSource;
}

/** A graph with the run-time inputs of its compositions. */
export interface BuiltGraph {
  readonly graph: Graph;
  /** By name; `light` is the composition of the light path where it has its own. */
  readonly feeds: ReadonlyMap<string, { readonly feed: Feed; readonly light: boolean }>;
}

/** What the feeds of a run are filled from. */
export interface LengthParts {
  readonly shape: HostShape;
  readonly rows: readonly number[];
  readonly hostFeed: HostFeed;
  readonly bank: AdapterBank;
  readonly programs: { readonly dense: Program; readonly light: Program };
  readonly types: Uint32Array | null;
  /** Run-time numbers besides lengths: which head runs. */
  readonly slots: Sizes;
  /** Absent where no router names rows. */
  readonly named?: NamedRows | undefined;
  /** Numbers that tell sequences apart; asked for only where a router reads them. */
  readonly keys?: () => Uint32Array;
}

/** Run-time symbols that a graph uses. */
export function symbolsOf(graph: Graph): Set<string> {
  const symbols = new Set<string>();
  for (const node of graph.nodes) {
    for (const { type } of Object.values(node.outputs)) {
      for (const dim of type.shape) if (typeof dim === "object") symbols.add(dim.symbol);
    }
  }
  return symbols;
}

/** How many attention probabilities there are between the rows of two segment tables, over all heads. */
function probabilityCountOf(queries: Uint32Array, keys: Uint32Array, heads: number): number {
  let count = 0;
  for (let s = 0; s + 1 < queries.length; s += 1) {
    const rows = (queries[s + 1] as number) - (queries[s] as number);
    count += heads * rows * ((keys[s + 1] as number) - (keys[s] as number));
  }
  return count;
}

/** @returns the stage that a run-time name begins with. */
export function stageOf(name: string): Stage {
  const steps: StageStep[] = [];
  for (let rest = name; ; rest = rest.slice(rest.indexOf(".") + 1)) {
    if (rest.startsWith("prompted.")) steps.push("prompted");
    else if (rest.startsWith("copies.")) steps.push("copies");
    else return steps;
  }
}

/** Sizes and run-time inputs that a graph needs for sequences of these lengths. */
export function lengthsFor({ graph, feeds }: BuiltGraph, parts: LengthParts): Lengths {
  const { rows, shape, hostFeed } = parts;
  const inputs: Record<string, Uint32Array | Float32Array> = { ...hostFeed.inputs, segments: offsetsOf(rows) };
  const table = (name: string): Uint32Array => {
    inputs[name] ??= tableNamed(name, source, parts);
    return inputs[name] as Uint32Array;
  };
  const source: FeedSource = {
    program: parts.programs.dense,
    bank: parts.bank,
    rows,
    types: parts.types,
    prefixTable,
    table,
  };
  const light = { ...source, program: parts.programs.light };
  for (const [name, { feed, light: isLight }] of feeds) inputs[name] = fillFeed(feed, isLight ? light : source);
  const sizes: Record<string, number> = {
    ...hostFeed.sizes,
    ...parts.slots,
    rows: 0,
    sequences: rows.length,
    offsets: rows.length + 1,
  };
  for (const length of rows) sizes.rows = (sizes.rows as number) + length;
  for (const node of graph.nodes) {
    if (node.kind !== "input") continue;
    const { label } = node;
    const ours =
      selectionOf(label) !== null ||
      blocksOf(label) !== null ||
      label === `${stagePrefix(stageOf(label))}${keysTable("")}`;
    if (ours || label.endsWith("segments")) table(label);
  }
  for (const symbol of symbolsOf(graph)) sizes[symbol] ??= sizeOf(symbol, source);
  for (const symbol of symbolsOf(graph)) {
    const tables = probabilityTables(symbol)?.map(table);
    if (tables !== undefined)
      sizes[symbol] = probabilityCountOf(...(tables as [Uint32Array, Uint32Array]), shape.heads);
  }
  sizeByInputs(graph, inputs, sizes);
  return { inputs, sizes, table, source };
}

/** A table of a stage: its segments, its blocks, what a router selects, or what tells its sequences apart. */
function tableNamed(name: string, source: FeedSource, { named, keys }: LengthParts): Uint32Array {
  const views = (prefix: string): readonly View[] => viewsOf(source, stageOf(prefix));
  const choices: SelectionSource = { views, named };
  const selected = selectionOf(name);
  if (selected !== null) return selectionTableData(choices, selected, selected.table ?? "segments");
  const own = (): ((sequence: number) => number) => {
    if (keys === undefined) throw new Error(`${name} holds numbers of sequences, and nothing gives them`);
    const numbers = keys();
    return (sequence) => numbers[sequence] as number;
  };
  const blocks = blocksOf(name);
  if (blocks !== null) {
    const { prefix, block } = blocks;
    return blocks.table === "keys" ? blockKeys(choices, prefix, block, own()) : blockOffsets(choices, prefix, block);
  }
  if (!name.endsWith(keysTable(""))) return offsetsOf(views(name).map(({ rows }) => rows));
  const keyOf = own();
  return Uint32Array.from(views(name), ({ sequence }) => keyOf(sequence));
}

/** The size of a stage's symbol; 0 for symbols that an input's length gives. */
function sizeOf(symbol: string, source: FeedSource): number {
  const selected = selectionOf(symbol);
  const stage = stageOf(symbol);
  if (selected !== null) return source.table(selectionTable(selected, "segments")).at(-1) as number;
  const kind = symbol.slice(stagePrefix(stage).length);
  const views = viewsOf(source, stage);
  if (kind === "rows") return views.reduce((sum, { rows }) => sum + rows, 0);
  if (kind === "sequences") return views.length;
  return kind === "offsets" ? views.length + 1 : 0;
}

/** Lengths of tables that a composition fills: pieces of a cut, rows of prefixes. */
function sizeByInputs(
  graph: Graph,
  inputs: Record<string, Uint32Array | Float32Array>,
  sizes: Record<string, number>,
): void {
  for (const node of graph.nodes) {
    const data = inputs[node.label];
    if (node.kind !== "input" || data === undefined) continue;
    const [dim] = (node.outputs.value as { type: { shape: readonly unknown[] } }).type.shape as [
      { symbol: string; times: number },
    ];
    if (typeof dim === "object" && sizes[dim.symbol] === 0) sizes[dim.symbol] = data.length / dim.times;
  }
}

/** @returns true for the rows of a stage, false for a table's own length. */
export function isStage(symbol: string): boolean {
  return symbol.slice(stagePrefix(stageOf(symbol)).length) === "rows";
}

/** The most rows that a rule can select of so many rows in so many sequences. */
function capacityOf(rule: SelectionRule, rows: number, sequences: number, size: number): number {
  if (rule.kind === "given") return Math.min(rows, bucket(size, 16));
  // Every sequence, and every full block, rounds up by less than one row.
  const blocks = rule.kind === "reduced" && rule.block !== null ? Math.floor(rows / rule.block) : 0;
  return Math.min(rows, Math.floor(rows / rule.reduction) + sequences + blocks);
}

/** The next power of two, from a floor on: plans are made for a few capacities, not for every length. */
function bucket(value: number, floor: number): number {
  return Math.max(floor, 2 ** Math.ceil(Math.log2(Math.max(value, 1))));
}

/**
 * Capacities of a new plan that is to hold these sizes: rows and sequences in powers of two, and for everything that
 * follows from them the most that can happen at these capacities.
 */
export function capacitiesFor({ sizes, source }: Lengths, maxRows: number | undefined): Sizes {
  const copies = copiesOf(source.program);
  const sequences = (stage: Stage): number => bucket(viewsOf(source, stage).length, 8);
  const rows = (stage: Stage): number => {
    const floor = stage.includes("copies") ? copies * (maxRows ?? 0) : (maxRows ?? 0);
    return Math.max(
      bucket(
        viewsOf(source, stage).reduce((sum, view) => sum + view.rows, 0),
        16,
      ),
      floor,
    );
  };
  const capacities: Record<string, number> = {};
  for (const [symbol, size] of Object.entries(sizes)) {
    const selected = selectionOf(symbol);
    const stage = stageOf(symbol);
    const kind = symbol.slice(stagePrefix(stage).length);
    if (kind === "sequences") capacities[symbol] = sequences(stage);
    else if (kind === "offsets") capacities[symbol] = sequences(stage) + 1;
    else if (selected !== null) {
      capacities[symbol] = capacityOf(selected.rule, rows(stage), sequences(stage), size);
    } else if (probabilityTables(symbol) !== null) capacities[symbol] = bucket(size, 1024);
    else if (kind === "rows") capacities[symbol] = rows(stage);
    else if (symbol === "frames") capacities[symbol] = rows([]);
    else capacities[symbol] = bucket(size, 16);
  }
  return capacities;
}
