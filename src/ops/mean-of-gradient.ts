/** @file The gradient of a mean: an equal share for each element that takes part. */

import { flatLaunch } from "./item-launch.ts";
import { expectMask, expectShape, maskOf } from "./loss-inputs.ts";
import { elementCount, expectTensor, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

const STEM = "mean-of-gradient";

/** x (read for its shape only), labels? or targets? as `mean-of` took them, scale[1] as it gave it, dy[1] -> dx of x's shape. */
export const meanOfGradient: Op = {
  stem: STEM,
  infer: (inputs) => {
    const { shape } = expectTensor(STEM, "x", inputs.x, inputs.x?.shape.length ?? 0);
    expectMask(STEM, inputs, shape);
    for (const name of ["scale", "dy"]) expectShape(STEM, name, inputs[name], [1]);
    return { dx: { shape, element: "f32" } };
  },
  cost: ({ inputs, outputs }, size) => {
    const { x: _, ...read } = inputs;
    return { flops: 1, bytes: trafficBytes({ inputs: read, outputs, attributes: {} }, size) };
  },
  variants: () => ["item"],
  launch: ({ inputs, outputs }) => {
    const items = (size: SizeOf): number => elementCount(outputs.dx as TensorType, size);
    return [flatLaunch({ kernel: STEM, items, constants: { MASK: maskOf(inputs) }, uniform: { items } })];
  },
};
