/** @file Pixels as a PNG in a data URI: stored without compression, for small pictures inside a page that needs no network. */

import { fromBase64, toBase64 } from "./trace-media.ts";
import type { ImageTrace } from "./trace-types.ts";

/** Longest side that is drawn; larger pictures are averaged down by a whole factor. */
const LONGEST = 112;
/** Bytes of one stored block of a deflate stream. */
const BLOCK = 65_535;

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

function adler32(bytes: Uint8Array): number {
  let [a, b] = [1, 0];
  for (const byte of bytes) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  return ((b << 16) | a) >>> 0;
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function word(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

function chunk(name: string, data: Uint8Array): Uint8Array {
  const body = join([new TextEncoder().encode(name), data]);
  return join([word(data.length), body, word(crc32(body))]);
}

/** A zlib stream (RFC 1950) of stored blocks (RFC 1951, 3.2.4). */
function stored(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [Uint8Array.of(0x78, 0x01)];
  for (let from = 0; from === 0 || from < bytes.length; from += BLOCK) {
    const part = bytes.subarray(from, from + BLOCK);
    const last = from + BLOCK >= bytes.length ? 1 : 0;
    const size = part.length;
    parts.push(Uint8Array.of(last, size & 255, size >> 8, ~size & 255, (~size >> 8) & 255), part);
  }
  return join([...parts, word(adler32(bytes))]);
}

/** Means of squares of pixels, so that a picture has at most {@link LONGEST} pixels a side. */
function reduced(image: ImageTrace, pixels: Uint8Array): { width: number; height: number; pixels: Uint8Array } {
  const { width, height, channels } = image;
  const factor = Math.ceil(Math.max(width, height) / LONGEST);
  if (factor === 1) return { width, height, pixels };
  const [w, h] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const small = new Uint8Array(w * h * channels);
  for (let i = 0; i < small.length; i += 1) {
    const [x, y, channel] = [Math.floor(i / channels) % w, Math.floor(i / channels / w), i % channels];
    let [sum, count] = [0, 0];
    for (let row = y * factor; row < Math.min(height, (y + 1) * factor); row += 1) {
      for (let column = x * factor; column < Math.min(width, (x + 1) * factor); column += 1) {
        sum += pixels[(row * width + column) * channels + channel] ?? 0;
        count += 1;
      }
    }
    small[i] = Math.round(sum / count);
  }
  return { width: w, height: h, pixels: small };
}

/** The picture as `data:image/png;base64,…`. */
export function pngUri(image: ImageTrace): string {
  const { width, height, pixels } = reduced(image, fromBase64(image.pixels) ?? new Uint8Array(0));
  const stride = width * image.channels;
  // Each line of pixels begins with the number of its filter; 0 is none.
  const lines = new Uint8Array(height * (stride + 1));
  for (let row = 0; row < height; row += 1)
    lines.set(pixels.subarray(row * stride, (row + 1) * stride), row * (stride + 1) + 1);
  const kind = image.channels === 1 ? 0 : 2;
  const head = join([word(width), word(height), Uint8Array.of(8, kind, 0, 0, 0)]);
  const signature = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
  const file = join([signature, chunk("IHDR", head), chunk("IDAT", stored(lines)), chunk("IEND", new Uint8Array(0))]);
  return `data:image/png;base64,${toBase64(file)}`;
}
