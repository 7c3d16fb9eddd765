/** @file The `layers` axis of a sweep: which layers are routed, in words that do not depend on the host. */

import { EngineError } from "../errors.ts";
import { refuseField, wholeField } from "../inputs/fields.ts";

/** "all", numbers and ranges such as "0-3,8", or a list of layers. */
export type LayersChoice = string | readonly number[];

const RANGE = /^(\d+)(?:-(\d+))?$/;

function parts(text: string, where: string): [number, number][] {
  return text.split(",").map((part): [number, number] => {
    const [, first, last] = RANGE.exec(part.trim()) ?? refuseField(where, text, '"all", or ranges such as "0-3,8"');
    const [from, to] = [Number(first), Number(last ?? first)];
    return from <= to ? [from, to] : refuseField(where, text, "ranges that ascend");
  });
}

/**
 * Checks a choice without knowing the host.
 * @throws EngineError BAD_CONFIG
 */
export function layersField(value: unknown, where: string): LayersChoice {
  if (Array.isArray(value) && value.length > 0) return value.map((layer, i) => wholeField(layer, `${where}[${i}]`, 0));
  if (typeof value !== "string") refuseField(where, value, '"all", a text such as "8-11", or a list of layers');
  if (value !== "all") parts(value as string, where);
  return value as string;
}

/**
 * @param count layers of the host
 * @param dense layers that "all" leaves dense
 * @returns the layers that are routed, ascending, each once
 * @throws EngineError BAD_CONFIG for layers that the host does not have, and for "all" where none is left
 */
export function chosenLayers(choice: LayersChoice, count: number, dense: readonly number[] = []): readonly number[] {
  const where = "axes.layers";
  const every = Array.from({ length: count }, (_, layer) => layer);
  if (choice === "all") {
    const left = every.filter((layer) => !dense.includes(layer));
    return left.length > 0 ? left : refuseField(where, choice, "at least one layer that the task does not keep dense");
  }
  const ranges = typeof choice === "string" ? parts(choice, where) : choice.map((layer) => [layer, layer] as const);
  const beyond = ranges.flat().find((layer) => layer >= count);
  if (beyond !== undefined) {
    const message = `${where} names layer ${beyond}; the host has ${count}, from 0`;
    throw new EngineError("BAD_CONFIG", message, { where, fix: "name layers of the host" });
  }
  return every.filter((layer) => ranges.some(([from, to]) => layer >= from && layer <= to));
}
