/** @file The sum of rows, each with a factor of its own or none: gradients of biases, of vectors that all rows are multiplied with. */

import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Dim, Launch, Op, SizeOf, TensorType } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";

/** Rows of a block at least: fewer would give more partial sums than they save. */
const LEAST_BLOCK = 16;

/**
 * Rows whose sum one invocation forms before such sums are added up: √R of a capacity of R rows, so that both steps are equally long.
 * It depends on the capacity alone, and a block that a run does not reach adds nothing: sums have the bits of the plan.
 */
export function sumBlock(rows: Dim, capacity: SizeOf): number {
  return Math.max(Math.ceil(Math.sqrt(capacity(rows))), LEAST_BLOCK);
}

/** How many blocks a run of these rows has. */
export function sumBlocks(rows: Dim, block: number): (size: SizeOf) => number {
  return (size) => Math.ceil(size(rows) / block);
}

/** x[R, D], weight?[R] -> y[D] = Σ weight[r] · x[r], or Σ x[r]; zeros of no rows. In a fixed order, by two launches. */
export const sumRows: Op = {
  stem: "sum-rows",
  infer: ({ x, weight }) => {
    const [rows, columns] = expectTensor("sum-rows", "x", x, 2).shape;
    if (weight !== undefined)
      expectDim("sum-rows", "weight axis 0", expectTensor("sum-rows", "weight", weight, 1).shape[0], rows as Dim);
    return { y: { shape: [staticDim("sum-rows", "x axis 1", columns)], element: "f32" } };
  },
  cost: (call, size) => {
    const perElement = call.inputs.weight === undefined ? 1 : 2;
    return counted({ other: perElement * elementCount(call.inputs.x as TensorType, size) }, trafficBytes(call, size));
  },
  variants: () => ["blocks"],
  launch: ({ inputs }, _, __, capacity) => {
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    const block = sumBlock(rows, capacity);
    const blocks = sumBlocks(rows, block);
    const items = width / (width % 4 === 0 ? 4 : 1);
    const libs = [itemLibrary(width)];
    const scratch = { partials: Math.max(blocks(capacity), 1) * width };
    const partial: Launch = flatLaunch({
      kernel: "sum-rows",
      items: (size) => blocks(size) * items,
      constants: { WIDTH: width, BLOCK: block, HAS_WEIGHT: inputs.weight !== undefined },
      libs,
      uniform: { rows },
    });
    const whole: Launch = flatLaunch({
      kernel: "sum-rows.join",
      items: items,
      constants: { WIDTH: width },
      libs,
      uniform: { blocks },
    });
    return [
      { ...partial, scratch },
      { ...whole, scratch },
    ];
  },
};
