/** @file The gradient of what was repeated: the sum over its uses. */

import { EngineError } from "../../errors.ts";
import type { Builder, Ref } from "../gradient.ts";
import { formatShape, runtimeDim } from "../op.ts";
import type { Dim, RuntimeDim, Shape } from "../op.ts";
import { sumRows } from "../sum-rows.ts";

/** Whether two values have one shape. */
function alike(x: Ref, y: Ref): boolean {
  return formatShape(x.type.shape) === formatShape(y.type.shape);
}

/** x of any shape -> its sum over what repeats `like`, of like's shape: of x's own, [D] of its last axis, or [1]. */
export function sumTo(b: Builder, x: Ref, like: Ref): Ref {
  if (alike(x, like)) return x;
  const sums = sumOverRows(b, x);
  // One number is the sum of the columns' sums, which are rows of one column.
  return alike(sums, like) ? sums : sumOverRows(b, b.reshape(sums, [...sums.type.shape, 1]));
}

/** x[…, D] -> [D]; of a vector, and where only a run knows the last axis, [1]. */
function sumOverRows(b: Builder, x: Ref): Ref {
  const { shape } = x.type;
  const last = shape.at(-1);
  const hasColumns = shape.length > 1 && typeof last === "number";
  const matrix = hasColumns ? [count(shape.slice(0, -1)), last] : [count(shape), 1];
  return b.op(sumRows, { x: b.reshape(x, matrix) }, {}).y as Ref;
}

/** All axes as one. */
function count(shape: Shape): Dim {
  const runtime = shape.filter((dim): dim is RuntimeDim => typeof dim !== "number");
  const [first, second] = runtime;
  if (second !== undefined)
    throw new EngineError("UNSUPPORTED", `no sum over ${formatShape(shape)}: two lengths of the run are one axis`, {
      where: "sum-rows.x",
    });
  const factor = shape.reduce((product: number, dim) => product * (typeof dim === "number" ? dim : dim.times), 1);
  return first === undefined ? factor : runtimeDim(first.symbol, factor);
}
