/** @file Attention over packed segments in float64, from its definition. */

import { axis, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

type Attributes = Readonly<Record<string, unknown>>;

/** Inputs and outputs as the op `attention`. */
export function attention(inputs: ReferenceTensors, attributes: Attributes): Record<string, ReferenceTensor> {
  const { heads, headWidth, vAt } = numbers(attributes);
  const kv = needTensor("attention", inputs, "kv");
  const width = heads * headWidth;
  const queries = axis(needTensor("attention", inputs, "q"), 0);
  const y = new Float64Array(queries * width);
  for (const { head, row, keyStart, prefix, probabilities } of attentionRows("attention", inputs, attributes)) {
    probabilities.forEach((p, j) => {
      for (let c = 0; c < headWidth; c += 1) {
        const column = head * headWidth + c;
        const value =
          j < prefix
            ? inputs.prefix?.data[(prefix + j) * width + column]
            : kv.data[(keyStart + j - prefix) * axis(kv, 1) + vAt + column];
        y[row * width + column] = (y[row * width + column] as number) + p * (value as number);
      }
    });
  }
  return { y: { shape: [queries, width], data: y } };
}

/** The probabilities of one query row and head over the prefix and the keys of its segment. */
interface AttentionRow {
  readonly head: number;
  readonly row: number;
  readonly keyStart: number;
  readonly prefix: number;
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
  const prefix = inputs.prefix === undefined ? 0 : axis(inputs.prefix, 0) / 2;
  for (let s = 0; s + 1 < starts.length; s += 1) {
    const start = starts[s] as number;
    const keyStart = keyStarts[s] as number;
    const keys = (keyStarts[s + 1] as number) - keyStart;
    for (let head = 0; head < heads; head += 1) {
      for (let row = start; row < (starts[s + 1] as number); row += 1) {
        const place = { head, row, start, keyStart };
        const scores = Float64Array.from({ length: prefix + keys }, (_, j) =>
          j < prefix ? prefixScore(inputs, attributes, place, j) : keyScore(inputs, attributes, place, j - prefix),
        );
        yield { head, row, keyStart, prefix, probabilities: softmax(scores) };
      }
    }
  }
}

function prefixScore(inputs: ReferenceTensors, attributes: Attributes, { head, row }: Place, j: number): number {
  const { headWidth, qAt, scale } = numbers(attributes);
  const q = needTensor("attention", inputs, "q");
  const prefix = needTensor("attention", inputs, "prefix");
  return scale * dot(q, row, qAt + head * headWidth, prefix, j, head * headWidth, headWidth);
}

function keyScore(inputs: ReferenceTensors, attributes: Attributes, place: Place, j: number): number {
  const { headWidth, qAt, kAt, scale } = numbers(attributes);
  const { head, row, start, keyStart } = place;
  const position = (inputs.positions?.data[row] as number | undefined) ?? row - start;
  const selected = attributes.keysSelected === true ? inputs.positions?.data[keyStart + j] : undefined;
  const keyPosition = selected ?? j;
  if (attributes.causal === true && keyPosition > position) return -Infinity;
  const q = needTensor("attention", inputs, "q");
  const kv = needTensor("attention", inputs, "kv");
  const score = scale * dot(q, row, qAt + head * headWidth, kv, keyStart + j, kAt + head * headWidth, headWidth);
  if (inputs.bias === undefined) return score;
  const size = axis(inputs.bias, 1);
  return score + (inputs.bias.data[(head * size + position) * size + keyPosition] as number);
}

function dot(
  a: ReferenceTensor,
  i: number,
  at: number,
  b: ReferenceTensor,
  j: number,
  bt: number,
  length: number,
): number {
  let sum = 0;
  for (let c = 0; c < length; c += 1) {
    sum += (a.data[i * axis(a, 1) + at + c] as number) * (b.data[j * axis(b, 1) + bt + c] as number);
  }
  return sum;
}

/** Zeros where every score is -∞: such a query sees nothing. */
function softmax(scores: Float64Array): Float64Array {
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  if (top === -Infinity) return new Float64Array(scores.length);
  const weights = scores.map((score) => Math.exp(score - top));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

function numbers(attributes: Attributes): Record<"heads" | "headWidth" | "scale" | "qAt" | "kAt" | "vAt", number> {
  const { heads, headWidth, scale, qAt = 0, kAt = 0, vAt = 0 } = attributes as Record<string, number>;
  return { heads: Number(heads), headWidth: Number(headWidth), scale: Number(scale), qAt, kAt, vAt };
}
