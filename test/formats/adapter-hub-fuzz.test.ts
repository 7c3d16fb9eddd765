/** @file Hostile adapter folders: each is read or refused by an EngineError with a fix, never by another exception. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EngineError } from "../../src/errors.ts";
import { readAdapterFolder } from "../../src/formats/adapter-hub/read-adapter.ts";
import { readFusionFolder } from "../../src/formats/adapter-hub/read-fusion.ts";
import { readHeadFolder } from "../../src/formats/adapter-hub/read-head.ts";
import { parseSetup } from "../../src/formats/adapter-hub/setup.ts";
import { writeAdapterFolder } from "../../src/formats/adapter-hub/write-adapter.ts";
import { counting, memoryFolder, tensorFile } from "./memory-folder.ts";

/** Runs the action; only an EngineError with a fix may come out of it. */
async function guarded(action: () => unknown): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    expect(error.fix).not.toBe("");
  }
}

const tensors = new Map([
  ["layers.0.ffn.adapter_up.bias", counting([3])],
  ["layers.1.query.lora_A", counting([2, 3])],
]);
const config = { architecture: "lora", attn_matrices: ["q"], r: 2, alpha: 4, non_linearity: "gelu" };
const hub = writeAdapterFolder(
  { format: "hub", config, tensors, hiddenSize: 3 },
  { family: "bert", name: "a", weights: "torch" },
);
const peft = writeAdapterFolder(
  {
    format: "peft",
    config: { peft_type: "LORA", modules: { "layers.0.query": { r: 2, alpha: 4 } } },
    tensors: new Map([
      ["layers.0.query.lora_A", counting([2, 3])],
      ["layers.0.query.lora_B", counting([3, 2])],
    ]),
    hiddenSize: null,
  },
  { family: "bert", name: "", weights: "safetensors" },
);

describe("adapter folders", () => {
  it.each([
    ["hub", hub],
    ["peft", peft],
  ] as const)("%s: with a file cut short or with other bytes in it", async (_, files) => {
    const edits = fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(255)), {
      maxLength: 4,
    });
    const damage = fc.record({
      file: fc.nat(1),
      length: fc.double({ min: 0, max: 1, noNaN: true }),
      cut: fc.boolean(),
      edits,
    });
    await fc.assert(
      fc.asyncProperty(damage, async ({ file, length, cut, edits: list }) => {
        const damaged = [...files].map(([name, bytes], index) => {
          if (index !== file) return [name, bytes] as const;
          const copy = bytes.slice(0, cut ? Math.floor(length * bytes.length) : bytes.length);
          for (const [place, byte] of list) copy[Math.floor(place * copy.length)] = byte;
          return [name, copy] as const;
        });
        await guarded(() => readAdapterFolder(memoryFolder(damaged)));
      }),
      { numRuns: 1500, seed: 2 },
    );
  });

  it("with any values in the fields that are looked at", async () => {
    const json = fc.jsonValue({ maxDepth: 2 });
    const fields =
      "config peft_type name model_type hidden_size version model_class adapter_names r lora_alpha rank_pattern bias".split(
        " ",
      );
    const kinds = fc.constantFrom("LORA", "IA3", "PREFIX_TUNING", "PROMPT_TUNING", undefined);
    const object = fc.tuple(
      fc.record(Object.fromEntries(fields.map((field) => [field, json])), { requiredKeys: [] }),
      kinds,
    );
    const keys = ["bert.encoder.layer.0.output.adapters.a.scaling", "prompt_embeddings", "heads.a.1.weight"];
    const file = tensorFile(Object.fromEntries(keys.map((key) => [key, counting([1, 1])])));
    await fc.assert(
      fc.asyncProperty(object, async ([envelope, type]) => {
        const whole = type === undefined ? envelope : { ...envelope, peft_type: type };
        const names = [
          "adapter.safetensors",
          "adapter_model.safetensors",
          "model_head.safetensors",
          "model_adapter_fusion.safetensors",
        ];
        const configs = ["adapter_config.json", "head_config.json", "adapter_fusion_config.json"];
        const folder = memoryFolder([
          ...names.map((name) => [name, file] as const),
          ...configs.map((name) => [name, JSON.stringify(whole)] as const),
        ]);
        for (const read of [readAdapterFolder, readHeadFolder, readFusionFolder]) await guarded(() => read(folder));
        await guarded(() => parseSetup(whole));
      }),
      { numRuns: 1000, seed: 3 },
    );
  });

  it("with any names in their keys", async () => {
    const part = fc.constantFrom(
      "bert",
      "encoder",
      "layer",
      "0",
      "99999999999999999999",
      "output",
      "adapters",
      "loras",
      "a",
      "",
      "scaling",
      "__proto__",
      "lora_A",
    );
    const key = fc.array(part, { minLength: 1, maxLength: 10 }).map((parts) => parts.join("."));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 5 }),
        fc.constantFrom("a", "", null, "__proto__"),
        async (keys, name) => {
          const file = tensorFile(Object.fromEntries(keys.map((item) => [item, counting([1])])));
          const envelope = { config: {}, model_type: "bert", name };
          const folder = memoryFolder([
            ["adapter_config.json", envelope],
            ["adapter.safetensors", file],
          ]);
          await guarded(async () => {
            const read = await readAdapterFolder(folder);
            expect(read.tensors.size + read.unexpected.length + read.left.length).toBe(keys.length);
          });
        },
      ),
      { numRuns: 500, seed: 4 },
    );
  });
});
