/**
 * @file An adapter as data of bank slots: what has to be written, and into which table. Packed once when an adapter is
 * added, so that a swap is nothing but `writeBuffer`.
 */

import type { AdapterStructure } from "./structure.ts";

/** A table of bottlenecks D → b → E: one slot per adapter with its width, activation and scale beside it. */
export interface BottleneckTable {
  readonly kind: "bottleneck";
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
}

/** A table of plain vectors: `elements` per slot. */
export interface VectorTable {
  readonly kind: "vector";
  readonly name: string;
  readonly elements: number;
}

/** A table of rows, `rows` per slot at most: prefixes and prompts. */
export interface RowTable {
  readonly kind: "rows";
  readonly name: string;
  readonly width: number;
}

/** Any table of the bank. */
export type BankTable = BottleneckTable | VectorTable | RowTable;

/** Weights of a bottleneck: down [b, D], up [E, b], biases, activation code and scale. */
export interface BottleneckEntry {
  readonly table: BottleneckTable;
  readonly width: number;
  readonly down: Float32Array;
  readonly downBias: Float32Array;
  readonly up: Float32Array;
  readonly upBias: Float32Array;
  readonly activation: number;
  readonly scale: number;
  /** Of linear maps side by side: which of them it changes, by number. */
  readonly maps?: readonly number[];
}

/** Values of a vector or row table. */
export interface ValueEntry {
  readonly table: VectorTable | RowTable;
  readonly data: Float32Array;
  /** Of linear maps side by side: which of them it changes, by number. */
  readonly maps?: readonly number[];
}

/** What an adapter has in one table. */
export type BankEntry = BottleneckEntry | ValueEntry;

/** An adapter ready for the bank. */
export interface PackedAdapter {
  readonly structure: AdapterStructure;
  readonly entries: readonly BankEntry[];
  /** Rows of the prefix in every layer that carries one, and of the prompt. */
  readonly prefixRows: number;
  readonly promptRows: number;
  /**
   * Training only: at which rate elements are left out, where that is above 0. Of a bottleneck's table what it gives, of the maps at
   * `layers.3.qkv` what their LoRA reads, of a prefix's table its rows.
   */
  readonly dropout?: ReadonlyMap<string, number>;
}

/** @returns true for bottlenecks. */
export function isBottleneck(entry: BankEntry): entry is BottleneckEntry {
  return entry.table.kind === "bottleneck";
}

/** @returns elements rounded up to whole vec4, so that slots start aligned. */
export function padded(elements: number): number {
  return Math.ceil(elements / 4) * 4;
}
