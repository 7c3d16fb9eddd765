/** @file Writes ZIP files as torch does: stored (uncompressed) entries with checksums, their data on 64-byte boundaries. */

import { EngineError } from "../errors.ts";

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END_RECORD = 0x06054b50;

const LOCAL_HEADER_BYTES = 30;
const CENTRAL_HEADER_BYTES = 46;
const END_RECORD_BYTES = 22;

/** Version 2.0 of the format is all that stored entries need. */
const VERSION = 20;
/** Names are UTF-8. */
const UTF8_FLAG = 0x0800;
/** Torch's own alignment of entry data: any element type can then be viewed in place. */
const ALIGNMENT = 64;
/** Bytes of an extra field's own header. */
const EXTRA_HEADER_BYTES = 4;
/** Tag of torch's padding field ("FB"). */
const PADDING_TAG = 0x4246;
/** 1 January 1980, the earliest date: files of equal content are equal bytes. */
const DOS_DATE = 0x0021;
/** Beyond these, ZIP64 records would be needed. */
const MAX_BYTES = 0xffffffff;
const MAX_ENTRIES = 0xfffe;

interface Entry {
  readonly name: Uint8Array;
  readonly data: Uint8Array;
  readonly crc: number;
  readonly offset: number;
  readonly padding: number;
}

/**
 * Writes a ZIP file of stored entries, in the given order.
 * @throws EngineError `BAD_INPUT` from 4 GiB or 65,535 entries on, which would need ZIP64.
 */
export function writeZip(files: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const entries: Entry[] = [];
  let offset = 0;
  for (const [text, data] of files) {
    const name = new TextEncoder().encode(text);
    const begin = offset + LOCAL_HEADER_BYTES + name.length + EXTRA_HEADER_BYTES;
    const padding = (ALIGNMENT - (begin % ALIGNMENT)) % ALIGNMENT;
    entries.push({ name, data, crc: crc32(data), offset, padding });
    offset = begin + padding + data.length;
  }
  const directoryBytes = entries.reduce((sum, { name }) => sum + CENTRAL_HEADER_BYTES + name.length, 0);
  const total = offset + directoryBytes + END_RECORD_BYTES;
  if (total > MAX_BYTES || entries.length > MAX_ENTRIES) {
    throw new EngineError("BAD_INPUT", `${entries.length} entries of ${total} bytes are too much for one zip file.`, {
      fix: "Write safetensors, which has no such limit.",
    });
  }
  const writer = new FieldWriter(new Uint8Array(total));
  for (const entry of entries) writeLocal(writer, entry);
  for (const entry of entries) writeCentral(writer, entry);
  writer.u32(END_RECORD);
  for (const value of [0, 0, entries.length, entries.length]) writer.u16(value);
  writer.u32(directoryBytes);
  writer.u32(offset);
  writer.u16(0);
  return writer.bytes;
}

function writeLocal(writer: FieldWriter, { name, data, crc, padding }: Entry): void {
  writer.u32(LOCAL_HEADER);
  writeCommon(writer, data.length, crc);
  writer.u16(name.length);
  writer.u16(EXTRA_HEADER_BYTES + padding);
  writer.put(name);
  writer.u16(PADDING_TAG);
  writer.u16(padding);
  writer.skip(padding);
  writer.put(data);
}

function writeCentral(writer: FieldWriter, { name, data, crc, offset }: Entry): void {
  writer.u32(CENTRAL_HEADER);
  writer.u16(VERSION);
  writeCommon(writer, data.length, crc);
  writer.u16(name.length);
  // Extra field, comment, disk, internal attributes; then external attributes.
  for (let field = 0; field < 4; field++) writer.u16(0);
  writer.u32(0);
  writer.u32(offset);
  writer.put(name);
}

/** What both headers share: version, flags, method 0, time, date, checksum, and the size twice. */
function writeCommon(writer: FieldWriter, size: number, crc: number): void {
  for (const value of [VERSION, UTF8_FLAG, 0, 0, DOS_DATE]) writer.u16(value);
  for (const value of [crc, size, size]) writer.u32(value);
}

class FieldWriter {
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u16(value: number): void {
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }

  u32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  put(data: Uint8Array): void {
    this.bytes.set(data, this.at);
    this.at += data.length;
  }

  skip(count: number): void {
    this.at += count;
  }
}

/** The reflected CRC-32 polynomial of ZIP. */
const POLYNOMIAL = 0xedb88320;

/** CRC-32 as ZIP, gzip and PNG compute it; an unsigned integer. */
export function crc32(bytes: Uint8Array): number {
  const table = crcTable();
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function crcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    return crc;
  });
}
