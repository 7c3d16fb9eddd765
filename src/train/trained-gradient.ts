/** @file What of a parameter's gradient counts: that of the elements which are trained. */

import type { Constants } from "../adapters/constants.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { LeafGradient } from "../graph/differentiate.ts";
import type { Value } from "../graph/value.ts";
import { elementwise } from "../ops/elementwise.ts";
import type { Trainable } from "./trainable.ts";

/**
 * The gradient of a stretch of elements, 0 where they are not trained.
 * @param elements of the gradient
 * @returns null where none of them is trained
 */
export function trainedGradient(
  b: GraphBuilder,
  constants: Constants,
  { parameter, parts }: Trainable,
  { at, value }: LeafGradient,
  elements: number,
): Value | null {
  const touched = parts.filter(({ from, elements: count }) => from < at + elements && at < from + count);
  const [part] = touched;
  if (part === undefined) return null;
  if (touched.length > 1 || part.from > at || part.from + part.elements < at + elements)
    throw new Error(`the gradient of ${parameter} from ${at} on is not of one part that is trained`);
  const mask = part.mask?.subarray(at - part.from, at - part.from + elements);
  if (mask === undefined || mask.every((one) => one === 1)) return value;
  if (mask.every((one) => one === 0)) return null;
  const counts = constants.mask(b, mask, value.type.shape as readonly number[]);
  return b.op(elementwise, { a: value, b: counts }, { operation: "mul" }).y as Value;
}
