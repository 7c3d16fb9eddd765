/** @file One row per segment: x[R, D] -> y[S, D]. */

import { EngineError } from "../errors.ts";
import { elementCount, expectTensor, foldGrid, runtimeDim, staticDim } from "./op.ts";
import type { Attributes, Dim, Op, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { rowCopyLanes, rowCopyLibrary, rowCopyVariants } from "./row-copy.ts";

/** Attributes of {@link pool}. */
export interface PoolAttributes extends Attributes {
  readonly mode: "first" | "mean" | "last";
  /** Symbol of the number of segments; needed where the length of `segments` is known only at run time. */
  readonly count?: string;
}

/** The constant MODE of the kernels. */
export const poolModes: Readonly<Record<PoolAttributes["mode"], number>> = { first: 0, mean: 1, last: 2 };

/** x[R, D], segments[S + 1] u32 -> y[S, D]: the first, last or mean row of every segment; zeros if it is empty. */
export const pool: Op<PoolAttributes> = {
  stem: "pool",
  infer: ({ x, segments }, { mode, count }) => {
    const width = staticDim("pool", "x axis 1", expectTensor("pool", "x", x, 2).shape[1]);
    const offsets = expectTensor("pool", "segments", segments, 1, ["u32"]).shape[0] as Dim;
    if (!(mode in poolModes)) {
      throw new EngineError("BAD_CONFIG", `pool: mode is ${String(mode)}, expected first, mean or last`, {
        where: "pool.mode",
      });
    }
    const rows = count === undefined ? staticDim("pool", "segments axis 0", offsets) - 1 : runtimeDim(count);
    return { y: { shape: [rows, width], element: "f32" } };
  },
  // One row of every segment is read, or all for their mean.
  cost: ({ inputs, outputs, attributes }, size) => {
    const mean = attributes.mode === "mean";
    const written = elementCount(outputs.y as TensorType, size);
    const read = mean ? elementCount(inputs.x as TensorType, size) : written;
    const offsets = elementCount(inputs.segments as TensorType, size);
    return { flops: mean ? read : 0, bytes: 4 * (read + written + offsets) };
  },
  variants: ({ outputs }) => rowCopyVariants(outputs.y?.shape[1] as number),
  launch: ({ inputs, outputs, attributes }, variant) => {
    const width = outputs.y?.shape[1] as number;
    const tiles = Math.ceil(width / (variant === "vector" ? 4 : 1) / rowCopyLanes);
    const segments = segmentCount(inputs.segments as TensorType);
    return [
      {
        kernel: "pool",
        constants: { WIDTH: width, MODE: poolModes[attributes.mode], WORKGROUP: rowCopyLanes },
        libs: [rowCopyLibrary(variant)],
        uniform: { segments },
        grid: (size: SizeOf) => foldGrid(segments(size) * tiles),
      },
    ];
  },
};
