/** @file How kernels are launched whose rows are shared by invocations that never wait for one another: copies, sums of given rows. */

import { gridOver } from "./op.ts";
import type { Constants, DeviceTraits, Dim, Launch } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";

/** What differs between the launches of such kernels. */
export interface RowShare {
  readonly kernel: string;
  /** One of {@link rowShareVariants}. */
  readonly variant: string;
  readonly rows: Dim;
  /** Values read at once: 4, or 1 where a width or a column does not divide by 4. */
  readonly values: 1 | 4;
  readonly constants?: Constants;
  /** All fields but `rows` and `grid_width`. */
  readonly uniform?: Launch["uniform"];
}

const WORKGROUP = 64;
/** On software adapters four invocations are one vector, and what is looked up for a row is looked up by each of them. */
const SOFTWARE_LANES = 4;
/** Items of a row from which on more than a workgroup's usual number of invocations pay on hardware, and how many. */
const WIDE = 1024;
const WIDE_LANES = 256;

/** Variants by invocations a row, best first, for rows of so many items: few on software adapters, no more than there are items. */
export function rowShareVariants(device: DeviceTraits, items: number): readonly string[] {
  const most = items >= WIDE ? WIDE_LANES : WORKGROUP;
  const order = device.software ? [SOFTWARE_LANES, most] : [most, SOFTWARE_LANES];
  return [...new Set(order.map((lanes) => `lanes-${Math.min(lanes, coveringLanes(items))}`))];
}

/** The least power of two that covers a row; 1 for none. */
function coveringLanes(items: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(items, 1)));
}

/** @returns 4 where all these lengths are multiples of 4, else 1. */
export function valuesAtOnce(...lengths: readonly number[]): 1 | 4 {
  return lengths.every((length) => length % 4 === 0) ? 4 : 1;
}

/** The launch of a kernel with the constants LANES, of a row, and ROWS, of a workgroup, and the libraries `item-*`. */
export function rowShareLaunch({ kernel, variant, rows, values, constants, uniform }: RowShare): Launch {
  const lanes = Number(variant.slice("lanes-".length));
  const rowsPerWorkgroup = Math.max(WORKGROUP / lanes, 1);
  const { grid, grid_width } = gridOver(rows, rowsPerWorkgroup);
  return {
    kernel,
    constants: { ...constants, LANES: lanes, ROWS: rowsPerWorkgroup },
    libs: [itemLibrary(values)],
    uniform: { rows, grid_width, ...uniform },
    grid,
  };
}
