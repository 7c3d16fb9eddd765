/** @file safetensors: what is written is read back, and every false claim of a header is refused. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readSafetensors } from "../../src/formats/safetensors.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { dtypeBits, fromFloat32 } from "../../src/formats/tensor.ts";
import type { StoredTensor, TensorDtype } from "../../src/formats/tensor.ts";
import { expectError } from "./expect-error.ts";
import { concat } from "./torch-writer.ts";

/** A file of this header text and so many data bytes. */
function fileOf(header: string, dataBytes: number, claimed?: bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length = new Uint8Array(new BigUint64Array([claimed ?? BigInt(text.length)]).buffer);
  return concat([length, text, Uint8Array.from({ length: dataBytes }, (_, index) => index)]);
}

const f32 = (shape: string, begin: number, end: number): string =>
  `{"dtype":"F32","shape":${shape},"data_offsets":[${begin},${end}]}`;

describe("readSafetensors", () => {
  it("reads tensors as views, scalars and empty tensors included, in data order", () => {
    const file = fileOf(`{"b":${f32("[]", 4, 8)},"empty":${f32("[0,3]", 4, 4)},"a":${f32("[1,1]", 0, 4)}}  `, 8);
    const { tensors, metadata } = readSafetensors(file, "x.safetensors");
    expect([...tensors.keys()]).toEqual(["a", "empty", "b"]);
    expect(metadata).toEqual({});
    expect([...(tensors.get("b") as StoredTensor).bytes]).toEqual([4, 5, 6, 7]);
    for (const { bytes } of tensors.values()) expect(bytes.buffer).toBe(file.buffer);
  });

  it("reads names that mean something to JavaScript", () => {
    const file = fileOf(
      `{"__proto__":${f32("[1]", 0, 4)},"constructor":${f32("[1]", 4, 8)},"1":${f32("[1]", 8, 12)}}`,
      12,
    );
    expect([...readSafetensors(file, "x").tensors.keys()]).toEqual(["__proto__", "constructor", "1"]);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["empty file", new Uint8Array(0), /truncated/],
    ["half a length", new Uint8Array(7), /truncated/],
    ["2^53 bytes of header", fileOf("{}", 0, 1n << 53n), /absurd/],
    ["2^64 - 1 bytes of header", fileOf("{}", 0, (1n << 64n) - 1n), /absurd/],
    ["more header than the format allows", fileOf("{}", 0, 100_000_001n), /allows 100000000/],
    ["more header than the file", fileOf("{}", 0, 3n), /truncated/],
    ["no brace", fileOf(" {}", 0), /begin with "\{"/],
    ["a byte order mark", fileOf("\ufeff{}", 0), /begin with "\{"/],
    ["broken JSON", fileOf('{"a":', 0), /JSON line 1/],
    ["text after the JSON", fileOf("{}x", 0), /after the end/],
    ["a duplicate", fileOf(`{"a":${f32("[1]", 0, 4)},"a":${f32("[1]", 0, 4)}}`, 4), /second time/],
    ["a hole at the start", fileOf(`{"a":${f32("[1]", 4, 8)}}`, 8), /hole/],
    ["a hole", fileOf(`{"a":${f32("[1]", 0, 4)},"b":${f32("[1]", 8, 12)}}`, 12), /hole/],
    ["an overlap", fileOf(`{"a":${f32("[2]", 0, 8)},"b":${f32("[1]", 4, 8)}}`, 8), /overlaps/],
    ["the same bytes twice", fileOf(`{"a":${f32("[1]", 0, 4)},"b":${f32("[1]", 0, 4)}}`, 4), /overlaps/],
    ["offsets that cut an element", fileOf(`{"a":${f32("[1]", 0, 3)}}`, 3), /takes 4 bytes/],
    ["trailing bytes", fileOf(`{"a":${f32("[1]", 0, 4)}}`, 5), /1 bytes follow/],
    ["only trailing bytes", fileOf("{}", 5), /5 bytes follow/],
    ["a truncated body", fileOf(`{"a":${f32("[2]", 0, 8)}}`, 7), /do not lie in the 7 bytes/],
    ["an oversized claim", fileOf(`{"a":${f32("[2305843009213693951]", 0, 4)}}`, 4), /shape is not/],
    ["an overflowing product", fileOf(`{"a":${f32("[4294967296,4294967296]", 0, 0)}}`, 0), /overflows/],
    ["falling offsets", fileOf(`{"a":${f32("[1]", 4, 0)}}`, 4), /do not lie/],
    ["a negative extent", fileOf(`{"a":${f32("[-1]", 0, 4)}}`, 4), /shape is not/],
    ["a fractional extent", fileOf(`{"a":${f32("[0.5]", 0, 2)}}`, 2), /shape is not/],
    ["an unknown dtype", fileOf('{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}', 4), /unknown dtype "F31"/],
    ["an inherited dtype", fileOf('{"a":{"dtype":"toString","shape":[1],"data_offsets":[0,4]}}', 4), /unknown dtype/],
    ["no dtype", fileOf('{"a":{"shape":[1],"data_offsets":[0,4]}}', 4), /unknown dtype/],
    ["no shape", fileOf('{"a":{"dtype":"F32","data_offsets":[0,4]}}', 4), /shape is not/],
    ["three offsets", fileOf('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}', 4), /two counts/],
    ["an entry that is a list", fileOf('{"a":[]}', 0), /not an object/],
    ["half a byte", fileOf('{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}', 2), /whole number of bytes/],
    ["metadata that is no text", fileOf('{"__metadata__":{"a":1}}', 0), /__metadata__\.a is not a string/],
    ["metadata that is a list", fileOf('{"__metadata__":[]}', 0), /not an object/],
  ])("refuses %s", (_, file, message) => {
    expectError(() => readSafetensors(file, "x.safetensors"), "BAD_FILE", message);
  });
});

