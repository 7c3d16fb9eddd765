/** @file The pixels of a screenshot: PNG files of 8 bits a channel, without interlacing, as browsers write them. */

import { inflateSync } from "node:zlib";

/** A screenshot. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green and blue of a pixel. */
  at(x: number, y: number): readonly [number, number, number];
}

/** The predictor of the Paeth filter. */
function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** Undoes the filters of all lines. */
function unfilter(lines: Uint8Array, stride: number, depth: number): Uint8Array {
  const height = lines.length / (stride + 1);
  const pixels = new Uint8Array(height * stride);
  for (let y = 0; y < height; y += 1) {
    const filter = lines[y * (stride + 1)];
    for (let i = 0; i < stride; i += 1) {
      const at = y * stride + i;
      const left = i < depth ? 0 : (pixels[at - depth] as number);
      const up = y === 0 ? 0 : (pixels[at - stride] as number);
      const corner = i < depth || y === 0 ? 0 : (pixels[at - stride - depth] as number);
      const guesses = [0, left, up, (left + up) >> 1, paeth(left, up, corner)];
      pixels[at] = (lines[y * (stride + 1) + 1 + i] as number) + (guesses[filter as number] as number);
    }
  }
  return pixels;
}

/** Reads a screenshot. */
export function readPng(bytes: Uint8Array): Picture {
  const file = Buffer.from(bytes);
  const [width, height] = [file.readUInt32BE(16), file.readUInt32BE(20)];
  const [bits, kind, , , interlaced] = file.subarray(24, 29);
  const depth = { 2: 3, 6: 4 }[kind as number];
  if (bits !== 8 || depth === undefined || interlaced !== 0) throw new Error("a PNG of another kind");
  const parts: Buffer[] = [];
  for (let at = 8; at < file.length;) {
    const size = file.readUInt32BE(at);
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, at + 8 + size));
    at += size + 12;
  }
  const pixels = unfilter(inflateSync(Buffer.concat(parts)), width * depth, depth);
  return {
    width,
    height,
    at: (x, y) => {
      const first = (Math.round(y) * width + Math.round(x)) * depth;
      return [pixels[first] as number, pixels[first + 1] as number, pixels[first + 2] as number];
    },
  };
}
