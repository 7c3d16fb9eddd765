/** @file The gradient of joined rows by one of the two sources: for each of its rows the sum of what it was joined as. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, OpCall, TensorType } from "./op.ts";
import { rangeRows } from "./row-range.ts";
import type { RowRange } from "./row-range.ts";
import { rowShareLaunch, rowShareVariants, valuesAtOnce } from "./row-share.ts";
import { expectRange } from "./segment-bank.ts";

/** Attributes of {@link joinRowsGradient}. */
export interface JoinRowsGradientAttributes extends Attributes, RowRange {
  /** Whose gradient it is: bit 31 of an entry of `rows` is clear for `a`, set for `b`. */
  readonly source: "a" | "b";
  /** The first column of the source that was joined; 0 by default. */
  readonly at?: number | undefined;
}

const STEM = "join-rows-gradient";

/**
 * x[R, W] the gradient of the joined rows, rows[R] u32 the table that joined them, order[R] u32 its places in ascending order of what
 * it holds, like[B, Ws] the source, read for its shape only -> y[B, Ws]: y[i, at + c] = Σ x[r, c] over the entries r of row i of the source,
 * in ascending r, zeros elsewhere. Entries past the source are left out. With `rowCount` y has that many rows of the source, from
 * `firstRow` on.
 */
export const joinRowsGradient: Op<JoinRowsGradientAttributes> = {
  stem: STEM,
  infer: ({ x, rows, order, like }, { source, at = 0, ...range }) => {
    if (source !== "a" && source !== "b") {
      const message = `${STEM}: source is ${String(source)}, expected a or b`;
      throw new EngineError("BAD_CONFIG", message, { where: `${STEM}.source` });
    }
    const gradient = expectTensor(STEM, "x", x, 2).shape;
    const target = expectTensor(STEM, "like", like, 2).shape;
    const width = staticDim(STEM, "x axis 1", gradient[1]);
    expectRange(STEM, "at", at, width, `a row of ${source}`, staticDim(STEM, "like axis 1", target[1]));
    for (const [name, table] of Object.entries({ rows, order }))
      expectDim(STEM, `${name} axis 0`, expectTensor(STEM, name, table, 1, ["u32"]).shape[0], gradient[0] as Dim);
    const [all, ...columns] = target as readonly [Dim, ...Dim[]];
    return { y: { shape: [rangeRows(STEM, "like", all, range), ...columns], element: "f32" } };
  },
  cost: ({ inputs, outputs }, size) => {
    const { like: _, ...read } = inputs;
    const flops = elementCount(inputs.x as TensorType, size);
    return counted({ other: flops }, trafficBytes({ inputs: read, outputs, attributes: {} }, size));
  },
  variants: (call, device) => rowShareVariants(device, (call.outputs.y?.shape[1] as number) / valuesOf(call)),
  launch: (call, variant) => {
    const { inputs, outputs, attributes } = call;
    const { source, at = 0, firstRow = 0 } = attributes;
    const [entries, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    const [rows, columns] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const constants = { WIDTH: width, Y_WIDTH: columns, AT: at, FROM_B: source === "b" };
    return [
      rowShareLaunch({
        kernel: STEM,
        variant,
        rows,
        values: valuesOf(call),
        constants,
        uniform: { entries, first_row: firstRow },
      }),
    ];
  },
};

/** Values read at once: rows begin and end anywhere. */
function valuesOf({ inputs, outputs, attributes: { at = 0 } }: OpCall<JoinRowsGradientAttributes>): 1 | 4 {
  return valuesAtOnce(inputs.x?.shape[1] as number, outputs.y?.shape[1] as number, at);
}
