/** @file A cursor over bytes that checks every read against the end. */

import { badFile } from "./bad-file.ts";

const TWO_POW_32 = 0x1_0000_0000;

/** Reads numbers and strings from a byte array, front to back. Every method throws `BAD_FILE` past the end. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly where: string;
  offset: number;
  private readonly view: DataView;

  constructor(bytes: Uint8Array, where: string, offset: number = 0) {
    this.bytes = bytes;
    this.where = where;
    this.offset = offset;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes between the cursor and the end. */
  get left(): number {
    return this.bytes.length - this.offset;
  }

  /** Moves past `count` bytes and returns where they begin. */
  private advance(count: number): number {
    if (!(count <= this.left)) {
      throw badFile(this.where, `truncated: ${count} bytes wanted at byte ${this.offset}, ${this.left} are left.`);
    }
    const at = this.offset;
    this.offset += count;
    return at;
  }

  /** A view of the next `count` bytes. */
  take(count: number): Uint8Array {
    const at = this.advance(count);
    return this.bytes.subarray(at, at + count);
  }

  u8(): number {
    return this.view.getUint8(this.advance(1));
  }

  u16(): number {
    return this.view.getUint16(this.advance(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  i32(): number {
    return this.view.getInt32(this.advance(4), true);
  }

  /** A little-endian u64 that must be exact as a number. */
  u64(): number {
    const at = this.advance(8);
    const value = this.view.getUint32(at + 4, true) * TWO_POW_32 + this.view.getUint32(at, true);
    if (!Number.isSafeInteger(value)) throw badFile(this.where, `the length at byte ${at} is absurd (about ${value}).`);
    return value;
  }

  /** A big-endian f64, as pickles store floats. */
  f64BigEndian(): number {
    return this.view.getFloat64(this.advance(8), false);
  }

  /** The next `count` bytes as UTF-8. */
  text(count: number): string {
    const at = this.offset;
    return decodeUtf8(this.take(count), `${this.where}, byte ${at}`);
  }

  /** The bytes up to the next line feed as UTF-8; the line feed is consumed. */
  line(): string {
    const end = this.bytes.indexOf(0x0a, this.offset);
    if (end < 0) throw badFile(this.where, `truncated: the line that begins at byte ${this.offset} has no end.`);
    const text = this.text(end - this.offset);
    this.offset = end + 1;
    return text;
  }
}

/** Strict UTF-8; a byte order mark is kept, so that it cannot hide in front of a header. */
export function decodeUtf8(bytes: Uint8Array, where: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw badFile(where, "the text is not UTF-8.", undefined, cause);
  }
}
