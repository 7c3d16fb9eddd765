/** @file Attention over packed segments in float64, from its definition. */

import { axis, dot, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

type Attributes = Readonly<Record<string, unknown>>;

/** Inputs and outputs as the op `attention`. */
export function attention(inputs: ReferenceTensors, attributes: Attributes): Record<string, ReferenceTensor> {
  const { heads, headWidth, vAt } = numbers(attributes);
  const kv = needTensor("attention", inputs, "kv");
  const stride = axis(kv, 1);
  const width = heads * headWidth;
  const queries = axis(needTensor("attention", inputs, "q"), 0);
  const y = new Float64Array(queries * width);
  for (const { head, row, keyStart, probabilities } of attentionRows("attention", inputs, attributes)) {
    const at = row * width + head * headWidth;
    for (let j = 0; j < probabilities.length; j += 1) {
      const p = probabilities[j] as number;
      const from = (keyStart + j) * stride + vAt + head * headWidth;
      for (let c = 0; c < headWidth; c += 1) y[at + c] = (y[at + c] as number) + p * (kv.data[from + c] as number);
    }
  }
  return { y: { shape: [queries, width], data: y } };
}

/** The probabilities of one query row and head over the keys of its segment. */
interface AttentionRow extends Place {
  readonly probabilities: Float64Array;
}

/** One query row and head, and where its segment's rows start. */
interface Place {
  readonly head: number;
  readonly row: number;
  readonly start: number;
  readonly keyStart: number;
}

/** All query rows: by segment, then head, then row. */
export function* attentionRows(op: string, inputs: ReferenceTensors, attributes: Attributes): Generator<AttentionRow> {
  const { heads } = numbers(attributes);
  const starts = needTensor(op, inputs, "q_segments").data;
  const keyStarts = needTensor(op, inputs, "kv_segments").data;
  const score = scorer(op, inputs, attributes);
  for (let s = 0; s + 1 < starts.length; s += 1) {
    const start = starts[s] as number;
    const keyStart = keyStarts[s] as number;
    const keys = (keyStarts[s + 1] as number) - keyStart;
    for (let head = 0; head < heads; head += 1) {
      for (let row = start; row < (starts[s + 1] as number); row += 1) {
        const place = { head, row, start, keyStart };
        const scores = Float64Array.from({ length: keys }, (_, j) => score(place, j));
        yield { ...place, probabilities: softmax(scores) };
      }
    }
  }
}

/** A number of a query and key j of its segment. */
type PairNumber = (place: Place, j: number) => number;

/** The score, -∞ for a key that the query must not see. */
function scorer(op: string, inputs: ReferenceTensors, attributes: Attributes): PairNumber {
  const { heads, headWidth, qAt, kAt, scale } = numbers(attributes);
  const q = needTensor(op, inputs, "q");
  const kv = needTensor(op, inputs, "kv");
  const { bias } = inputs;
  const between = keyDistance(inputs);
  const [queryStride, keyStride] = [axis(q, 1), axis(kv, 1)];
  return (place, j) => {
    const { head, row, keyStart } = place;
    if (attributes.causal === true && between(place, j) > 0) return -Infinity;
    const query = row * queryStride + qAt + head * headWidth;
    const at = (keyStart + j) * keyStride + kAt + head * headWidth;
    const score = scale * dot(q.data, query, kv.data, at, headWidth);
    if (bias === undefined) return score;
    const reach = (axis(bias, 0) - 1) / 2;
    const distance = Math.min(reach, Math.max(-reach, between(place, j)));
    return score + (bias.data[(distance + reach) * heads + head] as number);
  };
}

/** The original position of key j of a query's segment minus that of the query. */
export function keyDistance(inputs: ReferenceTensors): PairNumber {
  const { positions, kv_positions } = inputs;
  return ({ row, start, keyStart }, j) => {
    const position = positions === undefined ? row - start : (positions.data[row] as number);
    return (kv_positions === undefined ? j : (kv_positions.data[keyStart + j] as number)) - position;
  };
}

/** Zeros where every score is -∞: such a query sees nothing. */
function softmax(scores: Float64Array): Float64Array {
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  if (top === -Infinity) return new Float64Array(scores.length);
  const weights = scores.map((score) => Math.exp(score - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

/** The attributes that are numbers, with their defaults. */
export function numbers(
  attributes: Attributes,
): Record<"heads" | "headWidth" | "scale" | "qAt" | "kAt" | "vAt", number> {
  const { heads, headWidth, scale, qAt = 0, kAt = 0, vAt = 0 } = attributes as Record<string, number>;
  return { heads: Number(heads), headWidth: Number(headWidth), scale: Number(scale), qAt, kAt, vAt };
}
