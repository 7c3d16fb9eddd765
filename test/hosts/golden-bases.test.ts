/** @file BERT and GPT-2 bases against outputs that the `adapters` library computed: bare hosts, padded batches as ragged ones. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { toFloat32, toIntegers } from "../../src/formats/tensor.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Tensor } from "../../src/model/types.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";

/** What SOURCE.md recommends at least. */
const ABSOLUTE = 5e-5;

describe.skipIf(missing("adapters-golden")).each(["bert", "gpt2"])("the golden %s base", (host) => {
  test("every input, rows of padding left out", async () => {
    const folder = dataPath(`adapters-golden/${host}`);
    const inputs = readSafetensors(readFileSync(`${folder}/inputs.safetensors`), "inputs").tensors;
    const expected = readSafetensors(readFileSync(`${folder}/base/expected.safetensors`), "expected").tensors;
    const model = await loadFolder(await sharedGpu(), folderFromPath(`${folder}/base`));
    for (const [name, stored] of expected) {
      const ids = inputs.get(`${name}.input_ids`) as StoredTensor;
      const mask = toIntegers(inputs.get(`${name}.attention_mask`) as StoredTensor);
      const tokens = toIntegers(ids);
      const [batch = 0, length = 0] = ids.shape;
      const kept = Array.from({ length: batch }, (_, s) =>
        Array.from({ length }, (_, t) => s * length + t).filter((at) => mask[at] === 1),
      );
      const out = await model.run({ ids: kept.map((rows) => rows.map((at) => tokens[at] as number)) });
      const values = toFloat32(stored);
      kept.flat().forEach((at, row) => {
        for (let c = 0; c < 64; c += 1) {
          const difference = Math.abs(
            ((out.hidden as Tensor).data[row * 64 + c] as number) - (values[at * 64 + c] as number),
          );
          expect(difference, `${name} row ${at} column ${c}`).toBeLessThan(ABSOLUTE);
        }
      });
    }
    await model.dispose();
  });
});
