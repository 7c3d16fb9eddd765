/** @file What the float64 optimisers share: which element of the weights an element of the flat gradient belongs to. */

import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const BLOCK_ELEMENTS = 64;
const BLOCK_WORDS = 4;

/** One element that is trained. */
export interface TrainedElement {
  /** Its place in the flat gradient and the states, and in the weights. */
  readonly at: number;
  readonly weight: number;
  /** The gradient times its factor, brought down to the largest norm. */
  readonly gradient: number;
  /** Learning rate and weight decay of its group. */
  readonly rate: number;
  readonly decay: number;
  /** Corrections of both moments of its group. */
  readonly corrections: readonly [number, number];
}

/** Calls `update` for every trained element, unless the norm of the gradient is not finite. */
export function forTrained(stem: string, inputs: ReferenceTensors, update: (element: TrainedElement) => void): void {
  const data = (name: string): Float64Array | Uint32Array => needTensor(stem, inputs, name).data;
  const [gradient, blocks, groups, settings] = [data("gradient"), data("blocks"), data("groups"), data("settings")];
  const squared = data("norm")[0] as number;
  if (!Number.isFinite(squared)) return;
  const [most, factor] = settings.slice(-2) as unknown as [number, number];
  const clip = most > 0 ? Math.min(1, most / (Math.sqrt(squared) * Math.abs(factor) + 1e-6)) : 1;
  gradient.forEach((value: number, at: number) => {
    const record = Math.floor(at / BLOCK_ELEMENTS) * BLOCK_WORDS;
    const [first, count, group] = Array.from(blocks.subarray(record, record + 3)) as [number, number, number];
    const within = at % BLOCK_ELEMENTS;
    const [rateFactor, decay, ...corrections] = groups.slice(4 * group, 4 * group + 4) as unknown as number[];
    if (within >= count || rateFactor === 0) return;
    update({
      at,
      weight: first + within,
      gradient: factor * clip * value,
      rate: (settings[0] as number) * (rateFactor as number),
      decay: decay as number,
      corrections: corrections as [number, number],
    });
  });
}

/** A copy that is updated. */
export function copyOf(stem: string, inputs: ReferenceTensors, name: string): ReferenceTensor & { data: Float64Array } {
  const { shape, data } = needTensor(stem, inputs, name);
  return { shape, data: Float64Array.from(data) };
}
