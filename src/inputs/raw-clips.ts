/** @file Raw little-endian 16-bit samples, cut into clips by a table. */

import { EngineError } from "../errors.ts";
import type { Table } from "./csv.ts";

/** 16-bit full scale. */
const FULL_SCALE = 32768;

/** The file and the table that cuts it, with their names for errors. */
export interface RawClips {
  readonly bytes: Uint8Array;
  readonly where: string;
  /** With the columns `offset_samples` and `samples`; without them, or without a table, clips of `length` follow each other. */
  readonly table: Table | null;
  readonly tableWhere: string;
  readonly length: number;
}

/** One clip. */
export interface RawClip {
  /** The line of the table, or the file and the clip's number. */
  readonly place: string;
  /** In [−1, 1). */
  readonly samples: Float32Array;
}

/** First sample and length of every clip. */
function clipRanges({ table, length }: RawClips, total: number): [number, number][] {
  if (table !== null && table.columns.includes("offset_samples")) {
    const lengths = table.column("samples");
    return table.column("offset_samples").map((offset, row) => [Number(offset), Number(lengths[row])]);
  }
  const count = table === null ? Math.floor(total / length) : table.rows.length;
  return Array.from({ length: count }, (_, clip) => [clip * length, length]);
}

/**
 * Cuts samples into clips.
 * @throws EngineError BAD_FILE where bytes are no samples, or the table names samples that are not there
 */
export function cutRawClips(raw: RawClips): RawClip[] {
  const { bytes, where, table, tableWhere, length: fixed } = raw;
  if (bytes.byteLength % 2 !== 0)
    throw new EngineError("BAD_FILE", `${where} has an odd number of bytes, so it is not 16-bit samples`, { where });
  const total = bytes.byteLength / 2;
  if (table === null && total % fixed !== 0) {
    const message = `${where} has ${total} samples, which is no multiple of the model's ${fixed}`;
    const fix = "pass --tsv with the offset and length of every clip";
    throw new EngineError("BAD_FILE", message, { where, fix });
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return clipRanges(raw, total).map(([offset, length], clip) => {
    const place = table === null ? `${where}, clip ${clip}` : `${tableWhere}:${table.lines[clip]}`;
    const fits =
      Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0 && offset + length <= total;
    if (!fits) {
      const message = `${place} names samples ${offset} to ${offset + length} of ${total}`;
      throw new EngineError("BAD_FILE", message, { where: place });
    }
    return {
      place,
      samples: Float32Array.from({ length }, (_, i) => view.getInt16(2 * (offset + i), true) / FULL_SCALE),
    };
  });
}
