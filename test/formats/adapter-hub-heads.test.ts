/** @file Prediction heads: flexible ones, and those of plain Hugging Face classes. */

import { describe, expect, it } from "vitest";

import { readHeadFolder } from "../../src/formats/adapter-hub/read-head.ts";
import type { PlainTensor, StoredHead } from "../../src/formats/adapter-hub/types.ts";
import { writeHeadFolder } from "../../src/formats/adapter-hub/write.ts";
import { expectRejection } from "./expect-error.ts";
import { allBits, counting, memoryFolder, tensorFile } from "./memory-folder.ts";

function head(fields: object, tensors: Readonly<Record<string, PlainTensor>>): Promise<StoredHead> {
  const envelope = { name: "a", model_type: "bert", hidden_size: 4, ...fields };
  return readHeadFolder(
    memoryFolder([
      ["head_config.json", envelope],
      ["model_head.safetensors", tensorFile(tensors)],
    ]),
  );
}

const linear = counting([3, 4]);

describe("flexible heads", () => {
  const config = { head_type: "tagging", num_labels: 3, layers: 1 };

  it("are named by their tails, whatever the name", async () => {
    for (const name of ["a", "a.1", "x.y/z"]) {
      const read = await head({ name, config }, { [`heads.${name}.1.weight`]: linear });
      expect(read).toMatchObject({ name, config, unexpected: [], left: [] });
      expect(allBits(read.tensors)).toEqual(allBits(new Map([["1.weight", linear]])));
      const again = await readHeadFolder(
        memoryFolder(writeHeadFolder(read, { family: "bert", name, weights: "torch" })),
      );
      expect(allBits(again.tensors)).toEqual(allBits(read.tensors));
    }
  });

  it("of other names are left, other keys listed", async () => {
    const keys = { "heads.a.1.weight": linear, "heads.b.1.weight": linear, "pooler.bias": linear };
    const read = await head({ config }, keys);
    expect(read.left).toEqual([{ name: "heads.b.1.weight", reason: 'belongs to the head "b"' }]);
    expect(read.unexpected).toEqual(["pooler.bias"]);
    await expectRejection(head({ name: "c", config }, keys), "BAD_WEIGHTS", /no head "c"; there: "a", "b"/);
    await expectRejection(head({ name: null, config }, keys), "BAD_WEIGHTS", /no head null; there: "a", "b"/);
    expect(await head({ name: null, config }, { "heads.z.1.weight": linear })).toMatchObject({ name: "z" });
  });

  it("need a configuration of the right form", async () => {
    await expectRejection(head({ config: "tagging" }, {}), "BAD_CONFIG", /"config" must be an object or null/);
  });
});

describe("heads of plain classes", () => {
  const labels = { num_labels: 3, label2id: { x: 0, y: 1, z: 2 } };

  it.each([
    ["BertForSequenceClassification", ["classifier"], { head_type: "classification", layers: 1, use_pooler: true }],
    [
      "RobertaForSequenceClassification",
      ["classifier.dense", "classifier.out_proj"],
      { layers: 2, activation_function: "tanh" },
    ],
    [
      "DistilBertForSequenceClassification",
      ["pre_classifier", "classifier"],
      { layers: 2, activation_function: "relu" },
    ],
    ["GPT2ForSequenceClassification", ["score"], { layers: 1, bias: false }],
    ["ViTForImageClassification", ["classifier"], { head_type: "image_classification" }],
    ["T5ForSequenceClassification", ["classification_head.dense", "classification_head.out_proj"], { layers: 2 }],
    ["BertForTokenClassification", ["classifier"], { head_type: "tagging" }],
  ])("%s", async (modelClass, modules, config) => {
    const tensors = Object.fromEntries(modules.map((module, index) => [`${module}.weight`, counting([3, 4], index)]));
    const read = await head({ name: null, config: null, model_class: modelClass, ...labels }, tensors);
    expect(read).toMatchObject({ name: null, config: { ...config, ...labels }, unexpected: [] });
    const expected = modules.map((_, index) => [`${1 + 3 * index}.weight`, counting([3, 4], index)] as const);
    expect(allBits(read.tensors)).toEqual(allBits(new Map(expected)));
  });

  it("without a counterpart keep their keys", async () => {
    const read = await head(
      { config: null, model_class: "BertForNextSentencePrediction", ...labels },
      { "cls.weight": linear },
    );
    expect(read.config).toEqual({ head_type: null, ...labels });
    expect([...read.tensors.keys()]).toEqual(["cls.weight"]);
  });
});
