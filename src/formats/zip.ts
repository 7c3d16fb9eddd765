/**
 * @file The part of ZIP that torch writes: stored (uncompressed) entries, found through the central directory, with
 * ZIP64. Entries are views of the file. Checksums are not compared: torch can be told not to write them.
 */

import { badFile } from "./bad-file.ts";
import { ByteReader, decodeUtf8 } from "./byte-reader.ts";

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;
const END_RECORD_64 = 0x06064b50;
const END_LOCATOR_64 = 0x07064b50;

const END_RECORD_BYTES = 22;
const END_LOCATOR_64_BYTES = 20;
const MAX_COMMENT_BYTES = 0xffff;

/** A 16- or 32-bit field with all bits set says that the value is in the ZIP64 record. */
const IN_ZIP64_16 = 0xffff;
const IN_ZIP64_32 = 0xffffffff;

const ZIP64_EXTRA = 0x0001;
const ENCRYPTED_FLAG = 1;
const SAVE_AGAIN = "Save the checkpoint again with torch.save, which stores its entries uncompressed.";

interface Directory {
  readonly entries: number;
  readonly bytes: number;
  readonly offset: number;
}

/** Whether the bytes begin like a ZIP file with at least one entry. */
export function looksLikeZip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;
}

/**
 * Lists a ZIP file's entries by name, each as a view of its stored bytes.
 * @throws EngineError `BAD_FILE`: truncation, offsets outside the file, duplicate names, compressed or encrypted entries.
 */
export function readZip(bytes: Uint8Array, where: string): Map<string, Uint8Array> {
  const directory = findDirectory(bytes, where);
  const reader = new ByteReader(bytes.subarray(0, directory.offset + directory.bytes), where, directory.offset);
  const files = new Map<string, Uint8Array>();
  for (let index = 0; index < directory.entries; index++) {
    const { name, size, offset } = readEntry(reader);
    if (files.has(name)) throw badFile(where, `the zip entry ${JSON.stringify(name)} stands there twice.`);
    files.set(name, entryBytes(bytes, offset, size, `${where}/${name}`));
  }
  return files;
}

function findDirectory(bytes: Uint8Array, where: string): Directory {
  const lowest = Math.max(0, bytes.length - END_RECORD_BYTES - MAX_COMMENT_BYTES);
  for (let at = bytes.length - END_RECORD_BYTES; at >= lowest; at--) {
    if (bytes[at] !== 0x50) continue;
    const reader = new ByteReader(bytes, where, at);
    if (reader.u32() !== END_RECORD) continue;
    reader.offset = at + 10;
    const entries = reader.u16();
    const size = reader.u32();
    const offset = reader.u32();
    // The comment must reach the end of the file, or this is the signature by accident inside the comment.
    if (reader.u16() !== reader.left) continue;
    const zip64 = entries === IN_ZIP64_16 || size === IN_ZIP64_32 || offset === IN_ZIP64_32;
    const directory = zip64 ? readDirectory64(bytes, at, where) : { entries, bytes: size, offset };
    if (directory.offset + directory.bytes > at) throw badFile(where, "the zip directory lies outside the file.");
    return directory;
  }
  throw badFile(where, "truncated: the zip directory at the file's end is missing.");
}

function readDirectory64(bytes: Uint8Array, endRecord: number, where: string): Directory {
  if (endRecord < END_LOCATOR_64_BYTES) throw badFile(where, "the ZIP64 locator is missing.");
  const locator = new ByteReader(bytes, where, endRecord - END_LOCATOR_64_BYTES);
  if (locator.u32() !== END_LOCATOR_64) throw badFile(where, "the ZIP64 locator is missing.");
  locator.u32();
  const record = new ByteReader(bytes, where);
  record.take(locator.u64());
  if (record.u32() !== END_RECORD_64) throw badFile(where, "the ZIP64 directory record is missing.");
  record.take(28);
  return { entries: record.u64(), bytes: record.u64(), offset: record.u64() };
}

function readEntry(reader: ByteReader): { name: string; size: number; offset: number } {
  const { where } = reader;
  if (reader.u32() !== CENTRAL_HEADER)
    throw badFile(where, `the zip directory is damaged at byte ${reader.offset - 4}.`);
  reader.take(4);
  const flags = reader.u16();
  const method = reader.u16();
  reader.take(8);
  const stored = reader.u32();
  const size = reader.u32();
  const nameBytes = reader.u16();
  const extraBytes = reader.u16();
  const commentBytes = reader.u16();
  reader.take(8);
  const offset = reader.u32();
  const name = decodeUtf8(reader.take(nameBytes), `${where}, a zip entry's name`);
  const fields = zip64Fields(reader.take(extraBytes), [size, stored, offset], `${where}/${name}`);
  reader.take(commentBytes);
  if (method !== 0 || fields[0] !== fields[1]) throw badFile(where, `the zip entry ${name} is compressed.`, SAVE_AGAIN);
  if ((flags & ENCRYPTED_FLAG) !== 0) throw badFile(where, `the zip entry ${name} is encrypted.`, SAVE_AGAIN);
  return { name, size: fields[0], offset: fields[2] };
}

/** Replaces the fields that say so by their 64-bit values: the extra block holds just those, in this order. */
function zip64Fields(extra: Uint8Array, fields: [number, number, number], where: string): [number, number, number] {
  if (!fields.includes(IN_ZIP64_32)) return fields;
  const reader = new ByteReader(extra, where);
  while (reader.left >= 4) {
    const kind = reader.u16();
    const block = new ByteReader(reader.take(reader.u16()), where);
    if (kind !== ZIP64_EXTRA) continue;
    const wide = (field: number): number => (field === IN_ZIP64_32 ? block.u64() : field);
    return [wide(fields[0]), wide(fields[1]), wide(fields[2])];
  }
  throw badFile(where, "the ZIP64 sizes are missing.");
}

function entryBytes(bytes: Uint8Array, offset: number, size: number, where: string): Uint8Array {
  const reader = new ByteReader(bytes, where);
  reader.take(offset);
  if (reader.u32() !== LOCAL_HEADER) throw badFile(where, `no zip entry begins at byte ${offset}.`);
  reader.take(22);
  const nameBytes = reader.u16();
  const extraBytes = reader.u16();
  reader.take(nameBytes + extraBytes);
  return reader.take(size);
}
