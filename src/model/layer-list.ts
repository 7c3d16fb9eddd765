/** @file Layers as callers name them: a number of the lowest ones, or a list. */

import { EngineError } from "../errors.ts";

/**
 * @returns the layers meant
 * @throws EngineError BAD_CONFIG for layers that the host does not have
 */
export function layerList(layers: number | readonly number[], count: number, call: string): readonly number[] {
  const whole = (value: unknown, most: number): boolean =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most;
  if (typeof layers === "number" && whole(layers, count)) return Array.from({ length: layers }, (_, layer) => layer);
  if (Array.isArray(layers) && layers.every((layer) => whole(layer, count - 1))) return layers;
  const message = `${call}: layers is ${JSON.stringify(layers)}, expected a number up to ${count} or a list of layers below it`;
  throw new EngineError("BAD_CONFIG", message, { where: "layers" });
}
