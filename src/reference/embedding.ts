/** @file Sums of rows of the word, position and type tables. */

import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/**
 * ids?[R], word?[V, D], base?[R, D], position?[P, D], types?[R], type_table?[T, D], segments[S + 1] -> y[R, D] =
 * base + word[ids] + position[row - segment start + positionOffset] + type_table[types]; an index past its table adds
 * nothing.
 */
export function embedding(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const { ids, word, base, position, types, type_table: typeTable } = inputs;
  const segments = (inputs.segments as ReferenceTensor).data;
  const rows = (base ?? ids)?.shape[0] as number;
  const width = (base ?? word)?.shape[1] as number;
  const data = base === undefined ? new Float64Array(rows * width) : Float64Array.from(base.data);
  const add = (row: number, table: ReferenceTensor | undefined, index: number | undefined): void => {
    if (table === undefined || index === undefined || index >= (table.shape[0] as number)) return;
    for (let c = 0; c < width; c += 1) {
      const at = row * width + c;
      data[at] = (data[at] as number) + (table.data[index * width + c] as number);
    }
  };
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const start = segments[s] as number;
    for (let row = start; row < (segments[s + 1] as number); row += 1) {
      add(row, word, ids?.data[row]);
      add(row, position, row - start + ((attributes.positionOffset as number | undefined) ?? 0));
      add(row, typeTable, types?.data[row]);
    }
  }
  return { y: { shape: [rows, width], data } };
}
