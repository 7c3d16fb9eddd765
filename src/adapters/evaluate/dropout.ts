/**
 * @file Dropout in a training step: what is left out, at which rate, and by which stream of the generator. A stream is named by its place
 * in the model, so that what is computed twice draws the same bits, whatever else a graph holds.
 */

import { EngineError } from "../../errors.ts";
import type { GraphBuilder } from "../../graph/builder.ts";
import type { Value } from "../../graph/value.ts";
import { activation } from "../../ops/activation.ts";
import { dropout } from "../../ops/dropout.ts";
import { elementwise } from "../../ops/elementwise.ts";
import { fill } from "../../ops/fill.ts";
import type { Dim } from "../../ops/op.ts";
import { segmentCombine } from "../../ops/segment-combine.ts";
import type { Resident } from "../bank.ts";
import type { ScoreFactor } from "../fusion-build.ts";

/** How whole adapters are left out of fusions (MATHS §2.6): every fusion by itself, and never all of its adapters. */
export interface FusionDropout {
  /** In [0, 1). */
  readonly rate: number;
  /** `each`: every adapter with this probability, on its own. `count`: of N adapters round(rate · N), any of them. */
  readonly reading: "each" | "count";
  /** The same ones for all sequences of a forward pass, or others for each of them. */
  readonly by: "batch" | "sequence";
}

/** What a training step leaves out at random. No other graph leaves out anything. */
export interface Dropouts {
  /** Name of the run-time input u32 [2] that everything is drawn from: seed and number of the forward pass. */
  readonly seed: string;
  /** The rate of the host's embeddings, and of what each of its sub-layers gives, before anything is added to it. */
  readonly hidden: number;
  /** The rate of heads that name none of their own. */
  readonly head: number;
  /** The rate of the scores of fusions that name none of their own: that of the host's attention. */
  readonly attention: number;
  /** null: no adapter is left out. */
  readonly fusion: FusionDropout | null;
}

/** @returns the stream of a place by its name: FNV-1a, 32 bits. */
export function streamOf(place: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < place.length; at += 1) hash = Math.imul(hash ^ place.charCodeAt(at), 0x01000193) >>> 0;
  return hash;
}

/** @returns x with elements left out at a rate; x itself at the rate 0, and where nothing is left out. */
export function leaveOut(
  b: GraphBuilder,
  dropouts: Dropouts | null,
  x: Value,
  at: { readonly rate: number; readonly place: string },
): Value {
  if (dropouts === null || at.rate === 0) return x;
  const seed = b.input(dropouts.seed, [2], "u32");
  return b.op(dropout, { x, seed }, { rate: at.rate, stream: streamOf(at.place) }).y as Value;
}

/**
 * @param table whose rate it is: see `PackedAdapter.dropout`
 * @returns the rate that all adapters of a leaf have at a table
 * @throws EngineError UNSUPPORTED for adapters side by side with different rates, naming both
 */
export function rateOf(residents: readonly Resident[], table: string): number {
  const rates = residents.map(({ packed }) => packed.dropout?.get(table) ?? 0);
  const [first = 0] = rates;
  const other = rates.findIndex((rate) => rate !== first);
  if (other < 0) return first;
  const shown = (at: number): string => `${residents[at]?.name} has ${rates[at]}`;
  throw new EngineError("UNSUPPORTED", `adapters side by side differ in dropout: ${shown(0)}, ${shown(other)}`, {
    where: "dropout",
    fix: "give them one rate",
  });
}

/** What stands before the label of a run-time table that says which adapters of a fusion take part. */
export const FUSION_DROP = "fusion.drop ";

/** What such a table is drawn by. */
export interface FusionDraw extends FusionDropout {
  readonly stream: number;
}

/** @returns the label of the table of a draw, f32 [sequences, N]: 1 for adapters that take part, -1 for those left out. */
export function drawLabel(draw: FusionDraw): string {
  const { rate, reading, by, stream } = draw;
  return `${FUSION_DROP}${JSON.stringify({ rate, reading, by, stream })}`;
}

/** @returns the draw that a label says. */
export function drawOf(label: string): FusionDraw {
  return JSON.parse(label.slice(FUSION_DROP.length)) as FusionDraw;
}

/** Rows of a fusion under way. */
export interface FusionRows {
  /** Any value of these rows. */
  readonly x: Value;
  /** N. */
  readonly adapters: number;
  readonly segments: Value;
  readonly sequences: Dim;
  /** The rate of the scores' own dropout. */
  readonly rate: number;
  readonly place: string;
}

/**
 * What the scores of a fusion are multiplied by in a training step: 0 or 1 / (1 − rate) by their own dropout, below 0 where the adapter is
 * left out. Undefined where neither is asked for.
 */
export function fusionFactor(b: GraphBuilder, dropouts: Dropouts | null, rows: FusionRows): ScoreFactor | undefined {
  const { x, adapters, segments, sequences, rate, place } = rows;
  const left = (dropouts?.fusion?.rate ?? 0) > 0 ? dropouts?.fusion : null;
  if (dropouts === null || (rate === 0 && (left === null || left === undefined))) return undefined;
  const ones = b.op(fill, { x }, { value: 1, axes: 1, columns: adapters }).y as Value;
  const scores = (of: Value): Value => leaveOut(b, dropouts, of, { rate, place: `${place}.scores` });
  if (left === null || left === undefined) return { value: scores(ones), uneven: true };
  const table = b.input(drawLabel({ ...left, stream: streamOf(`${place}.adapters`) }), [sequences, adapters]);
  const taking = b.op(segmentCombine, { b: ones, weight: table, segments }, { mode: "add" }).y as Value;
  if (rate === 0) return { value: taking, uneven: false };
  const there = b.op(activation, { x: taking }, { kind: "relu" }).y as Value;
  const gone = b.op(elementwise, { a: taking, b: there }, { operation: "sub" }).y as Value;
  return { value: b.op(elementwise, { a: scores(there), b: gone }, { operation: "add" }).y as Value, uneven: true };
}
