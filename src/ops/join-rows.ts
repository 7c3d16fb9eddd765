/** @file Rows by index from two matrices, each from its own columns. */

import { EngineError } from "../errors.ts";
import { elementCount, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";
import { expectRange } from "./segment-bank.ts";

/** Attributes of {@link joinRows}. */
export interface JoinRowsAttributes extends Attributes {
  /** Columns W of the result. */
  readonly width: number;
  /** First column taken from `a`; 0 by default. */
  readonly aAt?: number;
  /** First column taken from `b`; 0 by default. */
  readonly bAt?: number;
}

/** The bit of an entry of `rows` that says "from b". */
export const fromB = 0x80000000;

/**
 * a[A, Wa], b[B, Wb], rows[R] u32 -> y[R, W]. An entry i of `rows` gives a[i, aAt + c]; with bit 31 set ({@link fromB}) it
 * gives b[i without that bit, bAt + c]. An index past its source gives zeros.
 */
export const joinRows: Op<JoinRowsAttributes> = {
  stem: "join-rows",
  infer: ({ a, b, rows }, { width, aAt = 0, bAt = 0 }) => {
    if (!Number.isInteger(width) || width < 1) {
      throw new EngineError("BAD_CONFIG", `join-rows: width is ${width}, expected a whole number from 1`, {
        where: "join-rows.width",
      });
    }
    const columns = (name: string, type: TensorType | undefined): number =>
      staticDim("join-rows", `${name} axis 1`, expectTensor("join-rows", name, type, 2).shape[1]);
    expectRange("join-rows", "aAt", aAt, width, "a row of a", columns("a", a));
    expectRange("join-rows", "bAt", bAt, width, "a row of b", columns("b", b));
    const count = expectTensor("join-rows", "rows", rows, 1, ["u32"]).shape[0] as Dim;
    return { y: { shape: [count, width], element: "f32" } };
  },
  // Of the sources only the rows that are looked up are read.
  cost: ({ inputs, outputs }, size) => {
    const read = elementCount(outputs.y as TensorType, size) * 4;
    const indices = { rows: inputs.rows as TensorType };
    return { flops: 0, bytes: read + trafficBytes({ inputs: indices, outputs, attributes: {} }, size) };
  },
  variants: ({ inputs, attributes: { width, aAt = 0, bAt = 0 } }) =>
    // An OR is a multiple of 4 exactly when all its parts are.
    rowCopyVariants(width | aAt | bAt | (inputs.a?.shape[1] as number) | (inputs.b?.shape[1] as number)),
  launch: ({ inputs, attributes: { width, aAt = 0, bAt = 0 } }, variant) => [
    rowCopyLaunch({
      kernel: "join-rows",
      variant,
      width,
      rows: inputs.rows?.shape[0] as Dim,
      constants: {
        A_WIDTH: inputs.a?.shape[1] as number,
        B_WIDTH: inputs.b?.shape[1] as number,
        A_AT: aAt,
        B_AT: bAt,
      },
      uniform: { a_rows: inputs.a?.shape[0] as Dim, b_rows: inputs.b?.shape[0] as Dim },
    }),
  ],
};
