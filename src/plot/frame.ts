/** @file The frame of a chart: from the values of two axes to places in its drawing. */

import { scaleFor } from "./scale.ts";
import type { Scale, Span } from "./scale.ts";

/** Where the values of a chart are drawn: its edges in the drawing, in which y grows downwards. */
export interface Field {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** One axis: the values that are drawn along it, and what else it is to show. */
export interface Side extends Span {
  readonly values: readonly number[];
}

/** Places of values, and the ticks of both axes. */
export interface Frame {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
  readonly xTicks: Scale["ticks"];
  readonly yTicks: Scale["ticks"];
}

/** @returns a frame in whose field all values lie, larger ones further to the right and further up. */
export function frameFor({ left, right, top, bottom }: Field, x: Side, y: Side): Frame {
  const [across, up] = [scaleFor(x.values, x), scaleFor(y.values, y)];
  return {
    x: (value) => left + across.at(value) * (right - left),
    y: (value) => top + (1 - up.at(value)) * (bottom - top),
    xTicks: across.ticks,
    yTicks: up.ticks,
  };
}
