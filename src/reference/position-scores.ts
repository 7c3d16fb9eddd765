/** @file Scores by place, exactly: whole numbers and multiples of 2⁻²⁴. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `position-scores`. */
export function positionScores(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const segments = needTensor("position-scores", inputs, "segments").data;
  const y = new Float64Array(needTensor("position-scores", inputs, "x").shape[0] as number);
  const { mode, seed = 0, stream = 0 } = attributes as { mode: string; seed?: number; stream?: number };
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const start = segments[s] as number;
    const n = (segments[s + 1] as number) - start;
    const table = inputs.selected_segments?.data;
    const k = table === undefined ? 0 : (table[s + 1] as number) - (table[s] as number);
    const key = inputs.keys?.data[s] ?? 0;
    for (let place = 0; place < n; place += 1) y[start + place] = score(mode, place, { n, k, seed, stream, key });
  }
  return { y: { shape: [y.length], data: y } };
}

interface PlaceOf {
  readonly n: number;
  readonly k: number;
  readonly seed: number;
  readonly stream: number;
  readonly key: number;
}

function score(mode: string, place: number, { n, k, seed, stream, key }: PlaceOf): number {
  if (mode === "first") return -place;
  // Places and counts are below 2^26, so that their product is exact.
  if (mode === "strided") return (place * k) % n < k ? 1 : 0;
  const hash = [seed + 0x9e3779b9, stream, key, place].reduce((bits, part) => mixBits(bits ^ part), 0);
  return (hash >>> 8) / 2 ** 24;
}

function mixBits(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}
