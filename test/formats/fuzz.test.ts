/**
 * @file Hostile files, some 19,500 of them: each is answered by consistent tensors or by an EngineError, never by
 * another exception, and what is allocated for tensors stays within four times the file.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EngineError } from "../../src/errors.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import type { Pickled } from "../../src/formats/pickle-writer.ts";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { dtypeBits, fromFloat32 } from "../../src/formats/tensor.ts";
import type { TensorFile } from "../../src/formats/tensor.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { concat, floatStorage, tensor, writeTorchStream, writeTorchZip } from "./torch-writer.ts";

/** How many bytes a file's tensors may take beyond the file, over its size; the readers promise it. */
const ALLOWED = 4;

/** The result, checked for consistency; undefined for an EngineError with a fix. Anything else fails the test. */
function outcome(read: () => TensorFile, file: Uint8Array): TensorFile | undefined {
  let result: TensorFile;
  try {
    result = read();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.code).toBe("BAD_FILE");
    expect(error.fix).not.toBe("");
    return undefined;
  }
  const copies = new Set<ArrayBufferLike>();
  for (const [name, { name: own, dtype, shape, bytes }] of result.tensors) {
    expect(own).toBe(name);
    expect(bytes.length * 8).toBe(shape.reduce((product, extent) => product * extent, dtypeBits[dtype]));
    if (bytes.buffer !== file.buffer) copies.add(bytes.buffer);
  }
  const copied = [...copies].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(copied).toBeLessThanOrEqual(ALLOWED * file.length);
  return result;
}

type Edits = readonly (readonly [number, number, "set" | "insert" | "remove"])[];

/** Up to four edits, placed as fractions of a part of the file. */
const edits: fc.Arbitrary<Edits> = fc.array(
  fc.tuple(
    fc.double({ min: 0, max: 0.999999, noNaN: true }),
    fc.nat(255),
    fc.constantFrom("set", "set", "set", "insert", "remove"),
  ),
  { minLength: 1, maxLength: 4 },
);

