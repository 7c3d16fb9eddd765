/** @file Reader of the labels of IDX files, the format of MNIST: one byte a label. */

import { badFile } from "../formats/bad-file.ts";

/** Two zeros, unsigned bytes, one axis. */
const MAGIC = 0x0801;
const HEADER = 8;

/**
 * @returns labels as views of the file
 * @throws EngineError BAD_FILE for another format, and for a count that the file's length does not bear out
 */
export function readIdxLabels(bytes: Uint8Array, where: string): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER || view.getUint32(0) !== MAGIC) throw badFile(where, "it is no IDX file of labels.");
  const count = view.getUint32(4);
  if (count !== bytes.length - HEADER) {
    throw badFile(where, `it announces ${count} labels and holds ${bytes.length - HEADER}.`);
  }
  return bytes.subarray(HEADER);
}