/** Any legal set of tensors: all types, extents 0 to 4, odd names. */
const anyTensor: fc.Arbitrary<StoredTensor> = fc
  .tuple(
    fc.string({ unit: "grapheme", maxLength: 12 }),
    fc.constantFrom(...(Object.keys(dtypeBits) as TensorDtype[])),
    fc.array(fc.nat(4), { maxLength: 4 }),
    fc.infiniteStream(fc.nat(255)),
  )
  .map(([name, dtype, shape, stream]) => {
    const whole = dtypeBits[dtype] % 8 === 0 ? shape : [...shape, 4];
    const bytes = (whole.reduce((a, b) => a * b, 1) * dtypeBits[dtype]) / 8;
    return {
      name,
      dtype,
      shape: whole,
      bytes: Uint8Array.from({ length: bytes }, () => stream.next().value as number),
    };
  });

describe("writeSafetensors", () => {
  it("is read back bit for bit", () => {
    const sets = fc.uniqueArray(anyTensor, { selector: ({ name }) => name, maxLength: 6 });
    const texts = fc.option(fc.dictionary(fc.string(), fc.string()), { nil: undefined });
    fc.assert(
      fc.property(sets, texts, (tensors, metadata) => {
        const read = readSafetensors(writeSafetensors(tensors, metadata), "x");
        expect(read.metadata).toEqual(metadata ?? {});
        expect(read.tensors.size).toBe(tensors.length);
        for (const tensor of tensors) {
          const { dtype, shape, bytes } = read.tensors.get(tensor.name) as StoredTensor;
          expect({ dtype, shape, bytes: [...bytes] }).toEqual({ ...tensor, name: undefined, bytes: [...tensor.bytes] });
        }
      }),
      { numRuns: 500 },
    );
  });

  it("aligns the data and puts wide elements first", () => {
    const file = writeSafetensors([
      { name: "byte", dtype: "U8", shape: [1], bytes: Uint8Array.of(1) },
      fromFloat32("b", [1], Float32Array.of(2)),
      fromFloat32("a", [1], Float32Array.of(3)),
      { name: "wide", dtype: "I64", shape: [1], bytes: new Uint8Array(8) },
    ]);
    const { tensors } = readSafetensors(file, "x");
    expect([...tensors.keys()]).toEqual(["wide", "a", "b", "byte"]);
    expect((tensors.get("wide") as StoredTensor).bytes.byteOffset % 8).toBe(0);
  });

  it("refuses what it could not read back", () => {
    const good = fromFloat32("a", [2], Float32Array.of(1, 2));
    const wide: StoredTensor = { name: "a", dtype: "I64", shape: [1], bytes: new Uint8Array(8) };
    const between = fromFloat32("b", [1], Float32Array.of(1));
    expectError(() => writeSafetensors([good, between, wide]), "BAD_INPUT", /"a" is given twice/);
    expectError(() => writeSafetensors([{ ...good, shape: [3] }]), "BAD_INPUT", /has 8 bytes/);
    expectError(() => writeSafetensors([{ ...good, shape: [-2] }]), "BAD_INPUT", /not a count/);
    expectError(() => writeSafetensors([{ ...good, name: "__metadata__" }]), "BAD_INPUT", /reserves/);
    expectError(() => writeSafetensors([{ ...good, name: "\ud800" }]), "BAD_INPUT", /Unicode/);
  });
});
