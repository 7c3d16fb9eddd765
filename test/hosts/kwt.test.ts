/** @file KWT-1 from int16 audio: features, hidden states and logits of a numpy pass, and the label counts of its source. */

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import { parseTable } from "../../src/inputs/csv.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";

const NAME = "kwt1-speech-commands";
const SAMPLES = 16000;

describe.skipIf(missing(NAME))("KWT-1", () => {
  let model: Model;
  let samples: Int16Array;
  let numpy: Map<string, StoredTensor>;

  beforeAll(async () => {
    const folder = dataPath(NAME);
    const raw = gunzipSync(readFileSync(`${folder}/clips.i16.gz`));
    samples = new Int16Array(raw.buffer, raw.byteOffset, raw.length / 2);
    numpy = readSafetensors(readFileSync(`${folder}/numpy_reference.safetensors`), "numpy").tensors;
    model = await loadFolder(await sharedGpu(), folderFromPath(folder));
  });
  afterAll(async () => model?.dispose());

  const clip = (index: number): Float32Array =>
    Float32Array.from(samples.subarray(index * SAMPLES, (index + 1) * SAMPLES), (v) => v / 32768);
  const expected = (name: string): Float32Array => toFloat32(numpy.get(name) as StoredTensor);

  test("features, every hidden state and logits of three clips and of silence", async () => {
    const audio = [clip(0), clip(100), clip(250), new Float32Array(SAMPLES)];
    const layers = Array.from({ length: 12 }, (_, layer) => `layers.${layer}.output`);
    const out = await model.run({ audio }, { capture: ["features", "embeddings", ...layers] });
    ["clip0", "clip100", "clip250", "zeros"].forEach((name, index) => {
      const features = (out.captures.features as Tensor).data.slice(index * 98 * 40, (index + 1) * 98 * 40);
      expect(relativeError(features, expected(`${name}.features`))).toBeLessThan(1e-4);
      expect(
        relativeError(
          (out.heads.default as Tensor).data.slice(index * 12, index * 12 + 12),
          expected(`${name}.logits`),
        ),
      ).toBeLessThan(1e-4);
      if (!numpy.has(`${name}.hidden_states`)) return;
      const states = expected(`${name}.hidden_states`);
      ["embeddings", ...layers].forEach((capture, state) => {
        const rows = (out.captures[capture] as Tensor).data.slice(index * 99 * 64, (index + 1) * 99 * 64);
        expect(relativeError(rows, states.slice(state * 99 * 64, (state + 1) * 99 * 64))).toBeLessThan(1e-4);
      });
    });
  });

  test("features in place of audio give the same logits", async () => {
    const data = expected("clip100.features");
    const out = await model.run({ features: [{ data, shape: [98, 40] }] });
    expect(relativeError((out.heads.default as Tensor).data, expected("clip100.logits"))).toBeLessThan(1e-4);
  });

  test("logits of all 404 clips to 1e-3, and 353 of 360 keywords right", async () => {
    const table = parseTable(readFileSync(dataPath(`${NAME}/clips.tsv`), "utf8"), { delimiter: "\t" });
    const labels = readFileSync(dataPath(`${NAME}/labels.txt`), "utf8")
      .trim()
      .split(/\r?\n/);
    const logitColumns = table.columns.filter((column) => column.startsWith("logit_"));
    const wanted = logitColumns.map((column) => table.column(column).map(Number));
    const truth = table.column("label").map(Number);
    const counts = new Map<string, number>();
    let keywords = 0;
    let right = 0;
    const clips = truth.length;
    expect(clips).toBe(404);
    for (let from = 0; from < clips; from += 101) {
      const { heads } = await model.run(
        { audio: Array.from({ length: 101 }, (_, i) => clip(from + i)) },
        { outputs: ["heads"] },
      );
      const { data } = heads.default as Tensor;
      for (let i = 0; i < 101; i += 1) {
        const logits = data.slice(i * 12, i * 12 + 12);
        logits.forEach((logit, label) =>
          expect(Math.abs(logit - (wanted[label]?.[from + i] as number))).toBeLessThan(1e-3),
        );
        const answer = logits.indexOf(Math.max(...logits));
        const label = truth[from + i] as number;
        counts.set(labels[label] as string, (counts.get(labels[label] as string) ?? 0) + 1);
        if (label >= 2) {
          keywords += 1;
          if (answer === label) right += 1;
        }
      }
    }
    expect([keywords, right]).toEqual([360, 353]);
    expect([...counts.values()].sort((a, b) => a - b)).toEqual([8, ...Array.from({ length: 11 }, () => 36)]);
  });

  test("short clips are padded at the end, long ones refused unless cropped, other rates resampled", async () => {
    const short = clip(100).slice(0, 12000);
    const padded = new Float32Array(SAMPLES);
    padded.set(short);
    const both = await model.run({ audio: [short, padded] });
    const logits = (both.heads.default as Tensor).data;
    expect(logits.slice(0, 12)).toEqual(logits.slice(12));
    const long = new Float32Array(SAMPLES + 1);
    await expect(model.run({ audio: [long] })).rejects.toMatchObject({ code: "BAD_INPUT" });
    await model.run({ audio: [long], crop: "center" });
    await model.run({ audio: [clip(100).filter((_, i) => i % 2 === 0)], sampleRate: 8000 });
  });
});
