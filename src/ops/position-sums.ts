/** @file Rows of segments summed by their place: the gradient of a table of positions. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { elementCount, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { rowShareLaunch, rowShareVariants, valuesAtOnce } from "./row-share.ts";

/** Attributes of {@link positionSums}. */
export interface PositionSumsAttributes extends Attributes {
  /** Rows P of the result. */
  readonly positions: number;
  /** Row of the result that a segment's first row goes to; 0 when absent. */
  readonly positionOffset?: number | undefined;
}

/**
 * x[R, D], segments[S + 1] u32 -> y[P, D]: y[p] is the sum of the rows at place p − positionOffset of their segments, in the order of
 * the segments; zeros where no segment is so long.
 */
export const positionSums: Op<PositionSumsAttributes> = {
  stem: "position-sums",
  infer: ({ x, segments }, { positions, positionOffset = 0 }) => {
    const width = staticDim("position-sums", "x axis 1", expectTensor("position-sums", "x", x, 2).shape[1]);
    expectTensor("position-sums", "segments", segments, 1, ["u32"]);
    for (const [name, value] of Object.entries({ positions, positionOffset })) {
      if (Number.isInteger(value) && value >= 0) continue;
      const message = `position-sums: ${name} is ${value}, expected a whole number from 0`;
      throw new EngineError("BAD_CONFIG", message, { where: `position-sums.${name}` });
    }
    return { y: { shape: [positions, width], element: "f32" } };
  },
  cost: (call, size) => counted({ other: elementCount(call.inputs.x as TensorType, size) }, trafficBytes(call, size)),
  variants: ({ outputs }, device) => {
    const width = outputs.y?.shape[1] as number;
    return rowShareVariants(device, width / valuesAtOnce(width));
  },
  launch: ({ inputs, outputs, attributes }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const segments = segmentCount(inputs.segments as TensorType);
    const uniform = { segments, position_offset: attributes.positionOffset ?? 0 };
    const values = valuesAtOnce(width);
    return [rowShareLaunch({ kernel: "position-sums", variant, rows, values, constants: { WIDTH: width }, uniform })];
  },
};
