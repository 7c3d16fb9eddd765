/** @file Every case of the golden adapters, from the library's own files through the public interface to its stated tolerance. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { compositionFromJson } from "../../src/adapters/composition-json.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import { loadModel } from "../../src/node.ts";
import type { Model } from "../../src/node.ts";
import { dataPath } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const root = dataPath("adapters-golden");

interface Case {
  readonly name: string;
  readonly output: "last_hidden_state" | "logits";
  readonly adapters: readonly string[];
  readonly fusions: Readonly<Record<string, string>>;
  readonly active: unknown;
  readonly skip_layers: readonly number[] | null;
  readonly merged: string | null;
  readonly ejected: string | null;
  readonly quirk: string | null;
  readonly recommended_atol: number;
  readonly expected: Readonly<Record<string, readonly number[]>>;
}

interface Inputs {
  readonly input_ids: readonly (readonly number[])[];
  readonly attention_mask: readonly (readonly number[])[];
}

/** The gate of upstream averages over padding, which ragged batches do not have (SOURCE.md). */
const GATED: ReadonlySet<string> = new Set(["gating", "lora_gating", "unipelt"]);

function json<T>(...path: string[]): T {
  return JSON.parse(readFileSync(join(root, ...path), "utf8")) as T;
}

async function addAll(model: Model, setting: Case, folder: string, kind: "" | "_safetensors"): Promise<void> {
  for (const name of setting.adapters) await model.addAdapter(name, join(folder, `adapters${kind}`, name));
  for (const [name, place] of Object.entries(setting.fusions))
    await model.addFusion(name.split(","), join(folder, `fusions${kind}`, place));
}

/** Largest difference over rows whose mask is 1. */
async function difference(model: Model, setting: Case, name: string, inputs: Inputs, folder: string): Promise<number> {
  const stored = readTensorFile(readFileSync(join(folder, "expected.safetensors")), folder).tensors;
  const expected = toFloat32(stored.get(name) as NonNullable<ReturnType<typeof stored.get>>);
  const shape = setting.expected[name] as readonly number[];
  const ids = inputs.input_ids.map((row, s) => row.filter((_, t) => inputs.attention_mask[s]?.[t] === 1));
  const out = await model.run({ ids });
  if (setting.output === "logits") {
    const logits = out.heads[setting.adapters.at(-1) as string]?.data as Float32Array;
    expect(logits.length).toBe(expected.length);
    return logits.reduce((worst, value, at) => Math.max(worst, Math.abs(value - (expected[at] as number))), 0);
  }
  const { data: hidden, segments } = out.hidden as { data: Float32Array; segments: Uint32Array };
  const [sequences, tokens, width] = shape as [number, number, number];
  expect(segments.length).toBe(sequences + 1);
  let worst = 0;
  for (let s = 0; s < sequences; s += 1) {
    const rows = (segments[s + 1] as number) - (segments[s] as number);
    for (let at = 0; at < rows * width; at += 1) {
      const found = hidden[(segments[s] as number) * width + at] as number;
      worst = Math.max(worst, Math.abs(found - (expected[s * tokens * width + at] as number)));
    }
  }
  return worst;
}

for (const family of ["bert", "gpt2"]) {
  const there = existsSync(join(root, family));
  const cases = there ? readdirSync(join(root, family, "cases")) : ["cases"];
  describe.skipIf(!there)(`golden adapters on ${family}`, () => {
    test.each(cases)("%s", async (name) => {
      const folder = join(root, family, "cases", name);
      const setting = json<Case>(family, "cases", name, "case.json");
      const inputs = json<Record<string, Inputs>>(family, "inputs.json");
      for (const kind of ["", "_safetensors"] as const) {
        if (kind !== "" && !existsSync(join(folder, `adapters${kind}`))) continue;
        const model = await loadModel(await sharedGpu(), join(root, family, "base"));
        try {
          await addAll(model, setting, folder, kind);
          model.setActive(
            compositionFromJson(setting.active),
            setting.quirk === null ? {} : { compat: "adapters-1.2" },
          );
          if (setting.skip_layers !== null) model.dropAdapters({ layers: setting.skip_layers });
          if (setting.merged !== null) await model.mergeAdapter(setting.merged, { compat: "adapters-1.2" });
          if (setting.ejected !== null) await model.ejectPrefix(setting.ejected);
          for (const input of Object.keys(setting.expected)) {
            if (input === "padded" && GATED.has(name)) continue;
            const worst = await difference(model, setting, input, inputs[input] as Inputs, folder);
            expect(worst, `${input}${kind}`).toBeLessThanOrEqual(setting.recommended_atol);
          }
        } finally {
          await model.dispose();
        }
      }
    });
  });
}
