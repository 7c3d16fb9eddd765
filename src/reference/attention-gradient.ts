/** @file The gradient of attention over packed segments in float64, from its definition. */

import { attentionRows, keyDistance, numbers } from "./attention.ts";
import { axis, dot, needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

type Attributes = Readonly<Record<string, unknown>>;

const STEM = "attention-gradient";

/** Inputs and outputs as the op `attention-gradient`; y is computed again. */
export function attentionGradient(inputs: ReferenceTensors, attributes: Attributes): Record<string, ReferenceTensor> {
  const { heads, headWidth, scale, qAt, kAt, vAt } = numbers(attributes);
  const [q, kv, dy] = ["q", "kv", "dy"].map((name) => needTensor(STEM, inputs, name)) as [Tensor, Tensor, Tensor];
  const dq = zeros(q);
  const dkv = attributes.packed === true ? dq : zeros(kv);
  const bias = attributes.wantsBias === true ? needTensor(STEM, inputs, "bias") : undefined;
  const dbias = bias === undefined ? undefined : zeros(bias);
  const distance = keyDistance(inputs);
  for (const place of attentionRows(STEM, inputs, attributes)) {
    const { head, row, keyStart, probabilities } = place;
    const column = head * headWidth;
    const from = row * heads * headWidth + column;
    const query = row * axis(q, 1) + qAt + column;
    const keyAt = (j: number): number => (keyStart + j) * axis(kv, 1) + kAt + column;
    const valueAt = (j: number): number => (keyStart + j) * axis(kv, 1) + vAt + column;
    const slopes = probabilities.map((_, j) => dot(dy.data, from, kv.data, valueAt(j), headWidth));
    const mean = dot(probabilities, 0, slopes, 0, slopes.length);
    probabilities.forEach((p, j) => {
      const ds = p * ((slopes[j] as number) - mean);
      addScaled(dq, query, kv.data, keyAt(j), scale * ds, headWidth);
      addScaled(dkv, keyAt(j), q.data, query, scale * ds, headWidth);
      addScaled(dkv, valueAt(j), dy.data, from, p, headWidth);
      if (dbias === undefined || bias === undefined) return;
      const reach = (axis(bias, 0) - 1) / 2;
      const k = Math.min(reach, Math.max(-reach, distance(place, j))) + reach;
      dbias[k * heads + head] = (dbias[k * heads + head] as number) + ds;
    });
  }
  return {
    ...(attributes.wantsQ === true || attributes.packed === true ? { dq: { shape: q.shape, data: dq } } : {}),
    ...(attributes.wantsKv === true && attributes.packed !== true ? { dkv: { shape: kv.shape, data: dkv } } : {}),
    ...(bias === undefined || dbias === undefined ? {} : { dbias: { shape: bias.shape, data: dbias } }),
  };
}

type Tensor = ReferenceTensor;

function zeros({ data }: Tensor): Float64Array {
  return new Float64Array(data.length);
}

function addScaled(
  sum: Float64Array,
  at: number,
  x: ReferenceTensor["data"],
  from: number,
  factor: number,
  length: number,
): void {
  for (let c = 0; c < length; c += 1) sum[at + c] = (sum[at + c] as number) + factor * (x[from + c] as number);
}
