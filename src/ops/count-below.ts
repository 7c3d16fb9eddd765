/** @file How many numbers of an ascending list lie below each bound: where the pieces of a cut begin among selected rows. */

import { flatLaunch } from "./item-launch.ts";
import { expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op } from "./op.ts";

/** sorted[K] u32 ascending, bounds[B] u32 -> y[B] u32, the number of entries of `sorted` below each bound. */
export const countBelow: Op = {
  stem: "count-below",
  infer: ({ sorted, bounds }) => {
    expectTensor("count-below", "sorted", sorted, 1, ["u32"]);
    return { y: { shape: expectTensor("count-below", "bounds", bounds, 1, ["u32"]).shape, element: "u32" } };
  },
  cost: (call, size) => ({ flops: 0, bytes: trafficBytes(call, size) }),
  variants: () => ["item"],
  launch: ({ inputs, outputs }) => {
    const bounds = outputs.y?.shape[0] as Dim;
    const uniform = { items: inputs.sorted?.shape[0] as Dim, bounds };
    return [flatLaunch({ kernel: "count-below", items: bounds, uniform })];
  },
};
