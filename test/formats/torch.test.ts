/** @file Torch checkpoints of both forms: what they mean, and what is refused. */

import { describe, expect, it } from "vitest";

import { writePickle } from "../../src/formats/pickle-writer.ts";
import type { Pickled } from "../../src/formats/pickle-writer.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import type { StoredTensor, TensorFile } from "../../src/formats/tensor.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { expectError } from "./expect-error.ts";
import { concat, floatStorage, tensor, writeTorchStream, writeTorchZip, writeZip } from "./torch-writer.ts";
import type { StorageSpec } from "./torch-writer.ts";

const six = floatStorage("0", [1, 2, 3, 4, 5, 6]);
const weight = tensor(six, [2, 3], [3, 1]);

const forms: readonly [string, (root: Pickled, storages: readonly StorageSpec[]) => Uint8Array][] = [
  ["zip", writeTorchZip],
  ["stream", writeTorchStream],
];

function values(file: TensorFile, name: string): number[] {
  return [...toFloat32(file.tensors.get(name) as StoredTensor)];
}

describe.each(forms)("readTorch, %s form", (form, write) => {
  it("reads an OrderedDict of tensors as views of the file", () => {
    const bytes = write({ ordered: [["a.weight", weight]], state: { dict: [["_metadata", { ordered: [] }]] } }, [six]);
    const file = readTorch(bytes, "x.bin");
    const { name, dtype, shape } = file.tensors.get("a.weight") as StoredTensor;
    expect({ name, dtype, shape }).toEqual({ name: "a.weight", dtype: "F32", shape: [2, 3] });
    expect(values(file, "a.weight")).toEqual([1, 2, 3, 4, 5, 6]);
    expect((file.tensors.get("a.weight") as StoredTensor).bytes.buffer).toBe(bytes.buffer);
    expect(file.metadata).toEqual({ form, ignored: "[]" });
  });

  it("reads strided, expanded, offset, empty, scalar and tied tensors", () => {
    const root: Pickled = {
      dict: [
        ["transposed", tensor(six, [3, 2], [1, 3])],
        ["column", tensor(six, [2], [3], 1)],
        ["expanded", tensor(six, [2, 3], [0, 1], 3)],
        ["scalar", tensor(six, [], [], 5)],
        ["empty", tensor(six, [0, 4], [4, 1], 6)],
        ["ones", tensor(six, [1, 3, 1], [77, 1, 99], 3)],
        ["tied", weight],
      ],
    };
    const bytes = write(root, [six]);
    const file = readTorch(bytes, "x.bin");
    expect(values(file, "transposed")).toEqual([1, 4, 2, 5, 3, 6]);
    expect(values(file, "column")).toEqual([2, 5]);
    expect(values(file, "expanded")).toEqual([4, 5, 6, 4, 5, 6]);
    expect(values(file, "scalar")).toEqual([6]);
    expect(values(file, "empty")).toEqual([]);
    expect(values(file, "ones")).toEqual([4, 5, 6]);
    expect(values(file, "tied")).toEqual([1, 2, 3, 4, 5, 6]);
    const views = ["scalar", "ones", "tied"].map((name) => (file.tensors.get(name) as StoredTensor).bytes.buffer);
    expect(views.every((buffer) => buffer === bytes.buffer)).toBe(true);
  });

  it("flattens nested dicts and lists what is no tensor", () => {
    const head: Pickled = { ordered: [[0, { dict: [["weight", weight]] }]] };
    const root: Pickled = {
      dict: [
        ["head", head],
        ["epoch", 3],
        ["loss", 0.5],
        ["size", { call: "torch.Size", args: [{ tuple: [1, 2] }] }],
        ["note", [null, true]],
      ],
    };
    const file = readTorch(write(root, [six]), "x.bin");
    expect([...file.tensors.keys()]).toEqual(["head.0.weight"]);
    expect(file.metadata["ignored"]).toBe('["epoch","loss","size","note"]');
  });

  it("reads only state_dict where there is one", () => {
    const root: Pickled = {
      dict: [
        ["epoch", 9],
        ["optimizer", { dict: [["m", weight]] }],
        ["state_dict", { ordered: [["w", weight]] }],
      ],
    };
    const file = readTorch(write(root, [six]), "x.bin");
    expect([...file.tensors.keys()]).toEqual(["w"]);
    expect(file.metadata["ignored"]).toBe('["epoch","optimizer"]');
  });

  it("unwraps parameters and reads every storage type", () => {
    const types: [string, string, number][] = [
      ["FloatStorage", "F32", 4],
      ["HalfStorage", "F16", 2],
      ["BFloat16Storage", "BF16", 2],
      ["DoubleStorage", "F64", 8],
      ["LongStorage", "I64", 8],
      ["IntStorage", "I32", 4],
      ["ShortStorage", "I16", 2],
      ["CharStorage", "I8", 1],
      ["ByteStorage", "U8", 1],
      ["BoolStorage", "BOOL", 1],
      ["UntypedStorage", "U8", 1],
    ];
    const storages = types.map(([type, , size], index) => ({
      key: `k${10 + index}`,
      type,
      count: 3,
      bytes: new Uint8Array(3 * size).fill(index),
    }));
    const pairs = storages.map(
      (storage) =>
        [
          storage.type,
          { call: "torch._utils._rebuild_parameter", args: [tensor(storage, [3], [1]), true, { ordered: [] }] },
        ] as const,
    );
    const file = readTorch(write({ ordered: pairs }, storages), "x.bin");
    for (const [index, [type, dtype, size]] of types.entries()) {
      const read = file.tensors.get(type) as StoredTensor;
      expect(read.dtype).toBe(dtype);
      expect([...read.bytes]).toEqual(Array.from({ length: 3 * size }, () => index));
    }
  });

  it.each([
    "os.system",
    "builtins.eval",
    "torch.load",
    "torch._utils._rebuild_tensor_v3",
    "torch.QInt8Storage",
    "collections.__class__",
  ])("names the forbidden global %s and does not call it", (name) => {
    const root: Pickled = {
      dict: [
        ["w", weight],
        ["x", { call: name, args: ["echo pwned"] }],
      ],
    };
    const error = expectError(() => readTorch(write(root, [six]), "x.bin"), "BAD_FILE", /not on the list/);
    expect(error.message).toContain(`"${name}"`);
  });

  const self = (...opcodes: number[]): Pickled => ({ opcodes });
  it.each<[string, Pickled, RegExp]>([
    ["a tensor past its storage", { dict: [["w", tensor(six, [2, 3], [3, 1], 1)]] }, /reach element 7 of 6/],
    ["a stride past its storage", { dict: [["w", tensor(six, [2, 3], [4, 1])]] }, /reach element 7 of 6/],
    ["an empty tensor past its storage", { dict: [["w", tensor(six, [0], [1], 7)]] }, /reach element 7 of 6/],
    ["a negative stride", { dict: [["w", tensor(six, [2], [-1], 3)]] }, /tuples of counts/],
    ["a size of another rank", { dict: [["w", tensor(six, [6], [6, 1])]] }, /tuples of counts/],
    ["an overflowing size", { dict: [["w", tensor(six, [2 ** 40, 2 ** 40], [0, 0])]] }, /overflows/],
    [
      "a view blown up by zero strides",
      { dict: [["w", tensor(six, [1000, 1000], [0, 0])]] },
      /"w" would take 4000000 bytes/,
    ],
    ["a list of tensors", { dict: [["w", [1, { tuple: [weight] }]]] }, /"w" holds tensors/],
    ["a root that is a list", [weight], /not a dict of tensors/],
    ["a root that is a tensor", weight, /not a dict of tensors/],
    [
      "two tensors of one name",
      {
        dict: [
          ["a.b", weight],
          ["a", { dict: [["b", weight]] }],
        ],
      },
      /"a\.b" stands there twice/,
    ],
    ["a key that is a tuple", { dict: [[{ tuple: [1] }, weight]] }, /neither a string nor a number/],
    ["a call of something not callable", { dict: [["w", { call: "torch.Tensor", args: [] }]] }, /calls torch\.Tensor/],
    ["a parameter of nothing", { call: "torch._utils._rebuild_parameter", args: [1] }, /not a tensor/],
    ["a tensor of nothing", { call: "torch._utils._rebuild_tensor_v2", args: [1, 2] }, /wrong arguments/],
    [
      "a storage of a foreign type",
      { persistent: { tuple: ["storage", { global: "torch.Size" }, "0", "cpu", 6] } },
      /known type/,
    ],
    ["a module id", { persistent: { tuple: ["module", "a", "b", "c"] } }, /known type/],
    [
      "an absurd storage",
      { persistent: { tuple: ["storage", { global: "torch.FloatStorage" }, "0", "cpu", 2 ** 52] } },
      /overflows/,
    ],
    ["state on a list", self(0x5d, 0x4e, 0x62), /takes none/],
    ["an append to a dict", self(0x7d, 0x4e, 0x61), /not a list/],
    ["items on a list", self(0x5d, 0x4e, 0x4e, 0x73), /not a dict/],
    ["items without values", self(0x7d, 0x28, 0x4e, 0x75), /no value/],
    ["an empty stack", self(0x85), /stack is empty/],
    ["a pop below the mark", self(0x7d, 0x28, 0x4e, 0x4e, 0x87), /stack is empty/],
    ["a missing mark", self(0x74), /no mark/],
    ["a missing memo", self(0x68, 9), /memo has no entry 9/],
    ["left-overs", self(0x4e, 0x4e), /left on the stack/],
    ["a foreign opcode", self(0x69), /opcode 0x69/],
    ["a string beyond the file", self(0x58, 0xff, 0xff, 0xff, 0xff), /truncated/],
  ])("refuses %s", (_, root, message) => {
    expectError(() => readTorch(write(root, [six]), "x.bin"), "BAD_FILE", message);
  });

  it("refuses a dict that holds itself", () => {
    // x = {}; memo[200] = x; x["k"] = memo[200]
    const x = self(0x7d, 0x71, 200, 0x55, 1, 0x6b, 0x68, 200, 0x73);
    const big = floatStorage("0", [...new Float32Array(4096)]);
    const root: Pickled = {
      dict: [
        ["w", tensor(big, [4096], [1])],
        ["x", x],
      ],
    };
    expectError(() => readTorch(write(root, [big]), "x.bin"), "BAD_FILE", /nested deeper/);
  });

  it("searches a list that holds itself once", () => {
    const root: Pickled = {
      dict: [
        ["w", weight],
        ["x", self(0x5d, 0x71, 200, 0x68, 200, 0x61)],
      ],
    };
    expect(readTorch(write(root, [six]), "x.bin").metadata["ignored"]).toBe('["x"]');
  });

  it("refuses names multiplied by shared dicts", () => {
    // Thirty dicts, each holding the one below it twice: 2^30 names in a file of under 1 KiB.
    const opcodes = Array.from({ length: 30 }, () => [0x7d, 0x28, 0x55, 1, 0x61]).flat();
    opcodes.push(0x7d, 0x55, 1, 0x77, 0x4e, 0x73);
    for (let level = 100; level < 130; level++) opcodes.push(0x71, level, 0x55, 1, 0x62, 0x68, level, 0x75);
    const root: Pickled = {
      dict: [
        ["w", weight],
        ["x", { opcodes }],
      ],
    };
    expectError(() => readTorch(write(root, [six]), "x.bin"), "BAD_FILE", /names of its values would take/);
  });

  it("refuses a file cut anywhere", () => {
    const bytes = write({ ordered: [["w", weight]] }, [six]);
    for (let length = 0; length < bytes.length; length++) {
      expectError(() => readTorch(bytes.slice(0, length), "x.bin"), "BAD_FILE", /./);
    }
  });
});

