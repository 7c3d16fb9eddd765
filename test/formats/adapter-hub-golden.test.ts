/**
 * @file Every folder that the real library saved, read and written again: the configuration is equal byte for byte, keys
 * and bits are the library's own.
 */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { readAdapterFolder } from "../../src/formats/adapter-hub/read-adapter.ts";
import { readFusionFolder } from "../../src/formats/adapter-hub/read-fusion.ts";
import { readHeadFolder } from "../../src/formats/adapter-hub/read-head.ts";
import { parseSetup } from "../../src/formats/adapter-hub/setup.ts";
import type { PlainTensor } from "../../src/formats/adapter-hub/types.ts";
import { writeAdapterFolder } from "../../src/formats/adapter-hub/write-adapter.ts";
import { writeFusionFolder, writeHeadFolder } from "../../src/formats/adapter-hub/write.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { dataPath, missing } from "../data.ts";
import { allBits, memoryFolder } from "./memory-folder.ts";

const root = dataPath("adapters-golden");
const forms = ["torch", "safetensors"] as const;

/** Folders like `bert/cases/CASE/KIND/NAME`. */
function folders(kinds: readonly string[]): string[] {
  if (missing("adapters-golden")) return [];
  const found: string[] = [];
  for (const host of ["bert", "gpt2"]) {
    for (const test of readdirSync(`${root}/${host}/cases`)) {
      for (const kind of kinds) {
        const parent = `${host}/cases/${test}/${kind}`;
        if (existsSync(`${root}/${parent}`))
          found.push(...readdirSync(`${root}/${parent}`).map((name) => `${parent}/${name}`));
      }
    }
  }
  return found;
}

/** A weights file as it is, without the copies of prefixes. */
function rawBits(bytes: Uint8Array, file: string): Record<string, unknown> {
  const tensors = new Map<string, PlainTensor>();
  for (const [key, stored] of readTensorFile(bytes, file).tensors) {
    if (!key.includes(".prefix_tuning.pool.")) tensors.set(key, { shape: stored.shape, data: toFloat32(stored) });
  }
  return allBits(tensors);
}

function compare(folder: string, written: ReadonlyMap<string, Uint8Array>, config: string, weights: string): void {
  expect(Buffer.from(written.get(config) ?? []).toString()).toBe(readFileSync(`${root}/${folder}/${config}`, "utf8"));
  const [file, bytes] = [...written][1] as [string, Uint8Array];
  expect(rawBits(bytes, file)).toEqual(rawBits(readFileSync(`${root}/${folder}/${weights}`), weights));
}

const adapterFolders = folders(["adapters", "adapters_safetensors"]);

describe.skipIf(missing("adapters-golden"))("adapters of the library", () => {
  it("are all there", () => {
    expect(adapterFolders.length).toBeGreaterThan(100);
  });

  it.each(adapterFolders)("%s", async (path) => {
    const adapter = await readAdapterFolder(folderFromPath(`${root}/${path}`));
    const family = path.startsWith("bert") ? "bert" : "gpt2";
    const name = path.slice(path.lastIndexOf("/") + 1);
    expect(adapter).toMatchObject({
      format: "hub",
      family,
      name,
      hiddenSize: 64,
      version: "adapters.1.2.0",
      unexpected: [],
    });
    for (const { reason } of adapter.left) expect(reason).toMatch(/^a copy of/);
    for (const key of adapter.tensors.keys()) {
      expect(key).toMatch(
        /^(layers\.[0-3]\.(attention|ffn|query|key|value|up|down|prefix_gate)|prefix|prompt|invertible|shared_parameters)\./,
      );
    }
    for (const weights of forms) {
      const written = writeAdapterFolder(adapter, { family, name, weights });
      compare(path, written, "adapter_config.json", adapter.file);
      const again = await readAdapterFolder(memoryFolder(written));
      expect(allBits(again.tensors)).toEqual(allBits(adapter.tensors));
      expect(again.config).toEqual(adapter.config);
    }
  });

  it("hold the same in both file forms", async () => {
    for (const path of adapterFolders.filter((folder) => folder.includes("adapters_safetensors"))) {
      const one = await readAdapterFolder(folderFromPath(`${root}/${path}`));
      const other = await readAdapterFolder(
        folderFromPath(`${root}/${path.replace("adapters_safetensors", "adapters")}`),
      );
      expect(allBits(one.tensors)).toEqual(allBits(other.tensors));
    }
  });

  it("name their attention matrices apart on GPT-2", async () => {
    const adapter = await readAdapterFolder(folderFromPath(`${root}/gpt2/cases/lora_qv/adapters/a`));
    expect(adapter.tensors.get("layers.0.query.lora_A")?.shape).toEqual([4, 64]);
    expect(adapter.tensors.get("layers.0.value.lora_B")?.shape).toEqual([64, 4]);
    expect(adapter.tensors.has("layers.0.key.lora_A")).toBe(false);
  });
});