/** Applies edits between two bytes of a file. */
function mutate(file: Uint8Array, list: Edits, from = 0, to = file.length): Uint8Array {
  const part = [...file.subarray(from, to)];
  for (const [place, byte, kind] of list) {
    part.splice(Math.floor(place * part.length), kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
  }
  return concat([file.subarray(0, from), Uint8Array.from(part), file.subarray(to)]);
}

const safe = writeSafetensors(
  [
    fromFloat32("encoder.weight", [2, 3], Float32Array.of(1, 2, 3, 4, 5, 6)),
    fromFloat32("encoder.bias", [], Float32Array.of(7)),
    { name: "ids", dtype: "I64", shape: [2], bytes: new Uint8Array(16) },
    { name: "none", dtype: "F16", shape: [0, 9], bytes: new Uint8Array(0) },
  ],
  { format: "pt" },
);
const headerEnd = 8 + Number(new DataView(safe.buffer).getBigUint64(0, true));

/** An accepted safetensors file describes exactly its bytes, so writing what was read loses nothing. */
function checkSafetensors(file: Uint8Array): void {
  const read = outcome(() => readSafetensors(file, "x"), file);
  if (read === undefined) return;
  const again = readSafetensors(writeSafetensors(read.tensors.values(), read.metadata), "y");
  expect(again.tensors.size).toBe(read.tensors.size);
  const total = [...read.tensors.values()].reduce((sum, { bytes }) => sum + bytes.length, 0);
  expect(total).toBe(file.length - 8 - Number(new DataView(file.buffer).getBigUint64(0, true)));
}

describe("safetensors", () => {
  it("with a mutated header", () => {
    fc.assert(
      fc.property(edits, (list) => checkSafetensors(mutate(safe, list, 0, headerEnd))),
      { numRuns: 3000 },
    );
  });

  it("with a header of plausible claims", () => {
    const count = fc.oneof(
      fc.nat(24),
      fc.constantFrom(4, 8, 12, -1, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, 1e308, 0.5, "4", null),
    );
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom(...Object.keys(dtypeBits)), fc.string()),
        shape: fc.oneof(fc.array(count, { maxLength: 3 }), count),
        data_offsets: fc.oneof(fc.tuple(count, count), fc.array(count, { maxLength: 3 })),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("__metadata__", "__proto__", "a")), entry, {
      maxKeys: 4,
    });
    fc.assert(
      fc.property(header, fc.nat(24), (value, dataBytes) => {
        const text = new TextEncoder().encode(JSON.stringify(value));
        checkSafetensors(
          concat([new Uint8Array(BigUint64Array.of(BigInt(text.length)).buffer), text, new Uint8Array(dataBytes)]),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it("with shapes and offsets that nearly fit, so that some are right", () => {
    const dim = fc.nat(3);
    const tensors = fc.array(fc.tuple(fc.constantFrom<"U8" | "F16" | "F32">("U8", "F16", "F32"), dim, dim), {
      maxLength: 4,
    });
    let accepted = 0;
    fc.assert(
      fc.property(tensors, fc.integer({ min: -9, max: 9 }), fc.nat(3), (list, slip, victim) => {
        let at = 0;
        const fields = list.map(([dtype, a, b], index) => {
          const begin = at + (index === victim && slip < 0 ? 1 : 0);
          at += (a * b * dtypeBits[dtype]) / 8;
          return `"t${index}":{"dtype":"${dtype}","shape":[${a},${b}],"data_offsets":[${begin},${at}]}`;
        });
        const text = new TextEncoder().encode(`{${fields.join(",")}}`);
        const file = concat([
          new Uint8Array(BigUint64Array.of(BigInt(text.length)).buffer),
          text,
          new Uint8Array(at + (slip > 6 ? slip - 6 : 0)),
        ]);
        const right = slip <= 6 && (slip >= 0 || victim >= list.length);
        expect(outcome(() => readSafetensors(file, "x"), file) !== undefined).toBe(right);
        if (right) accepted += 1;
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it("cut or extended: always refused", () => {
    fc.assert(
      fc.property(fc.nat(safe.length - 1), fc.uint8Array({ minLength: 1, maxLength: 20 }), (length, tail) => {
        expect(outcome(() => readSafetensors(safe.slice(0, length), "x"), safe)).toBeUndefined();
        expect(outcome(() => readSafetensors(concat([safe, tail]), "x"), safe)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });
});

const storages = [floatStorage("0", [1, 2, 3, 4, 5, 6]), floatStorage("1", [7, 8])];
const [first, second] = storages as [(typeof storages)[0], (typeof storages)[0]];
const root: Pickled = {
  ordered: [
    ["a.weight", tensor(first, [2, 3], [3, 1])],
    ["a.transposed", tensor(first, [3, 2], [1, 3])],
    ["a.tied", tensor(first, [6], [1])],
    [
      "b",
      {
        dict: [
          ["bias", tensor(second, [2], [1])],
          ["note", "text"],
          ["more", [1, 2.5, null, true, 2 ** 40]],
        ],
      },
    ],
  ],
  state: { dict: [["_metadata", { ordered: [] }]] },
};

describe("torch checkpoints", () => {
  const zip = writeTorchZip(root, storages);
  const zip64 = writeTorchZip(root, storages, {}, { zip64: true, comment: "c" });
  const stream = writeTorchStream(root, storages);

  it.each([
    ["zip", zip, 3000],
    ["ZIP64", zip64, 1500],
    ["stream", stream, 2500],
  ])("a mutated %s", (_, file, numRuns) => {
    let accepted = 0;
    const check = (list: Edits): void => {
      const mutated = mutate(file, list);
      if (outcome(() => readTorch(mutated, "x"), mutated) !== undefined) accepted += 1;
    };
    fc.assert(fc.property(edits, check), { numRuns });
    // Edits of data and of bytes that nobody reads leave a good file; those of structure must not.
    expect(accepted).toBeGreaterThan(numRuns / 300);
    expect(accepted).toBeLessThan(numRuns / 2);
  });

  it("with records of a zip overwritten by extreme numbers", () => {
    const extreme = fc.constantFrom(0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff);
    // The last 800 bytes hold the directory and both end records.
    const directory = zip64.length - 800;
    fc.assert(
      fc.property(fc.integer({ min: directory, max: zip64.length - 4 }), extreme, (at, value) => {
        const file = zip64.slice();
        new DataView(file.buffer).setUint32(at, value, true);
        outcome(() => readTorch(file, "x"), file);
      }),
      { numRuns: 1000 },
    );
  });

  it("cut anywhere: always refused", () => {
    fc.assert(
      fc.property(fc.constantFrom(zip, zip64, stream), fc.nat(99_999), (file, place) => {
        const cut = file.slice(0, place % file.length);
        expect(outcome(() => readTensorFile(cut, "x"), file)).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  /** Random programs of the instruction set: mostly legal opcodes with small operands. */
  const legal = [
    0x4e, 0x88, 0x89, 0x28, 0x29, 0x85, 0x86, 0x87, 0x74, 0x5d, 0x7d, 0x8f, 0x61, 0x65, 0x73, 0x75, 0x52, 0x81, 0x62,
    0x51,
  ];
  const globals = [
    "collections.OrderedDict",
    "torch.Size",
    "torch.FloatStorage",
    "torch._utils._rebuild_tensor_v2",
    "os.system",
  ];
  const instruction: fc.Arbitrary<number[]> = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...legal).map((opcode) => [opcode]) },
    { weight: 2, arbitrary: fc.nat(9).map((value) => [0x4b, value]) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom(0x68, 0x71), fc.nat(3)).map(([opcode, index]) => [opcode, index]),
    },
    {
      weight: 2,
      arbitrary: fc
        .constantFrom("storage", "0", "w")
        .map((text) => [0x55, text.length, ...new TextEncoder().encode(text)]),
    },
    {
      weight: 1,
      arbitrary: fc
        .constantFrom(...globals)
        .map((name) => [0x63, ...new TextEncoder().encode(`${name.replace(/\.([^.]*)$/, "\n$1")}\n`)]),
    },
    { weight: 1, arbitrary: fc.array(fc.nat(255), { maxLength: 5 }) },
  );

  it("with a random pickle", () => {
    const program = fc.array(instruction, { maxLength: 40 });
    let accepted = 0;
    fc.assert(
      fc.property(program, fc.boolean(), fc.constantFrom(writeTorchZip, writeTorchStream), (list, beside, write) => {
        // Half the programs make a value of a dict beside honest tensors, so that what they leave is also flattened.
        const opcodes: Pickled = { opcodes: list.flat() };
        const file = write(
          beside
            ? {
                dict: [
                  ["x", opcodes],
                  ["y", root],
                ],
              }
            : opcodes,
          storages,
        );
        if (outcome(() => readTorch(file, "x"), file) !== undefined) accepted += 1;
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(20);
  });

  it("with random sizes, strides and offsets: exactly the elements that the definition names", () => {
    const axes = fc.array(fc.tuple(fc.nat(4), fc.nat(4)), { maxLength: 3 });
    let accepted = 0;
    fc.assert(
      fc.property(axes, fc.nat(6), fc.constantFrom(writeTorchZip, writeTorchStream), (list, offset, write) => {
        const shape = list.map(([extent]) => extent);
        const strides = list.map(([, stride]) => stride);
        let places = [offset];
        for (const [extent, stride] of list)
          places = places.flatMap((place) => Array.from({ length: extent }, (_, i) => place + i * stride));
        const file = write({ dict: [["w", tensor(first, shape, strides, offset)]] }, [first]);
        const inside = places.every((place) => place < 6);
        const read = outcome(() => readTorch(file, "x"), file)?.tensors.get("w");
        expect(read !== undefined).toBe(inside);
        if (read === undefined) return;
        accepted += 1;
        expect([...new Float32Array(read.bytes.slice().buffer)]).toEqual(places.map((place) => place + 1));
      }),
      { numRuns: 1500 },
    );
    expect(accepted).toBeGreaterThan(100);
  });
});
