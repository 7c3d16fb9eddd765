/** @file Images cut into patches: order, normalisation, and what is refused. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { cutPatches } from "../../src/inputs/image.ts";
import type { Image, ImageFormat } from "../../src/inputs/image.ts";

const plain = (format: Omit<ImageFormat, "mean" | "std">): ImageFormat => ({
  ...format,
  mean: Array.from({ length: format.channels }, () => 0),
  std: Array.from({ length: format.channels }, () => 1),
});

function refused(call: () => unknown): EngineError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    return error as EngineError;
  }
  throw new Error("nothing was refused");
}

describe("patches", () => {
  test("stand row by row, their values channel by channel, row by row", () => {
    const format = plain({ channels: 2, height: 4, width: 6, patch: [2, 3] });
    const data = Float32Array.from({ length: 48 }, (_, i) => i / 64);
    const rows = cutPatches([{ data, shape: [2, 4, 6] }], format);
    const named = [...rows].map((value) => value * 64);
    expect(named.slice(0, 12)).toEqual([0, 1, 2, 6, 7, 8, 24, 25, 26, 30, 31, 32]);
    expect(named.slice(12, 24)).toEqual([3, 4, 5, 9, 10, 11, 27, 28, 29, 33, 34, 35]);
    expect(named.slice(24, 30)).toEqual([12, 13, 14, 18, 19, 20]);
    expect(named.slice(36, 42)).toEqual([15, 16, 17, 21, 22, 23]);
  });

  test("of any format, each value is the pixel that its place names", () => {
    const size = fc.integer({ min: 1, max: 5 });
    const format = fc.record({ channels: size, down: size, across: size, tall: size, wide: size, count: size });
    fc.assert(
      fc.property(format, ({ channels, down, across, tall, wide, count }) => {
        const [height, width] = [down * tall, across * wide];
        const area = channels * height * width;
        const images = Array.from({ length: count }, (_, n) => ({
          data: Float32Array.from({ length: area }, (_v, i) => ((n * area + i) % 509) / 512),
          shape: [channels, height, width],
        }));
        const rows = cutPatches(images, plain({ channels, height, width, patch: [tall, wide] }));
        expect(rows).toHaveLength(count * area);
        images.forEach(({ data }, n) => {
          for (let c = 0; c < channels; c += 1)
            for (let y = 0; y < height; y += 1)
              for (let x = 0; x < width; x += 1) {
                const patch = (n * down + Math.floor(y / tall)) * across + Math.floor(x / wide);
                const at = ((patch * channels + c) * tall + (y % tall)) * wide + (x % wide);
                if (rows[at] !== data[(c * height + y) * width + x]) throw new Error(`${n} ${c} ${y} ${x}`);
              }
        });
      }),
      { numRuns: 50 },
    );
  });

  test("bytes are pixels of 255, floats are taken as they are, channels have their own mean and deviation", () => {
    const format: ImageFormat = { channels: 2, height: 1, width: 2, patch: [1, 1], mean: [0.25, 0.5], std: [0.5, 2] };
    const bytes = cutPatches([{ data: Uint8Array.of(0, 255, 51, 102), shape: [2, 1, 2] }], format);
    // Patch 0 holds channel 0 and 1 of the left pixel.
    [(0 - 0.25) / 0.5, (0.2 - 0.5) / 2, (1 - 0.25) / 0.5, (0.4 - 0.5) / 2].forEach((value, i) =>
      expect(bytes[i]).toBe(Math.fround(value)),
    );
    const floats = cutPatches([{ data: Float32Array.of(0, 1, 0.5, -0.25), shape: [2, 1, 2] }], format);
    expect([...floats]).toEqual([-0.5, 0, 1.5, -0.375]);
  });

  test("a view of a larger buffer is read from its own start; no images make no rows", () => {
    const format = plain({ channels: 1, height: 1, width: 2, patch: [1, 2] });
    const whole = Uint8Array.of(9, 9, 255, 0);
    expect([...cutPatches([{ data: whole.subarray(2), shape: [1, 1, 2] }], format)]).toEqual([1, 0]);
    expect(cutPatches([], format)).toHaveLength(0);
  });

  const format = plain({ channels: 1, height: 2, width: 2, patch: [1, 1] });
  const good: Image = { data: new Uint8Array(4), shape: [1, 2, 2] };
  test.each<[string, Image, RegExp]>([
    [
      "another size",
      { data: new Uint8Array(6), shape: [1, 2, 3] },
      /has shape \[1, 2, 3\]; the model takes \[1, 2, 2\]/,
    ],
    ["another number of channels", { data: new Uint8Array(12), shape: [3, 2, 2] }, /has shape \[3, 2, 2\]/],
    ["channels last", { data: new Uint8Array(4), shape: [2, 2, 1] }, /has shape \[2, 2, 1\]/],
    ["no channels", { data: new Uint8Array(4), shape: [2, 2] }, /has shape \[2, 2\]/],
    ["no shape", { data: new Uint8Array(4) } as unknown as Image, /has shape undefined/],
    ["too few values", { data: new Uint8Array(3), shape: [1, 2, 2] }, /has 3 values/],
    ["too many values", { data: new Float32Array(5), shape: [1, 2, 2] }, /has 5 values/],
    ["plain numbers", { data: [0, 0, 0, 0], shape: [1, 2, 2] } as unknown as Image, /neither bytes nor floats/],
    ["NaN", { data: Float32Array.of(0, 0, NaN, 0), shape: [1, 2, 2] }, /holds NaN at element 2/],
    ["infinity", { data: Float32Array.of(0, -Infinity, 0, 0), shape: [1, 2, 2] }, /holds -Infinity at element 1/],
    ["floats of 0 to 255", { data: Float32Array.of(0, 0, 0, 128), shape: [1, 2, 2] }, /holds 128 at element 3/],
  ])("%s is refused", (_, bad, message) => {
    const error = refused(() => cutPatches([good, bad], format));
    expect(error.code).toBe("BAD_INPUT");
    expect(error.where).toBe("images[1]");
    expect(error.message).toMatch(/^images\[1\] /);
    expect(error.message).toMatch(message);
    expect(error.fix).not.toBe("");
  });
});
