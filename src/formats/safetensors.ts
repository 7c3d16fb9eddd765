/**
 * @file The safetensors reader (MATHS §3.4): u64 header length, JSON header, data. Every claim of the header is checked
 * against the file before any tensor exists, and tensors are views: nothing of the file's size is allocated.
 */

import { badFile } from "./bad-file.ts";
import { ByteReader } from "./byte-reader.ts";
import { isJsonObject, parseJson } from "./json.ts";
import { dtypeBits, isCount, isTensorDtype, tensorBytes } from "./tensor.ts";
import type { StoredTensor, TensorDtype, TensorFile } from "./tensor.ts";

/** The longest header that the format allows. */
const MAX_HEADER_BYTES = 100_000_000;

/** The header's key for free text; never a tensor. */
export const METADATA_KEY = "__metadata__";

interface Entry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/**
 * Reads a safetensors file; tensors come in the order of their data and are views of `bytes`.
 * @param where the file's name, for errors.
 * @throws EngineError `BAD_FILE`: truncated, oversized or malformed header; duplicate names; unknown dtypes; shapes that
 * overflow; offsets with a hole, an overlap or a wrong size; bytes after the last tensor.
 * @example
 * const { tensors } = readSafetensors(await folder.read("model.safetensors"), "model.safetensors");
 */
export function readSafetensors(bytes: Uint8Array, where: string): TensorFile {
  const reader = new ByteReader(bytes, where);
  const headerBytes = reader.u64();
  if (headerBytes > MAX_HEADER_BYTES) {
    throw badFile(where, `the header claims ${headerBytes} bytes; the format allows ${MAX_HEADER_BYTES}.`);
  }
  const text = reader.text(headerBytes);
  if (!text.startsWith("{")) throw badFile(where, 'the header does not begin with "{".');
  const header = parseJson(text, `${where} header`);
  if (!isJsonObject(header)) throw badFile(where, "the header is not a JSON object.");
  const data = reader.take(reader.left);

  const metadata = readMetadata(header[METADATA_KEY], where);
  const entries = Object.entries(header)
    .filter(([name]) => name !== METADATA_KEY)
    .map(([name, value]) => readEntry(name, value, data.length, where));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  checkTiling(entries, data.length, where);

  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { name, dtype, shape, bytes: data.subarray(begin, end) });
  }
  return { tensors, metadata };
}

function readMetadata(value: unknown, where: string): Record<string, string> {
  if (value === undefined) return {};
  if (!isJsonObject(value)) throw badFile(where, `${METADATA_KEY} is not an object.`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw badFile(where, `${METADATA_KEY}.${key} is not a string.`);
  }
  return value as Record<string, string>;
}

function readEntry(name: string, value: unknown, dataBytes: number, file: string): Entry {
  const where = `${file}, tensor ${JSON.stringify(name)}`;
  if (!isJsonObject(value)) throw badFile(where, "its header entry is not an object.");
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isTensorDtype(dtype)) {
    throw badFile(where, `unknown dtype ${JSON.stringify(dtype)}.`, `Use one of ${Object.keys(dtypeBits).join(", ")}.`);
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) throw badFile(where, "its shape is not a list of counts.");
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw badFile(where, "its data_offsets are not two counts.");
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataBytes) {
    throw badFile(where, `its data_offsets [${begin}, ${end}] do not lie in the ${dataBytes} bytes of data.`);
  }
  const expected = tensorBytes(dtype, shape, where);
  if (end - begin !== expected) {
    throw badFile(
      where,
      `${dtype} [${shape.join(", ")}] takes ${expected} bytes, its data_offsets span ${end - begin}.`,
    );
  }
  return { name, dtype, shape, begin, end };
}

/** Ordered entries must start at 0, touch, and end at the end of the data. */
function checkTiling(entries: readonly Entry[], dataBytes: number, where: string): void {
  let reached = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== reached) {
      const problem = begin < reached ? "overlaps the tensor before it" : "leaves a hole before it";
      throw badFile(
        where,
        `tensor ${JSON.stringify(name)} begins at ${begin} and ${problem}, which ends at ${reached}.`,
      );
    }
    reached = end;
  }
  if (reached !== dataBytes) throw badFile(where, `${dataBytes - reached} bytes follow the last tensor.`);
}
