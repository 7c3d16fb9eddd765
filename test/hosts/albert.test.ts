/** @file ALBERT on RXNMapper's weights: published confidences, and hidden states, attention maps and logits of a numpy pass. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readSafetensors } from "../../src/formats/safetensors.ts";
import { toFloat32 } from "../../src/formats/tensor.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { Tensor } from "../../src/model/types.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";

const NAME = "rxnmapper-albert";

interface Case {
  readonly name: string;
  readonly reaction_fed_to_model: string;
  readonly input_ids: readonly number[];
  readonly published_confidence: number;
  readonly reactant_atom_token_positions: readonly number[];
  readonly product_atom_token_positions: readonly number[];
  readonly reactant_atom_symbols: readonly string[];
  readonly product_atom_symbols: readonly string[];
  readonly bonds_between_atoms: readonly (readonly [number, number])[];
}

/** The recipe of reference.json, from the attention of layer 10, head 5 to the published number. */
function confidence(attention: (q: number, k: number) => number, c: Case): number {
  const { reactant_atom_token_positions: reactants, product_atom_token_positions: products } = c;
  const weights = products.map((p, i) =>
    reactants.map((r, j) =>
      c.product_atom_symbols[i] === c.reactant_atom_symbols[j] ? attention(p, r) + attention(r, p) : 0,
    ),
  );
  const factor = weights.map((row) => row.map(() => 1));
  const neighbours = (atom: number): number[] =>
    c.bonds_between_atoms.flatMap(([a, b]) => (a === atom ? [b] : b === atom ? [a] : []));
  let product = 1;
  for (let step = 0; step < products.length; step += 1) {
    let best = { value: 0, p: -1, r: -1 };
    weights.forEach((row, p) => {
      const scaled = row.map((w, r) => w * ((factor[p] as number[])[r] as number));
      const sum = scaled.reduce((a, b) => a + b, 0);
      scaled.forEach((w, r) => {
        if (sum > 0 && w / sum > best.value) best = { value: w / sum, p, r };
      });
    });
    if (best.value < 1e-8) break;
    product *= best.value;
    for (const p2 of neighbours(reactants.length + best.p)) {
      for (const r2 of neighbours(best.r)) {
        const row = factor[p2 - reactants.length];
        if (row !== undefined && r2 < reactants.length) row[r2] = (row[r2] as number) * 90;
      }
    }
    factor[best.p] = (factor[best.p] as number[]).map(() => 0);
    for (const row of factor) row[best.r] = 0;
  }
  return product;
}

describe.skipIf(missing(NAME))("ALBERT with RXNMapper's weights", () => {
  let model: Model;
  let cases: readonly Case[];
  let numpy: Map<string, StoredTensor>;

  beforeAll(async () => {
    const folder = dataPath(NAME);
    cases = (JSON.parse(readFileSync(`${folder}/reference.json`, "utf8")) as { cases: Case[] }).cases;
    numpy = readSafetensors(readFileSync(`${folder}/numpy_reference.safetensors`), "numpy").tensors;
    model = await loadFolder(await sharedGpu(), folderFromPath(folder));
  });
  afterAll(async () => model?.dispose());

  const expected = (name: string): Float32Array => toFloat32(numpy.get(name) as StoredTensor);

  test("published confidences to 1e-5, from texts, all five in one batch", async () => {
    const name = "layers.10.attention.probabilities";
    const texts = cases.map((c) => c.reaction_fed_to_model);
    const { captures } = await model.run({ texts }, { capture: [name], outputs: [] });
    cases.forEach((c, index) => {
      const { data, shape } = (captures[name] as Tensor[])[index] as Tensor;
      const n = shape[2] as number;
      expect(shape).toEqual([8, c.input_ids.length, c.input_ids.length]);
      const found = confidence((q, k) => data[(5 * n + q) * n + k] as number, c);
      expect(Math.abs(found - c.published_confidence), `${c.name}: ${found}`).toBeLessThan(1e-5);
    });
  });

  test("hidden states, attention of every layer and masked-LM logits", async () => {
    for (const c of cases) {
      const names = Array.from({ length: 12 }, (_, layer) => `layers.${layer}.attention.probabilities`);
      const out = await model.run({ ids: [c.input_ids] }, { outputs: ["hidden", "heads.default"], capture: names });
      expect(relativeError((out.hidden as Tensor).data, expected(`${c.name}.last_hidden_state`))).toBeLessThan(1e-5);
      if (numpy.has(`${c.name}.mlm_logits`)) {
        expect(relativeError((out.heads.default as Tensor).data, expected(`${c.name}.mlm_logits`))).toBeLessThan(1e-5);
      }
      names.forEach((name, layer) => {
        if (!numpy.has(`${c.name}.attention_layer${layer}`)) return;
        const [probabilities] = out.captures[name] as Tensor[];
        expect(
          relativeError((probabilities as Tensor).data, expected(`${c.name}.attention_layer${layer}`)),
        ).toBeLessThan(1e-5);
      });
    }
  });

  test("a head with one row per token runs only when it is named", async () => {
    const ids = [(cases[0] as Case).input_ids];
    expect((await model.run({ ids })).heads).toEqual({});
    expect((await model.run({ ids }, { outputs: ["heads.default"] })).hidden).toBeUndefined();
  });

  test("the original torch file, named by `weights`, gives the same bits", async () => {
    const torch = await loadFolder(await sharedGpu(), folderFromPath(dataPath(NAME)), { weights: "pytorch_model.bin" });
    const ids = cases.map(({ input_ids }) => input_ids);
    expect((await torch.run({ ids })).hidden).toEqual((await model.run({ ids })).hidden);
    expect(torch.report.ignored).toContainEqual({ tensor: "predictions.decoder.weight", reason: "tied copy" });
    await torch.dispose();
  });

  test("weights in half precision stay within what rounding them costs", async () => {
    const half = await loadFolder(await sharedGpu(), folderFromPath(dataPath(NAME)), { precision: "f16" });
    const ids = cases.map(({ input_ids }) => input_ids);
    const [full, small] = [await model.run({ ids }), await half.run({ ids })];
    // A weight is off by at most 2⁻¹¹ of itself; 12 layers of sums of 256 such terms, averaging out as their square root.
    const error = relativeError((small.hidden as Tensor).data, (full.hidden as Tensor).data);
    expect(error).toBeLessThan(12 * 2 ** -11);
    expect(error).toBeGreaterThan(0);
    await half.dispose();
  });
});
