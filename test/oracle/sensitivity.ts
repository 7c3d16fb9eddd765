/** @file How far float32 may be from the oracle on a case: measured on the case itself, as random cases differ in condition. */

import { fromFloat32 } from "../../src/formats/tensor.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { readTensors } from "./adapter-files.ts";
import type { Files } from "./adapter-files.ts";
import { oracle } from "./oracle.ts";
import type { OracleRequest } from "./oracle.ts";
import { Draw } from "./random-draw.ts";
import { at } from "./rows.ts";

/** Sixteen roundings of float32 on every weight: about what the sums of a layer of these widths gather. */
const NOISE = 2 ** -20;
/** Roundings of the output itself. */
const FLOOR = 2 ** -20;

/** An absolute tolerance for a float32 run of this case: twice the change that noise of sixteen roundings on all weights makes. */
export function float32Tolerance(request: OracleRequest, values: readonly Float64Array[] = oracle(request)): number {
  const draw = new Draw(1);
  const every = (folders: Readonly<Record<string, Files>> | undefined): Record<string, Files> =>
    Object.fromEntries(Object.entries(folders ?? {}).map(([name, files]) => [name, shaken(files, draw)]));
  const moved = oracle({
    ...request,
    host: shaken(request.host, draw),
    adapters: every(request.adapters),
    fusions: every(request.fusions),
    ...(request.heads === undefined ? {} : { heads: every(request.heads) }),
  });
  return toleranceBetween(values, moved);
}

/** The tolerance that follows from values and those of the same case with noise on all weights (see {@link shaken}). */
export function toleranceBetween(values: readonly Float64Array[], moved: readonly Float64Array[]): number {
  let change = 0;
  let largest = 1;
  for (const [s, rows] of values.entries()) {
    for (const [i, value] of rows.entries()) {
      change = Math.max(change, Math.abs(value - at(moved[s] ?? [], i)));
      largest = Math.max(largest, Math.abs(value));
    }
  }
  return 2 * change + FLOOR * largest;
}

/** A folder with sixteen roundings of noise on every weight. */
export function shaken(files: Files, draw: Draw): Files {
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => [
      name,
      name.endsWith(".safetensors") ? shakenTensors(files, name, draw) : content,
    ]),
  );
}

function shakenTensors(files: Files, name: string, draw: Draw): Uint8Array {
  const stored = [...readTensors(files, name)].map(([key, { shape, data }]) => {
    const values = Float32Array.from(data, (value) => value * (1 + (draw.chance(0.5) ? NOISE : -NOISE)));
    return fromFloat32(key, shape, values);
  });
  return writeSafetensors(stored);
}
