/** @file The library's own files: every configuration reads and is written back alike, and names exactly the file's tensors. */

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { toLibraryConfig } from "../../src/adapters/config/library.ts";
import { readAdapterConfig } from "../../src/adapters/config/read.ts";
import { expectedTensors } from "../../src/adapters/config/shapes.ts";
import type { AdapterHost } from "../../src/adapters/config/types.ts";
import { readTorch } from "../../src/formats/torch.ts";
import { dataPath, missing } from "../data.ts";

const GOLDEN = "adapters-golden";

const shape = { layers: 4, width: 64, heads: 4, headWidth: 16, ffnWidth: 128 };
const hosts: Readonly<Record<string, AdapterHost>> = {
  bert: { ...shape, normPosition: "post" },
  gpt2: { ...shape, normPosition: "pre" },
};

function goldenAdapters(): [string, string, string][] {
  if (missing(GOLDEN)) return [];
  return Object.keys(hosts).flatMap((host) =>
    readdirSync(dataPath(`${GOLDEN}/${host}/cases`)).flatMap((name) => {
      const folder = dataPath(`${GOLDEN}/${host}/cases/${name}/adapters`);
      const adapters = existsSync(folder) ? readdirSync(folder) : [];
      return adapters.map((adapter): [string, string, string] => [host, `${name}/${adapter}`, `${folder}/${adapter}`]);
    }),
  );
}

/** File key -> canonical name, as few rules as these two hosts need. */
const RULES: readonly (readonly [RegExp, string])[] = [
  [/^(bert|transformer)\./, ""],
  [/^(?:encoder\.layer|h)\.(\d+)\./, "layers.$1."],
  [/\.(?:attention\.output\.|attention_adapters\.)adapters\.[^.]+\./, ".attention."],
  [/\.(?:output\.|output_adapters\.)adapters\.[^.]+\./, ".ffn."],
  [/\.attention\.self\.(query|key|value)\.loras\.[^.]+\./, ".$1."],
  [/\.(?:intermediate\.dense|mlp\.c_fc)\.loras\.[^.]+\./, ".up."],
  [/\.(?:output\.dense|mlp\.c_proj)\.loras\.[^.]+\./, ".down."],
  [/^prefix_tuning\.prefix_tunings\.[^.]+\.self_prefix\./, "prefix."],
  [/\.(?:attention\.self|attn)\.prefix_tuning\.prefix_gates\.[^.]+\./, ".prefix_gate."],
  [/^prompt_tuning\.prompt_tunings\.[^.]+\.prompt_embedding\./, "prompt."],
  [/^invertible_adapters\.[^.]+\./, "invertible."],
  [/^shared_parameters\.[^.]+\./, "shared_parameters."],
];

function fileTensors(file: string): Map<string, readonly number[]> {
  const { tensors } = readTorch(readFileSync(file), file);
  const found = new Map<string, readonly number[]>();
  for (const [key, { shape: stored }] of tensors) {
    // Copies per layer of the one pool, and the second name of a norm inside adapter_down (MATHS §3.1).
    if (key.includes(".pool.prefix_tunings.")) continue;
    if (key.endsWith("adapter_down.0.weight") && stored.length === 1) continue;
    if (key.endsWith("adapter_down.0.bias") && tensors.has(key.replace(/0\.bias$/, "1.bias"))) continue;
    const name = RULES.reduce((text, [pattern, to]) => text.replace(pattern, to), key);
    found.set(name.replace(".adapter_down.1.", ".adapter_down.0."), stored);
  }
  return found;
}

const elements = (shapes: Map<string, readonly number[]>): number =>
  Array.from(shapes.values()).reduce((sum, one) => sum + one.reduce((a, b) => a * b, 1), 0);

describe.skipIf(missing(GOLDEN))("golden adapters of the library", () => {
  test.each(goldenAdapters())("%s %s", (hostName, _, folder) => {
    const host = hosts[hostName] as AdapterHost;
    const { config: raw } = JSON.parse(readFileSync(`${folder}/adapter_config.json`, "utf8"));
    const config = readAdapterConfig(raw, host);
    // Text against text: all fields, their order, their spelling.
    expect(JSON.stringify(toLibraryConfig(config))).toBe(JSON.stringify(raw));
    const stored = fileTensors(`${folder}/pytorch_adapter.bin`);
    const expected = expectedTensors(config, host);
    // GPT-2 keeps its query, key and value as one tensor; its reader splits it.
    if (Array.from(stored.keys()).some((name) => name.includes(".c_attn."))) {
      expect(elements(stored)).toBe(elements(expected));
    } else {
      expect(new Map(Array.from(stored).sort())).toEqual(new Map(Array.from(expected).sort()));
    }
  });
});

describe.skipIf(missing("adapter-pfeiffer-mbert-metaphor"))("a published adapter", () => {
  test("reads on its host and names its tensors", () => {
    const folder = dataPath("adapter-pfeiffer-mbert-metaphor");
    const { config: raw } = JSON.parse(readFileSync(`${folder}/adapter_config.json`, "utf8"));
    const host = { ...shape, layers: 12, width: 768, heads: 12, headWidth: 64, ffnWidth: 3072 };
    const expected = expectedTensors(readAdapterConfig(raw, { ...host, normPosition: "post" }), {
      ...host,
      normPosition: "post",
    });
    const stored = fileTensors(`${folder}/pytorch_adapter.bin`);
    expect(new Map(Array.from(stored).sort())).toEqual(new Map(Array.from(expected).sort()));
  });
});
