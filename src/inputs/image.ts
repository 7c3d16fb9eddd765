/** @file Images as rows of patches: checked, scaled to [0, 1], normalised channel by channel, cut row by row. */

import { EngineError } from "../errors.ts";

/** An image: channels one after the other, each row by row. */
export interface Image {
  /** Bytes are pixels from 0 to 255; floats are pixels divided by 255. */
  readonly data: Uint8Array | Float32Array;
  /** [channels, height, width]. */
  readonly shape: readonly number[];
}

/** What a model takes. Heights and widths in pixels. */
export interface ImageFormat {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  /** Height and width of a patch; they divide those of the image. */
  readonly patch: readonly [number, number];
  /** Per channel, of pixels in [0, 1]: (v − mean) / std is what the model reads. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

const BYTE = 255;
// Pixels lie in [0, 1] and honest overshoot stays below this; pixels of 0 to 255 lie far above.
const BRIGHTEST = 16;

function refuse(index: number, problem: string, fix: string): never {
  const where = `images[${index}]`;
  throw new EngineError("BAD_INPUT", `${where} ${problem}`, { where, fix });
}

function checkImage({ data, shape }: Image, index: number, { channels, height, width }: ImageFormat): void {
  if (!(data instanceof Uint8Array) && !(data instanceof Float32Array))
    refuse(
      index,
      "is neither bytes nor floats",
      "Pass data as a Uint8Array, or a Float32Array of pixels divided by 255.",
    );
  const expected = [channels, height, width];
  if (!Array.isArray(shape) || shape.length !== 3 || shape.some((extent, axis) => extent !== expected[axis])) {
    const found = Array.isArray(shape) ? `[${shape.join(", ")}]` : String(shape);
    const fix = "Resize or crop the image; positions are not interpolated. The channels come first.";
    refuse(index, `has shape ${found}; the model takes [${expected.join(", ")}]`, fix);
  }
  const count = channels * height * width;
  if (data.length !== count)
    refuse(
      index,
      `has ${data.length} values, its shape [${expected.join(", ")}] has ${count}`,
      "Give every pixel once.",
    );
  if (data instanceof Uint8Array) return;
  const bad = data.findIndex((value) => !(Math.abs(value) <= BRIGHTEST));
  if (bad < 0) return;
  const fix = Number.isFinite(data[bad])
    ? "Divide pixels by 255, or pass bytes; normalised pixels go into features."
    : "Remove NaN and infinities from the image.";
  refuse(index, `holds ${data[bad]} at element ${bad}; floats are pixels divided by 255`, fix);
}

/** Patches of an image, row by row: down and across. */
function patchGrid({ height, width, patch }: ImageFormat): readonly [number, number] {
  return [height / patch[0], width / patch[1]];
}

/** Writes the patches of one image from element `start` of `rows` on. */
function cut({ data }: Image, format: ImageFormat, rows: Float32Array, start: number): void {
  const { channels, height, width, patch, mean, std } = format;
  const [patchHeight, patchWidth] = patch;
  const [down, across] = patchGrid(format);
  const scale = data instanceof Uint8Array ? BYTE : 1;
  let to = start;
  for (let place = 0; place < down * across; place += 1) {
    const top = Math.floor(place / across) * patchHeight;
    const left = (place % across) * patchWidth;
    for (let channel = 0; channel < channels; channel += 1) {
      const [shift, deviation] = [mean[channel] as number, std[channel] as number];
      for (let y = 0; y < patchHeight; y += 1) {
        const from = (channel * height + top + y) * width + left;
        for (let x = 0; x < patchWidth; x += 1) rows[to++] = ((data[from + x] as number) / scale - shift) / deviation;
      }
    }
  }
}

/**
 * Normalises images and cuts them into patches: row r of an image is patch r, counted row by row; its values are channel by channel,
 * row by row, as the weights of a convolution over the patch lie in memory.
 * @returns `[images · patches, channels · patch height · patch width]`, row-major; empty for no images
 * @throws EngineError `BAD_INPUT` for another size or number of channels, and for values that are no pixels
 * @example
 * const rows = cutPatches([{ data: bytes, shape: [1, 28, 28] }], format);
 */
export function cutPatches(images: readonly Image[], format: ImageFormat): Float32Array {
  images.forEach((image, index) => checkImage(image, index, format));
  const size = format.channels * format.height * format.width;
  const rows = new Float32Array(images.length * size);
  images.forEach((image, index) => cut(image, format, rows, index * size));
  return rows;
}
