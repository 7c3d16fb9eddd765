/** @file Checkpoints from folders: which file is read, shards, old names, and what is refused. */

import { describe, expect, it } from "vitest";

import { readCheckpoint } from "../../src/formats/checkpoint.ts";
import { notFound } from "../../src/formats/folder.ts";
import type { Folder } from "../../src/formats/folder.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { fromFloat32 } from "../../src/formats/tensor.ts";
import { expectRejection } from "./expect-error.ts";
import { floatStorage, tensor, writeTorchStream, writeTorchZip } from "./torch-writer.ts";

const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const config = json({ model_type: "bert" });
const safe = (...names: string[]): Uint8Array =>
  writeSafetensors(names.map((name) => fromFloat32(name, [1], Float32Array.of(1))));
const storage = floatStorage("0", [1]);
const state = { dict: [["torch", tensor(storage, [1], [1])] as const] };

function folderOf(files: Readonly<Record<string, Uint8Array>>): Folder {
  return {
    name: "model",
    list: () => Promise.resolve(Object.keys(files)),
    has: (name) => Promise.resolve(Object.hasOwn(files, name)),
    read: (name) =>
      files[name] === undefined
        ? Promise.reject(notFound("model", name, Object.keys(files)))
        : Promise.resolve(files[name]),
  };
}

describe("readCheckpoint", () => {
  it.each<[string, Record<string, Uint8Array>, string | undefined, string[]]>([
    ["model.safetensors", { "pytorch_model.bin": json(0), "model.safetensors": safe("a") }, undefined, ["a"]],
    [
      "pytorch_model.bin",
      { "pytorch_model.bin": writeTorchZip(state, [storage]), "other.safetensors": safe("a") },
      undefined,
      ["torch"],
    ],
    [
      "pytorch_model.bin",
      { "pytorch_model.bin": writeTorchStream(state, [storage]), "model.safetensors": safe("a") },
      "pytorch_model.bin",
      ["torch"],
    ],
    ["odd.name", { "odd.name": safe("a") }, "odd.name", ["a"]],
  ])("reads %s %#", async (file, files, weights, names) => {
    const read = await readCheckpoint(
      folderOf({ "config.json": config, ...files }),
      weights === undefined ? {} : { weights },
    );
    expect(read.file).toBe(file);
    expect(read.config).toEqual({ model_type: "bert" });
    expect([...read.tensors.keys()]).toEqual(names);
  });

  it("takes a given configuration before the file", async () => {
    const read = await readCheckpoint(folderOf({ "config.json": json([]), "model.safetensors": safe("a") }), {
      config: { model_type: "kwt" },
    });
    expect(read.config).toEqual({ model_type: "kwt" });
  });

  it("reads LayerNorm.gamma and .beta as weight and bias, and only those", async () => {
    const names = ["LayerNorm.gamma", "a.LayerNorm.beta", "MyLayerNorm.gamma", "a.gamma"];
    const read = await readCheckpoint(folderOf({ "config.json": config, "model.safetensors": safe(...names) }));
    expect([...read.tensors].map(([key, { name }]) => [key, name])).toEqual(
      ["LayerNorm.weight", "MyLayerNorm.gamma", "a.LayerNorm.bias", "a.gamma"].map((name) => [name, name]),
    );
    const both = folderOf({ "config.json": config, "model.safetensors": safe("LayerNorm.gamma", "LayerNorm.weight") });
    await expectRejection(readCheckpoint(both), "BAD_FILE", /old and its new name/);
  });

  it("joins shards", async () => {
    const index = json({ metadata: {}, weight_map: { a: "1.safetensors", b: "2.safetensors", c: "1.safetensors" } });
    const files = {
      "config.json": config,
      "model.safetensors.index.json": index,
      "1.safetensors": safe("a", "c"),
      "2.safetensors": safe("b"),
    };
    const read = await readCheckpoint(folderOf(files));
    expect(read.file).toBe("model.safetensors.index.json");
    expect([...read.tensors.keys()].sort()).toEqual(["a", "b", "c"]);
  });

  it.each<[string, unknown, RegExp]>([
    ["a tensor that no shard has", { weight_map: { a: "1.safetensors", z: "1.safetensors" } }, /lack 1 tensors: z/],
    [
      "a tensor in the wrong shard",
      { weight_map: { a: "2.safetensors", b: "1.safetensors" } },
      /"a", which the index places elsewhere/,
    ],
    ["a tensor that the index omits", { weight_map: {} }, /./],
    ["no map", {}, /no object weight_map/],
    ["a map to numbers", { weight_map: { a: 1 } }, /not a file name/],
  ])("refuses an index with %s", async (_, index, message) => {
    const shards = { "1.safetensors": safe("a"), "2.safetensors": safe("b") };
    const folder = folderOf({ "config.json": config, "x.index.json": json(index), ...shards });
    const promise = readCheckpoint(folder, { weights: "x.index.json" });
    // An empty map names no shard at all: an empty checkpoint, which the model that wants tensors will refuse.
    if (message.source === ".") expect((await promise).tensors.size).toBe(0);
    else await expectRejection(promise, "BAD_FILE", message);
  });

  it("says what is there, and what could be meant", async () => {
    await expectRejection(
      readCheckpoint(folderOf({ "vocab.txt": json(0) })),
      "NOT_FOUND",
      /no file "config\.json"\. There: vocab\.txt/,
    );
    const error = await expectRejection(
      readCheckpoint(folderOf({ "config.json": config, "mnist_vit.pth": json(0), "x.safetensors": json(0) })),
      "NOT_FOUND",
      /no file "model\.safetensors"\. There: config\.json, mnist_vit\.pth, x\.safetensors/,
    );
    expect(error.fix).toContain('`weights`: "mnist_vit.pth" or "x.safetensors"');
    await expectRejection(
      readCheckpoint(folderOf({ "config.json": config }), { weights: "a.bin" }),
      "NOT_FOUND",
      /no file "a\.bin"/,
    );
  });

  it("refuses weights of no known format and broken configurations", async () => {
    const odd = folderOf({ "config.json": config, "a.bin": json("not weights at all") });
    await expectRejection(
      readCheckpoint(odd, { weights: "a.bin" }),
      "BAD_FILE",
      /none of safetensors, torch zip and torch stream/,
    );
    const broken = folderOf({
      "config.json": new TextEncoder().encode('{"eps": NaN}'),
      "model.safetensors": safe("a"),
    });
    await expectRejection(readCheckpoint(broken), "BAD_FILE", /config\.json: JSON line 1, column 9/);
  });
});
