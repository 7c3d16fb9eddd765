/** @file Torch checkpoints that we write: read back bit for bit by our reader, and by another implementation of ZIP. */

import fc from "fast-check";
import { unzipSync } from "fflate";
import { describe, expect, it } from "vitest";

import { fromFloat32, tensorBytes } from "../../src/formats/tensor.ts";
import type { StoredTensor, TensorDtype } from "../../src/formats/tensor.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { writeTorch } from "../../src/formats/torch-writer.ts";
import { crc32, writeZip } from "../../src/formats/zip-writer.ts";
import { expectError } from "./expect-error.ts";

const dtypes: readonly TensorDtype[] = ["F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"];

function patterned(name: string, dtype: TensorDtype, shape: readonly number[]): StoredTensor {
  const bytes = Uint8Array.from(
    { length: tensorBytes(dtype, shape, name) },
    (_, index) => (index * 37 + name.length) & 255,
  );
  return { name, dtype, shape, bytes };
}

function roundTrip(tensors: readonly StoredTensor[]): StoredTensor[] {
  return [...readTorch(writeTorch(tensors), "file.bin").tensors.values()];
}

describe("writeTorch", () => {
  it.each(dtypes)("keeps the bits of %s", (dtype) => {
    const tensors = [[], [1], [7], [3, 5], [0, 4], [2, 1, 3]].map((shape, index) =>
      patterned(`t${index}`, dtype, shape),
    );
    expect(roundTrip(tensors)).toEqual(tensors);
  });

  it("keeps any names and shapes, in order", () => {
    const tensor = fc.record({
      name: fc.string({ unit: "grapheme", maxLength: 12 }).filter((name) => !/\p{Surrogate}/u.test(name)),
      dtype: fc.constantFrom(...dtypes),
      shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 4 }),
    });
    const list = fc.uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 8 });
    fc.assert(
      fc.property(list, (specs) => {
        const tensors = specs.map(({ name, dtype, shape }) => patterned(name, dtype, shape));
        expect(roundTrip(tensors)).toEqual(tensors);
      }),
      { numRuns: 200, seed: 1 },
    );
  });

  it("passes index 255 of keys and memo", () => {
    const tensors = Array.from({ length: 400 }, (_, index) => patterned(`layer.${index}.weight`, "F32", [index % 3]));
    expect(roundTrip(tensors)).toEqual(tensors);
  });

  it("reads a file of no tensors", () => {
    expect(roundTrip([])).toEqual([]);
  });

  it("writes entries as torch names them, each on a multiple of 64", () => {
    const file = writeTorch([fromFloat32("w", [2], Float32Array.of(1, -2))], "pytorch_adapter");
    const names = ["data.pkl", "byteorder", "data/0", "version"].map((name) => `pytorch_adapter/${name}`);
    const entries = unzipSync(file);
    expect(Object.keys(entries)).toEqual(names);
    expect(new TextDecoder().decode(entries["pytorch_adapter/version"])).toBe("3\n");
    expect([...new Uint8Array(Float32Array.of(1, -2).buffer)]).toEqual([...(entries["pytorch_adapter/data/0"] ?? [])]);
    const data = readTorch(file, "file").tensors.get("w")?.bytes;
    expect((data?.byteOffset ?? 1) % 64).toBe(0);
  });

  it("refuses what torch cannot hold", () => {
    const f8 = patterned("a", "F8_E4M3", [2]);
    expectError(() => writeTorch([f8]), "BAD_INPUT", /"a" is F8_E4M3, which torch has no storage class for/);
    const one = patterned("a", "F32", [2]);
    expectError(() => writeTorch([one, one]), "BAD_INPUT", /"a" is given twice/);
    expectError(() => writeTorch([{ ...one, shape: [3] }]), "BAD_INPUT", /F32 \[3\] but has 8 bytes/);
    expectError(() => writeTorch([{ ...one, shape: [-1] }]), "BAD_INPUT", /not a count in \[-1\]/);
    expectError(() => writeTorch([{ ...one, name: "\ud800" }]), "BAD_INPUT", /not well-formed/);
  });
});

describe("writeZip", () => {
  it("computes the checksum that everybody computes", () => {
    // The check value of CRC-32/ISO-HDLC.
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array())).toBe(0);
  });

  it("writes equal bytes for equal content", () => {
    const files = [["a", Uint8Array.of(1, 2, 3)]] as const;
    expect(writeZip(files)).toEqual(writeZip(files));
  });
});
