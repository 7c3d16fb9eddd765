/** @file GPT-2 on minGPT's gpt-nano: every stored intermediate tensor of PyTorch, through the whole host. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compare } from "../../src/cases/check.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunOutput, Tensor } from "../../src/model/types.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { checkpointBytes, memoryFolder } from "../tiny-models.ts";

const NAME = "gpt-nano-sort";

interface Stored {
  readonly shape: readonly number[];
  readonly data: string;
}

/** Base64 of little-endian numbers, as these files keep them. */
function decode({ data }: Stored): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(data, "base64"));
  return new Float32Array(bytes.buffer);
}

/** minGPT's names are GPT-2's, but its matrices are [out, in]: turn them round, drop the masks. */
function convert(model: Record<string, Stored>): Parameters<typeof checkpointBytes>[0] {
  const tensors: Parameters<typeof checkpointBytes>[0] = {};
  for (const [name, stored] of Object.entries(model)) {
    if (name === "config" || name.endsWith(".attn.bias")) continue;
    const [out = 0, inputs = 0] = stored.shape;
    const data = decode(stored);
    const conv = /\.(c_attn|c_proj|c_fc)\.weight$/.test(name);
    const turned = new Float32Array(data.length);
    if (conv) data.forEach((value, i) => (turned[(i % inputs) * out + Math.floor(i / inputs)] = value));
    tensors[name] = { shape: conv ? [inputs, out] : stored.shape, data: conv ? turned : data };
  }
  return tensors;
}

describe.skipIf(missing(NAME))("GPT-2 with gpt-nano's weights", () => {
  let model: Model;
  let partials: Record<string, Stored>;
  let out: RunOutput;

  beforeAll(async () => {
    const source = JSON.parse(readFileSync(dataPath(`${NAME}/gpt-nano-sort-model.json`), "utf8")) as Record<
      string,
      Stored
    >;
    partials = JSON.parse(readFileSync(dataPath(`${NAME}/gpt-nano-sort-t0-partials.json`), "utf8")) as Record<
      string,
      Stored
    >;
    const config = { model_type: "gpt2", n_embd: 48, n_head: 3, n_layer: 3, n_positions: 11, vocab_size: 3 };
    model = await loadFolder(
      await sharedGpu(),
      memoryFolder({ "model.safetensors": checkpointBytes(convert(source)) }),
      { config },
    );
    // The ids are stored as floats, like every other tensor.
    const ids = Array.from({ length: 3 }, (_, s) => decode(partials.idx as Stored).subarray(s * 11, s * 11 + 11));
    const capture = [
      "embeddings",
      "layers.0.attention.probabilities",
      "layers.0.attention.output",
      "layers.0.ffn.output",
      "layers.0.output",
      "layers.1.output",
      "layers.2.output",
      "hidden",
    ];
    out = await model.run({ ids }, { capture, outputs: ["hidden", "heads.default"] });
  });
  afterAll(async () => model?.dispose());

  const agrees = (name: string, actual: Float32Array): void => {
    const result = compare(name, actual, decode(partials[name] as Stored), 1e-4);
    expect(result.ok, result.detail).toBe(true);
  };

  test.each([
    ["x", "embeddings"],
    ["yProj", "layers.0.attention.output"],
    ["mlp", "layers.0.ffn.output"],
    ["block0", "layers.0.output"],
    ["block1", "layers.1.output"],
    ["block2", "layers.2.output"],
    ["ln_f", "hidden"],
  ])("%s is %s", (stored, capture) => agrees(stored, (out.captures[capture] as Tensor).data));

  test("attention probabilities of block 0, one tensor per sequence", () => {
    const tensors = out.captures["layers.0.attention.probabilities"] as Tensor[];
    expect(tensors.map(({ shape }) => shape)).toEqual([
      [3, 11, 11],
      [3, 11, 11],
      [3, 11, 11],
    ]);
    agrees("attSm", Float32Array.from(tensors.flatMap(({ data }) => [...data])));
  });

  test("the untied language-model head", () => agrees("lm_head", (out.heads.default as Tensor).data));
});
