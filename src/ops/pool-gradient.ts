/** @file The gradient of pooling: the gradient of a segment's row goes to its first or last row, or to all in equal shares. */

import { counted } from "./cost.ts";
import { elementCount, expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { pool, poolModes } from "./pool.ts";
import type { PoolAttributes } from "./pool.ts";
import { rowShareLaunch, rowShareVariants, valuesAtOnce } from "./row-share.ts";

const STEM = "pool-gradient";

/** x[R, D] (read for its shape only), segments[S + 1] u32, dy[S, D] -> dx[R, D]. Attributes as those of `pool`. */
export const poolGradient: Op<PoolAttributes> = {
  stem: STEM,
  infer: (inputs, attributes) => {
    const { shape } = pool.infer(inputs, attributes).y as TensorType;
    const dy = expectTensor(STEM, "dy", inputs.dy, 2);
    shape.forEach((dim, axis) => expectDim(STEM, `dy axis ${axis}`, dy.shape[axis], dim));
    return { dx: { shape: (inputs.x as TensorType).shape, element: "f32" } };
  },
  cost: ({ inputs, outputs, attributes }, size) => {
    const { x: _, ...read } = inputs;
    const flops = attributes.mode === "mean" ? elementCount(outputs.dx as TensorType, size) : 0;
    return counted({ other: flops }, trafficBytes({ inputs: read, outputs, attributes: {} }, size));
  },
  variants: ({ outputs }, device) => {
    const width = outputs.dx?.shape[1] as number;
    return rowShareVariants(device, width / valuesAtOnce(width));
  },
  launch: ({ inputs, outputs, attributes }, variant) => {
    const [rows, width] = (outputs.dx as TensorType).shape as readonly [Dim, number];
    const constants = { WIDTH: width, MODE: poolModes[attributes.mode] };
    const uniform = { segments: segmentCount(inputs.segments as TensorType) };
    return [rowShareLaunch({ kernel: STEM, variant, rows, values: valuesAtOnce(width), constants, uniform })];
  },
};