describe("the zip form", () => {
  const root: Pickled = { ordered: [["w", weight]] };

  it("refuses a directory that reaches into the end record", () => {
    const bytes = writeTorchZip(root, [six]);
    const view = new DataView(bytes.buffer);
    const size = bytes.length - 10;
    view.setUint32(size, view.getUint32(size, true) + 1, true);
    expectError(() => readTorch(bytes, "x.bin"), "BAD_FILE", /directory lies outside/);
  });

  it("reads ZIP64 records, a comment, and entries it does not know", () => {
    const extra = { byteorder: new TextEncoder().encode("little"), ".format_version": Uint8Array.of(0x31) };
    for (const choices of [
      { zip64: true },
      { comment: "PK\u0005\u0006 a signature by accident" },
      { zip64: true, comment: "x" },
    ]) {
      expect(values(readTorch(writeTorchZip(root, [six], extra, choices), "x.bin"), "w")).toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["TorchScript", writeTorchZip(root, [six], { "constants.pkl": new Uint8Array(0) }), /TorchScript/],
    [
      "big-endian storages",
      writeTorchZip(root, [six], { byteorder: new TextEncoder().encode("big") }),
      /little-endian/,
    ],
    ["a missing storage", writeTorchZip(root, []), /storage "0" is missing/],
    ["a short storage", writeTorchZip(root, [{ ...six, bytes: six.bytes.slice(4) }]), /has 20 bytes; 6 F32 take 24/],
    ["encrypted entries", writeTorchZip(root, [six], {}, { flags: 1 }), /is encrypted/],
    ["compressed entries", writeTorchZip(root, [six], {}, { method: 8 }), /is compressed/],
    ["a zip without a pickle", writeZip([["a/b", Uint8Array.of(1)]]), /0 entries data\.pkl/],
    [
      "two pickles",
      writeZip([
        ["a/data.pkl", new Uint8Array(0)],
        ["b/data.pkl", new Uint8Array(0)],
      ]),
      /2 entries data\.pkl/,
    ],
    [
      "two entries of one name",
      writeZip([
        ["a/data.pkl", new Uint8Array(0)],
        ["a/data.pkl", new Uint8Array(0)],
      ]),
      /stands there twice/,
    ],
    [
      "a view of a storage",
      writeTorchZip({ dict: [["w", tensor({ ...six, view: ["v", 0, 6] }, [6], [1])]] }, [six]),
      /is a view/,
    ],
    ["a plain pickle", writePickle({ dict: [] }), /neither a zip nor/],
    ["a safetensors file", Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d), /neither a zip nor/],
    ["an empty file", new Uint8Array(0), /neither a zip nor/],
  ])("refuses %s", (_, bytes, message) => {
    expectError(() => readTorch(bytes, "x.bin"), "BAD_FILE", message);
  });
});

