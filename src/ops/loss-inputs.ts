/** @file What losses and means of them check alike: targets of a shape, and what tells which elements take part. */

import { EngineError } from "../errors.ts";
import { expectDim, expectTensor, formatShape, staticDim } from "./op.ts";
import type { Constants, Dim, ElementType, Shape, TensorType } from "./op.ts";

type Inputs = Readonly<Record<string, TensorType>>;

/** Throws SHAPE unless an input is there and has this very shape. */
export function expectShape(
  op: string,
  name: string,
  type: TensorType | undefined,
  shape: Shape,
  elements: readonly ElementType[] = ["f32"],
): void {
  const found = expectTensor(op, name, type, shape.length, elements).shape;
  shape.forEach((dim, axis) => expectDim(op, `${name} ${formatShape(found)} axis ${axis}`, found[axis], dim));
}

/** Checks logits[R, C], targets[R, C] and weights?[C]; @returns the shape of the first two. */
export function expectTargets(op: string, { logits, targets, weights }: Inputs): readonly [Dim, number] {
  const { shape } = expectTensor(op, "logits", logits, 2);
  const width = staticDim(op, "logits axis 1", shape[1]);
  expectShape(op, "targets", targets, shape);
  if (weights !== undefined) expectShape(op, "weights", weights, [width]);
  return [shape[0] as Dim, width];
}

/** Constants of the kernels that weigh classes. */
export function classConstants({ logits, weights }: Inputs): Constants {
  return { WIDTH: logits?.shape[1] as number, HAS_WEIGHTS: weights !== undefined };
}

/** Checks what tells which elements of a shape take part: labels (u32), targets (f32) or nothing. */
export function expectMask(op: string, { labels, targets }: Inputs, shape: Shape): void {
  if (labels !== undefined && targets !== undefined)
    throw new EngineError("SHAPE", `${op}: labels and targets are both given, expected at most one`, { where: op });
  if (targets !== undefined) expectShape(op, "targets", targets, shape);
  if (labels !== undefined) expectShape(op, "labels", labels, shape, ["u32"]);
}

/** The constant MASK of kernels/lib/taking-part.wgsl. */
export function maskOf({ labels, targets }: Inputs): number {
  if (labels !== undefined) return 1;
  return targets === undefined ? 0 : 2;
}
