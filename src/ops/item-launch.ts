/** @file How kernels that treat every element alike are launched: one item, four values or one, per invocation. */

import type { Constants, Launch, Shape, SizeOf } from "./op.ts";
import { elementCount, foldGrid } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";

/** What differs between the launches of elementwise kernels. */
export interface ItemLaunch {
  readonly kernel: string;
  readonly shape: Shape;
  /** Values per item, {@link itemSize} of the shape or 1. */
  readonly values: 1 | 4;
  readonly constants?: Constants;
}

const WORKGROUP = 64;

/** @returns values per item: 4 where every length of a shape is a multiple of 4, whatever the run. */
export function itemSize(shape: Shape): 1 | 4 {
  const fixed = shape.reduce((product: number, dim) => product * (typeof dim === "number" ? dim : dim.times), 1);
  return fixed % 4 === 0 ? 4 : 1;
}

/** The launch of a kernel that takes the libraries `item-*`. */
export function itemLaunch({ kernel, shape, values, constants }: ItemLaunch): Launch {
  const items = (size: SizeOf): number => elementCount({ shape, element: "f32" }, size) / values;
  const grid = (size: SizeOf): readonly [number, number, number] => foldGrid(Math.ceil(items(size) / WORKGROUP));
  return {
    kernel,
    constants: { ...constants, WORKGROUP },
    libs: [itemLibrary(values)],
    uniform: { items, grid_width: (size) => grid(size)[0] },
    grid,
  };
}
