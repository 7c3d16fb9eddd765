/** @file How kernels that move whole rows are launched: one workgroup per row, four values at a time where they fit. */

import { foldGrid } from "./op.ts";
import type { Constants, Dim, Launch } from "./op.ts";

/** `vector`: rows are read as vec4, which needs a width that is a multiple of 4. `scalar`: any width. */
export type RowCopyVariant = "vector" | "scalar";

/** Lanes that share a row; wider workgroups would idle at common widths. */
export const rowCopyLanes = 64;

/** Variants that can move rows of this width, the better one first. */
export function rowCopyVariants(width: number): readonly RowCopyVariant[] {
  return width % 4 === 0 ? ["vector", "scalar"] : ["scalar"];
}

/** @returns the `kernels/lib/` file by which a variant reads its rows; `u32` reads single whole numbers. */
export function rowCopyLibrary(variant: string): string {
  if (variant === "u32") return "item-u32";
  return variant === "vector" ? "item-vec4" : "item-scalar";
}

/** What differs between the launches of row copies. */
export interface RowCopy {
  readonly kernel: string;
  readonly variant: string;
  readonly width: number;
  /** Rows to launch a workgroup for. */
  readonly rows: Dim;
  readonly constants?: Constants;
  readonly uniform?: Launch["uniform"];
  readonly libs?: readonly string[];
}

/** The launch of a kernel with one workgroup per row. */
export function rowCopyLaunch({ kernel, variant, width, rows, constants, uniform, libs = [] }: RowCopy): Launch {
  return {
    kernel,
    constants: { WIDTH: width, WORKGROUP: rowCopyLanes, ...constants },
    libs: [rowCopyLibrary(variant), ...libs],
    uniform: { rows, ...uniform },
    grid: (size) => foldGrid(size(rows)),
  };
}
