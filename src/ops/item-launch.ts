/** @file How kernels that treat every item alike are launched: one of them per invocation. */

import type { Constants, Dim, Launch, Shape, SizeOf } from "./op.ts";
import { elementCount, gridOver } from "./op.ts";
import { itemLibrary } from "./row-launch.ts";

/** What differs between the launches of kernels with one item per invocation. */
export interface FlatLaunch {
  readonly kernel: string;
  /** How many there are. */
  readonly items: Dim | ((size: SizeOf) => number);
  readonly constants?: Constants | undefined;
  readonly libs?: readonly string[];
  /** All fields but `grid_width`; the number of items is one of them, under the kernel's own name. */
  readonly uniform: Launch["uniform"];
}

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

/** The launch of a kernel with one item per invocation. */
export function flatLaunch({ items, constants, uniform, ...launch }: FlatLaunch): Launch {
  const { grid, grid_width } = gridOver(items, WORKGROUP);
  return { ...launch, constants: { ...constants, WORKGROUP }, uniform: { ...uniform, grid_width }, grid };
}

/** The launch of a kernel that takes the libraries `item-*`: items of four values or one. */
export function itemLaunch({ kernel, shape, values, constants }: ItemLaunch): Launch {
  const items = (size: SizeOf): number => elementCount({ shape, element: "f32" }, size) / values;
  return flatLaunch({ kernel, items, constants, libs: [itemLibrary(values)], uniform: { items } });
}