describe("the stream form", () => {
  it("reads tensors through storage views", () => {
    const view = { ...six, view: ["v", 2, 3] as const };
    const bytes = writeTorchStream(
      {
        dict: [
          ["w", tensor(view, [3], [1])],
          ["all", weight],
        ],
      },
      [six],
    );
    expect(values(readTorch(bytes, "x.bin"), "w")).toEqual([3, 4, 5]);
    const past = writeTorchStream({ dict: [["w", tensor({ ...six, view: ["v", 4, 3] }, [3], [1])]] }, [six]);
    expectError(() => readTorch(past, "x.bin"), "BAD_FILE", /does not lie inside/);
  });

  const root: Pickled = { dict: [["w", weight]] };
  const other = floatStorage("1", [7]);
  it.each<[string, Uint8Array, RegExp]>([
    ["big-endian storages", writeTorchStream(root, [six], false), /little-endian/],
    ["a storage too many", writeTorchStream(root, [six, other]), /does not match the storages/],
    ["a storage under another key", writeTorchStream(root, [other]), /unknown or repeated entry "1"/],
    [
      "another element count",
      writeTorchStream(root, [{ ...six, count: 5, bytes: six.bytes.slice(4) }]),
      /has 5 elements; the pickle says 6/,
    ],
    ["an element count of 2^53", writeTorchStream(root, [{ ...six, count: 2 ** 53 }]), /absurd/],
    ["trailing bytes", concat([writeTorchStream(root, [six]), Uint8Array.of(0)]), /1 bytes follow/],
    [
      "one storage in two ways",
      writeTorchStream(
        {
          dict: [
            ["w", weight],
            ["v", tensor({ ...six, count: 3 }, [3], [1])],
          ],
        },
        [six],
      ),
      /two ways/,
    ],
  ])("refuses %s", (_, bytes, message) => {
    expectError(() => readTorch(bytes, "x.bin"), "BAD_FILE", message);
  });
});
