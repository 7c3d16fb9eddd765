/** @file Real files, where the data folder is present: each torch file against its safetensors twin. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { readCheckpoint, readTensorFile } from "../../src/formats/checkpoint.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { folderFromPath } from "../../src/node/folder.ts";

const data = new URL("../../../shared/data/", import.meta.url).pathname;

type Tensors = Map<string, StoredTensor>;

function read(...path: string[]): Tensors {
  const file = join(data, ...path);
  return readTensorFile(new Uint8Array(readFileSync(file)), file).tensors;
}

/** Same names; per name the same type, shape and bits. */
function expectSame(actual: Tensors, expected: Tensors): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, tensor] of expected) expectSameTensor(actual.get(name) as StoredTensor, tensor);
}

function expectSameTensor(actual: StoredTensor, expected: StoredTensor): void {
  expect([actual.name, actual.dtype, actual.shape]).toEqual([actual.name, expected.dtype, expected.shape]);
  if (Buffer.compare(actual.bytes, expected.bytes) !== 0) throw new Error(`${actual.name} and ${expected.name} differ`);
}

describe.skipIf(!existsSync(join(data, "rxnmapper-albert")))("rxnmapper-albert", () => {
  it("has the same values in the stream form and in safetensors, and its decoder is tied", async () => {
    const folder = folderFromPath(join(data, "rxnmapper-albert"));
    const safe = await readCheckpoint(folder);
    const torch = await readCheckpoint(folder, { weights: "pytorch_model.bin" });
    expect([safe.file, torch.file]).toEqual(["model.safetensors", "pytorch_model.bin"]);
    expect(safe.config["model_type"]).toBe("albert");
    expect([safe.tensors.size, torch.tensors.size]).toEqual([30, 32]);
    const tied: readonly (readonly [string, string])[] = [
      ["predictions.decoder.weight", "albert.embeddings.word_embeddings.weight"],
      ["predictions.decoder.bias", "predictions.bias"],
    ];
    for (const [copy, original] of tied) {
      expectSameTensor(torch.tensors.get(copy) as StoredTensor, torch.tensors.get(original) as StoredTensor);
      torch.tensors.delete(copy);
    }
    expectSame(torch.tensors, safe.tensors);
  });
});

describe.skipIf(!existsSync(join(data, "mnist-vit-tiny")))("mnist-vit-tiny", () => {
  it("has the same values in the zip form and in safetensors", () => {
    expectSame(read("mnist-vit-tiny", "mnist_vit.pth"), read("mnist-vit-tiny", "model.safetensors"));
  });
});

describe.skipIf(!existsSync(join(data, "adapter-pfeiffer-mbert-metaphor")))("adapter-pfeiffer-mbert-metaphor", () => {
  it("has the 48 tensors that its configuration describes, all finite", () => {
    const tensors = read("adapter-pfeiffer-mbert-metaphor", "pytorch_adapter.bin");
    expect(tensors.size).toBe(48);
    for (let layer = 0; layer < 12; layer++) {
      const prefix = `bert.encoder.layer.${layer}.output.adapters.md`;
      const shapes = {
        "adapter_down.0.weight": [48, 768],
        "adapter_down.0.bias": [48],
        "adapter_up.weight": [768, 48],
        "adapter_up.bias": [768],
      };
      for (const [name, shape] of Object.entries(shapes)) {
        const tensor = tensors.get(`${prefix}.${name}`) as StoredTensor;
        expect(tensor.shape).toEqual(shape);
        expect(toFloat32(tensor).every(Number.isFinite)).toBe(true);
      }
    }
  });

  it("has the head that SOURCE.md describes", () => {
    const tensors = read("adapter-pfeiffer-mbert-metaphor", "pytorch_model_head.bin");
    expect([...tensors].map(([name, { shape }]) => [name, shape]).sort()).toEqual([
      ["heads.md.1.bias", [768]],
      ["heads.md.1.weight", [768, 768]],
      ["heads.md.4.bias", [2]],
      ["heads.md.4.weight", [2, 768]],
    ]);
  });
});

const golden = join(data, "adapters-golden");

/** Every file under a folder. */
function walk(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.flatMap((entry) =>
    entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

describe.skipIf(!existsSync(golden))("adapters-golden", () => {
  const files = walk(golden);

  it("has the same adapters in both formats", () => {
    const pairs = files.filter(
      (file) => file.includes("/adapters_safetensors/") && file.endsWith("/adapter.safetensors"),
    );
    expect(pairs.length).toBeGreaterThan(0);
    for (const file of pairs) {
      const twin = file
        .replace("/adapters_safetensors/", "/adapters/")
        .replace("adapter.safetensors", "pytorch_adapter.bin");
      expectSame(read(twin.slice(data.length)), read(file.slice(data.length)));
    }
  });

  it("opens every torch file, and rewrites every safetensors file to the same bytes as the format's own library", () => {
    const torch = files.filter((file) => file.endsWith(".bin"));
    const safe = files.filter((file) => file.endsWith(".safetensors"));
    expect(Math.min(torch.length, safe.length)).toBeGreaterThan(10);
    for (const file of torch) expect(read(file.slice(data.length)).size).toBeGreaterThan(0);
    for (const file of safe) {
      const bytes = new Uint8Array(readFileSync(file));
      const { tensors, metadata } = readTensorFile(bytes, file);
      const written = writeSafetensors(tensors.values(), Object.keys(metadata).length === 0 ? undefined : metadata);
      if (Buffer.compare(written, bytes) !== 0) throw new Error(`${file} was written differently`);
    }
  });
});
