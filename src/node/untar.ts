/** @file Just enough of the tar format to unpack the files of a trusted archive. */

import { EngineError } from "../errors.ts";

const BLOCK = 512;

/** The regular files of a tar archive, by base name. Long names, links and folders are passed over. */
export function untar(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number): string => {
    const field = archive.subarray(from, from + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end));
  };
  let at = 0;
  // The archive ends with blocks of zeros.
  while (at + BLOCK <= archive.length && archive[at] !== 0) {
    const size = Number.parseInt(text(at + 124, 12).trim(), 8);
    const start = at + BLOCK;
    if (!Number.isSafeInteger(size) || size < 0 || start + size > archive.length) {
      throw new EngineError("BAD_FILE", `the tar archive is truncated or damaged at byte ${at}`);
    }
    const type = text(at + 156, 1);
    const name = text(at, 100).split("/").at(-1) ?? "";
    if ((type === "0" || type === "") && name !== "") files.set(name, archive.subarray(start, start + size));
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
