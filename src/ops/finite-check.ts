/** @file The first element that is not a finite number: for naming the value that went wrong. */

import { counted } from "./cost.ts";
import { elementCount, expectTensor, gridOver, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

/** What `finite-check` gives where every element is finite. */
export const allFinite = 0xffffffff;

/** Elements that one workgroup looks through. */
const BLOCK = 4096;

/** x of any shape -> y[1] u32, the number of the first element that is NaN or infinite, {@link allFinite} if none is. */
export const finiteCheck: Op = {
  stem: "finite-check",
  infer: ({ x }) => {
    expectTensor("finite-check", "x", x, x?.shape.length ?? 0);
    return { y: { shape: [1], element: "u32" } };
  },
  cost: (call, size) => counted({}, trafficBytes(call, size)),
  variants: () => ["blocks"],
  launch: ({ inputs }, _, __, capacity) => {
    const items = (size: SizeOf): number => elementCount(inputs.x as TensorType, size);
    const blocks = (size: SizeOf): number => Math.ceil(items(size) / BLOCK);
    const scratch = { firsts: Math.max(blocks(capacity), 1) };
    const { grid, grid_width } = gridOver(items, BLOCK);
    return [
      { kernel: "finite-check.blocks", constants: { BLOCK }, uniform: { items, grid_width }, grid, scratch },
      { kernel: "finite-check", uniform: { blocks }, grid: () => [1, 1, 1], scratch },
    ];
  },
};
