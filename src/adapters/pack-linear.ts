/**
 * @file Functions on linear maps as slot data (MATHS §2.7): LoRA, VeRA, DoRA and IA³ of both conventions. Maps that are
 * computed side by side share one low-rank product: A matrices one below the other, B matrices as blocks of their rows.
 */

import type { LinearMap } from "../sites/site.ts";
import type { BankEntry } from "./packed.ts";
import { padded } from "./packed.ts";
import type { LinearStructure, MapGroup } from "./structure.ts";

/** What one adapter does at one linear map. */
export type LinearPart = {
  readonly map: LinearMap;
  /** Gate weight [in] and bias; the change is weighed by it. */
  readonly gate: { readonly weight: Float32Array; readonly bias: number } | null;
} & (
  | {
      readonly kind: "lora";
      readonly rank: number;
      /** A [r, in] and B [out, r], and the factor of their product. */
      readonly a: Float32Array;
      readonly b: Float32Array;
      readonly factor: number;
      /** A bias [out] of B (PEFT's `lora_bias`), which the factor multiplies too. */
      readonly bias: Float32Array | null;
      /** Factor and summand of the sum y + BAx: DoRA. */
      readonly scale: Float32Array | null;
      readonly shift: Float32Array | null;
    }
  | { readonly kind: "output"; readonly scale: Float32Array }
  | { readonly kind: "input"; readonly scale: Float32Array }
);

/** The maps of a group in the order of their columns. */
export const GROUPS: Readonly<Record<MapGroup, readonly LinearMap[]>> = {
  qkv: ["query", "key", "value"],
  proj: ["proj"],
  up: ["up"],
  down: ["down"],
};

/** Suffixes of the tables that stand beside each other for one group. */
export const LINEAR_TABLES = { lora: ".lora", vector: ".vector", gate: ".gate" } as const;

/** A gate that is open to the last bit: maps without a gate of their own in a group that has one. */
const OPEN = 100;

/** Offsets in a slot of the vector table: factor and summand of the output, factor of the input. */
export function vectorLayout(
  outputs: number,
  inputs: number,
): { readonly shift: number; readonly input: number; readonly size: number } {
  const shift = padded(outputs);
  return { shift, input: 2 * shift, size: 2 * shift + padded(inputs) };
}

/** Widths of a group's product. */
export interface GroupShape {
  readonly inputs: number;
  /** Columns of every map. */
  readonly columns: number;
}

/** @returns the group of a map. */
export function groupOf(map: LinearMap): MapGroup {
  return map === "query" || map === "key" || map === "value" ? "qkv" : map;
}

/** @returns what of a group's parts shapes the graph. */
export function linearStructure(table: string, parts: readonly LinearPart[]): LinearStructure {
  return {
    table,
    lora: parts.some(({ kind }) => kind === "lora"),
    scale: parts.some((part) => part.kind === "output" || (part.kind === "lora" && part.scale !== null)),
    shift: parts.some((part) => part.kind === "lora" && part.shift !== null),
    input: parts.some(({ kind }) => kind === "input"),
    gate: parts.some(({ gate }) => gate !== null),
  };
}

/** The factor of all parts, which stays apart so that B is what the adapter's tensors hold; 1 where they differ, and B takes its own in. */
export function commonFactor(parts: readonly { readonly factor: number }[]): number {
  const [first, ...others] = parts.map(({ factor }) => factor);
  return first !== undefined && first !== 0 && others.every((factor) => factor === first) ? first : 1;
}

function packLora(table: string, group: MapGroup, parts: readonly LinearPart[], shape: GroupShape): BankEntry {
  const maps = GROUPS[group];
  const outputs = maps.length * shape.columns;
  const low = parts.filter((part) => part.kind === "lora");
  const rank = low.reduce((sum, part) => sum + part.rank, 0);
  const down = new Float32Array(rank * shape.inputs);
  const up = new Float32Array(outputs * rank);
  const upBias = new Float32Array(outputs);
  const scale = commonFactor(low);
  let first = 0;
  for (const part of low) {
    const own = part.factor / scale;
    const scaled = (data: Float32Array): Float32Array => (own === 1 ? data : data.map((value) => value * own));
    const b = scaled(part.b);
    down.set(part.a, first * shape.inputs);
    const top = maps.indexOf(part.map) * shape.columns;
    for (let row = 0; row < shape.columns; row += 1)
      up.set(b.subarray(row * part.rank, (row + 1) * part.rank), (top + row) * rank + first);
    if (part.bias !== null) upBias.set(scaled(part.bias), top);
    first += part.rank;
  }
  return {
    table: { kind: "bottleneck", name: `${table}${LINEAR_TABLES.lora}`, inputs: shape.inputs, outputs },
    width: rank,
    down,
    downBias: new Float32Array(rank),
    up,
    upBias,
    activation: 0,
    scale,
    maps: low.map(({ map }) => maps.indexOf(map)),
  };
}

function packVector(table: string, group: MapGroup, parts: readonly LinearPart[], shape: GroupShape): BankEntry {
  const maps = GROUPS[group];
  const layout = vectorLayout(maps.length * shape.columns, shape.inputs);
  const data = new Float32Array(layout.size);
  data.fill(1, 0, maps.length * shape.columns);
  data.fill(1, layout.input, layout.input + shape.inputs);
  for (const part of parts) {
    if (part.kind === "input") {
      data.set(part.scale, layout.input);
      continue;
    }
    const at = maps.indexOf(part.map) * shape.columns;
    if (part.scale !== null) data.set(part.scale, at);
    if (part.kind === "lora" && part.shift !== null) data.set(part.shift, layout.shift + at);
  }
  return {
    table: { kind: "vector", name: `${table}${LINEAR_TABLES.vector}`, elements: layout.size },
    data,
    maps: parts.map(({ map }) => maps.indexOf(map)),
  };
}

function packGates(table: string, group: MapGroup, parts: readonly LinearPart[], shape: GroupShape): BankEntry {
  const maps = GROUPS[group];
  const data = new Float32Array(padded(maps.length * (shape.inputs + 1)));
  maps.forEach((map, index) => {
    const gate = parts.find((part) => part.map === map)?.gate ?? null;
    if (gate !== null) data.set(gate.weight, index * shape.inputs);
    data[maps.length * shape.inputs + index] = gate?.bias ?? OPEN;
  });
  return { table: { kind: "vector", name: `${table}${LINEAR_TABLES.gate}`, elements: data.length }, data };
}

/** Packs the parts of one group. */
export function packLinear(
  structure: LinearStructure,
  group: MapGroup,
  parts: readonly LinearPart[],
  shape: GroupShape,
): BankEntry[] {
  const entries: BankEntry[] = [];
  if (structure.lora) entries.push(packLora(structure.table, group, parts, shape));
  if (structure.scale || structure.input) entries.push(packVector(structure.table, group, parts, shape));
  if (structure.gate) entries.push(packGates(structure.table, group, parts, shape));
  return entries;
}
