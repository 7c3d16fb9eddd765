/** @file The mean of losses over those that take part. */

import { counted } from "./cost.ts";
import { expectMask, expectShape, maskOf } from "./loss-inputs.ts";
import { elementCount, expectTensor, gridOver, trafficBytes } from "./op.ts";
import type { Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";

/** Elements whose sum one workgroup forms: their order never depends on how many there are. */
const BLOCK = 4096;

/**
 * x of any shape, labels? (u32, of x's shape: 0xFFFFFFFF takes no part) or targets? (of x's shape: NaN takes no part), divisor?[1] u32
 * -> y[1] = Σ x / n and scale[1] = 1 / n, over the elements that take part. n is their number, which the device counts, or
 * `divisor` where the host gives one: the number of all parts of a batch that is computed in parts. Both are 0 where n = 0.
 * The sum has a fixed order; its error is below 1e-6 of Σ|x| for a million elements.
 */
export const meanOf: Op = {
  stem: "mean-of",
  infer: (inputs) => {
    const { shape } = expectTensor("mean-of", "x", inputs.x, inputs.x?.shape.length ?? 0);
    expectMask("mean-of", inputs, shape);
    if (inputs.divisor !== undefined) expectShape("mean-of", "divisor", inputs.divisor, [1], ["u32"]);
    return { y: { shape: [1], element: "f32" }, scale: { shape: [1], element: "f32" } };
  },
  cost: (call, size) => counted({ other: elementCount(call.inputs.x as TensorType, size) }, trafficBytes(call, size)),
  variants: () => ["blocks"],
  launch: (call, _, __, capacity) => meanLaunches(call, capacity),
};

function meanLaunches({ inputs }: OpCall, capacity: SizeOf): Launch[] {
  const items = (size: SizeOf): number => elementCount(inputs.x as TensorType, size);
  const blocks = (size: SizeOf): number => Math.ceil(items(size) / BLOCK);
  const scratch = { partials: 2 * Math.max(blocks(capacity), 1) };
  const { grid, grid_width } = gridOver(items, BLOCK);
  return [
    {
      kernel: "mean-of.blocks",
      constants: { MASK: maskOf(inputs), BLOCK },
      uniform: { items, grid_width },
      grid,
      scratch,
    },
    {
      kernel: "mean-of",
      constants: { HAS_DIVISOR: inputs.divisor !== undefined },
      uniform: { blocks },
      grid: () => [1, 1, 1],
      scratch,
    },
  ];
}
