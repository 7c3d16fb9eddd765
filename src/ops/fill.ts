/** @file A constant in every element: the routing weights of a selection that has none, say. */

import { EngineError } from "../errors.ts";
import { flatLaunch } from "./item-launch.ts";
import { elementCount, expectTensor } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

/** Attributes of `fill`. */
export interface FillAttributes {
  readonly value: number;
  /** How many leading axes of x the result has; all when absent. 1 gives a number per row. */
  readonly axes?: number;
  /** The length of an axis that is put behind these; none when absent. */
  readonly columns?: number;
  readonly [name: string]: number | undefined;
}

/** x of any shape, read for its shape only -> y of the same shape, or of its first `axes` axes, and `columns`, all `value`. */
export const fill: Op<FillAttributes> = {
  stem: "fill",
  infer: ({ x }, { value, axes, columns }) => {
    if (!Number.isFinite(value)) {
      throw new EngineError("SHAPE", `fill: value is ${value}, expected a finite number`, { where: "fill.value" });
    }
    const { shape } = expectTensor("fill", "x", x, x?.shape.length ?? 0, ["f32", "u32"]);
    if (axes !== undefined && !(Number.isInteger(axes) && axes >= 0 && axes <= shape.length)) {
      const message = `fill: axes is ${axes}, expected a whole number up to ${shape.length}`;
      throw new EngineError("SHAPE", message, { where: "fill.axes" });
    }
    if (columns !== undefined && !(Number.isInteger(columns) && columns >= 1))
      throw new EngineError("SHAPE", `fill: columns is ${columns}, expected a whole number from 1`, {
        where: "fill.columns",
      });
    return { y: { shape: [...shape.slice(0, axes), ...(columns === undefined ? [] : [columns])], element: "f32" } };
  },
  cost: ({ outputs }, size) => ({ flops: 0, bytes: 4 * elementCount(outputs.y as TensorType, size) }),
  variants: () => ["item"],
  launch: ({ outputs, attributes }) => {
    const items = (size: SizeOf): number => elementCount(outputs.y as TensorType, size);
    return [flatLaunch({ kernel: "fill", items, uniform: { items, value: attributes.value } })];
  },
};
