/** @file How kernels that reduce rows are launched: one or two rows per invocation, or one per workgroup. */

import type { Constants, DeviceTraits, Dim, Launch } from "./op.ts";
import { gridOver } from "./op.ts";

/** Who computes a row: one invocation, one invocation for two rows, or one workgroup for a row. */
export type RowVariant = "lane" | "pair" | "workgroup";

/** What differs between the launches of row kernels. */
export interface RowLaunch {
  readonly kernel: string;
  readonly variant: string;
  readonly width: number;
  readonly rows: Dim;
  readonly constants?: Constants;
  readonly uniform?: Launch["uniform"];
}

// Few rows a workgroup spread short batches over the cores of a software adapter; it has no wider vectors to fill.
const ROWS_PER_WORKGROUP = 16;
const LANES_PER_ROW = 64;

/**
 * The variants that every row kernel has, the better one first. Software adapters pay dearly for barriers, and rows
 * shorter than a workgroup leave its lanes idle; elsewhere neighbouring lanes should read neighbouring values.
 */
export function rowVariants(device: DeviceTraits, width: number): readonly RowVariant[] {
  if (device.software || width < LANES_PER_ROW) return ["lane", "workgroup"];
  return ["workgroup", "lane"];
}

/** @returns the library that reads rows of this width: four values at a time where they divide it. */
export function itemLibrary(width: number): string {
  return width % 4 === 0 ? "item-vec4" : "item-scalar";
}

/**
 * The launch of a row kernel. `lane` and `workgroup` are one kernel with another `row-*` library, `pair` is the file
 * `<kernel>.pair`; all of them take the libraries `item-*`.
 */
export function rowLaunch({ kernel, variant, width, rows, constants, uniform }: RowLaunch): Launch {
  const rowsPerWorkgroup = variant === "workgroup" ? 1 : ROWS_PER_WORKGROUP;
  const { grid, grid_width } = gridOver(rows, rowsPerWorkgroup);
  const shared = {
    constants: { ...constants, WIDTH: width, ROWS: rowsPerWorkgroup },
    uniform: { rows, grid_width, ...uniform },
    grid,
  };
  if (variant === "pair") return { ...shared, kernel: `${kernel}.pair`, libs: [itemLibrary(width)] };
  const lanes = variant === "workgroup" ? LANES_PER_ROW : 1;
  const libs = [itemLibrary(width), variant === "workgroup" ? "row-workgroup" : "row-lane"];
  return { ...shared, kernel, constants: { ...shared.constants, LANES: lanes }, libs };
}
