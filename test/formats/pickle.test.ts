/** @file The unpickler by itself: numbers, strings, and the bound on containers. */

import { describe, expect, it } from "vitest";

import { ByteReader } from "../../src/formats/byte-reader.ts";
import { writePickle } from "../../src/formats/pickle-writer.ts";
import { unpickle } from "../../src/formats/pickle.ts";
import type { PicklePolicy, PickleValue } from "../../src/formats/pickle.ts";
import { expectError } from "./expect-error.ts";

const nothing: PicklePolicy = {
  allows: () => false,
  takesState: () => false,
  call: () => null,
  persistent: () => null,
};

function read(bytes: Uint8Array): PickleValue {
  return unpickle(new ByteReader(bytes, "x"), nothing);
}

describe("unpickle", () => {
  it.each([
    0,
    1,
    255,
    256,
    65535,
    65536,
    2147483647,
    -1,
    -128,
    -129,
    -2147483648,
    2 ** 40,
    -(2 ** 40),
    0.1,
    -1.5e-300,
    Infinity,
    2n ** 70n,
    -(2n ** 70n),
    0x1950a86a20f9469cfc6cn,
    "",
    "grüße 🙂",
    null,
    true,
    false,
  ])("reads %s", (value) => {
    expect(read(writePickle(value))).toBe(value);
  });

  it("reads an empty long as 0 and leaves the cursor behind STOP", () => {
    const reader = new ByteReader(Uint8Array.of(0x80, 2, 0x8a, 0, 0x2e, 0x4e), "x");
    expect(unpickle(reader, nothing)).toBe(0);
    expect(reader.left).toBe(1);
  });

  it("refuses more containers than a checkpoint can need", () => {
    expectError(() => read(new Uint8Array(2 ** 22 + 2).fill(0x5d)), "BAD_FILE", /more than 4194304 containers/);
  });

  it.each([
    ["text that is not UTF-8", [0x55, 1, 0xff, 0x2e], /not UTF-8/],
    ["a protocol of the future", [0x80, 6, 0x4e, 0x2e], /protocol 6/],
    ["a global without an end", [0x63, 0x61, 0x0a, 0x62], /has no end/],
    ["a call of what is no global", [0x4e, 0x29, 0x52, 0x2e], /not a global/],
    ["arguments that are no tuple", [0x4e, 0x5d, 0x52, 0x2e], /not a tuple/],
    ["no STOP", [0x4e], /truncated/],
    ["an open mark", [0x4e, 0x28, 0x2e], /stack is empty/],
  ])("refuses %s", (_, bytes, message) => {
    expectError(() => read(Uint8Array.from(bytes)), "BAD_FILE", message);
  });
});