const fusionFolders = folders(["fusions", "fusions_safetensors"]);

describe.skipIf(missing("adapters-golden"))("fusions of the library", () => {
  it.each(fusionFolders)("%s", async (path) => {
    const fusion = await readFusionFolder(folderFromPath(`${root}/${path}`));
    const family = path.startsWith("bert") ? "bert" : "gpt2";
    expect(fusion).toMatchObject({
      family,
      names: path.slice(path.lastIndexOf("/") + 1).split("+"),
      unexpected: [],
      left: [],
    });
    for (const weights of forms)
      compare(path, writeFusionFolder(fusion, { family, weights }), "adapter_fusion_config.json", fusion.file);
  });
});

const headFolders = adapterFolders.filter((path) => existsSync(`${root}/${path}/head_config.json`));

describe.skipIf(missing("adapters-golden"))("heads of the library", () => {
  it.each(headFolders)("%s", async (path) => {
    const folder = folderFromPath(`${root}/${path}`);
    expect((await readAdapterFolder(folder)).hasHead).toBe(true);
    const head = await readHeadFolder(folder);
    expect(head).toMatchObject({
      name: "a",
      family: "bert",
      unexpected: [],
      left: [],
      config: { head_type: "classification" },
    });
    for (const key of head.tensors.keys()) expect(key).toMatch(/^[14]\.(weight|bias)$/);
    for (const weights of forms) {
      compare(path, writeHeadFolder(head, { family: "bert", name: "a", weights }), "head_config.json", head.file);
    }
  });
});

describe.skipIf(missing("adapters-golden"))("setups of the library", () => {
  it("are all understood", () => {
    for (const host of ["bert", "gpt2"]) {
      for (const test of readdirSync(`${root}/${host}/cases`)) {
        const { active } = JSON.parse(readFileSync(`${root}/${host}/cases/${test}/case.json`, "utf8")) as {
          active: unknown;
        };
        if (active !== null) expect(parseSetup(active)).toMatchObject(active as object);
      }
    }
  });
});

describe.skipIf(missing("adapter-pfeiffer-mbert-metaphor"))("a published adapter", () => {
  const folder = folderFromPath(dataPath("adapter-pfeiffer-mbert-metaphor"));

  it("holds 12 bottlenecks of width 48", async () => {
    const adapter = await readAdapterFolder(folder);
    expect(adapter).toMatchObject({
      name: "md",
      family: "bert",
      hiddenSize: 768,
      version: "adapters.1.0.1",
      bytes: 3_594_853,
    });
    expect(adapter).toMatchObject({
      unexpected: [],
      left: [],
      hasHead: true,
      modelName: "bert-base-multilingual-cased",
    });
    expect(adapter.tensors.size).toBe(48);
    for (let layer = 0; layer < 12; layer++) {
      expect(adapter.tensors.get(`layers.${layer}.ffn.adapter_down.0.weight`)?.shape).toEqual([48, 768]);
      expect(adapter.tensors.get(`layers.${layer}.ffn.adapter_up.weight`)?.shape).toEqual([768, 48]);
    }
  });

  it("has a head of two layers", async () => {
    const head = await readHeadFolder(folder);
    expect(head.config).toMatchObject({
      head_type: "classification",
      layers: 2,
      num_labels: 2,
      label2id: { 0: 1, 1: 0 },
    });
    expect([...head.tensors.keys()]).toEqual(["1.weight", "1.bias", "4.weight", "4.bias"]);
  });
});
