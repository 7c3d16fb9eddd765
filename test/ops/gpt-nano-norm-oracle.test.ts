/** @file Row operations against tensors that PyTorch computed: the intermediate results of gpt-nano (shared/data). */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { compare } from "../../src/cases/check.ts";
import type { CaseTensor } from "../../src/cases/case.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { activation } from "../../src/ops/activation.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import { layerNorm } from "../../src/ops/layer-norm.ts";
import type { Attributes, Op } from "../../src/ops/op.ts";
import { softmax } from "../../src/ops/softmax.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const folder = fileURLToPath(new URL("../../../shared/data/gpt-nano-sort/", import.meta.url));
const TOLERANCE = 1e-4; // of the largest finite magnitude, as the data's acceptance states
const WIDTH = 48;

interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: string;
}

describe.skipIf(!existsSync(folder))("gpt-nano's intermediate tensors", () => {
  const stored = new Map<string, Record<string, StoredTensor>>();

  function values(file: "model" | "t0-partials", name: string): Float32Array {
    if (!stored.has(file)) stored.set(file, JSON.parse(readFileSync(`${folder}gpt-nano-sort-${file}.json`, "utf8")));
    const tensor = stored.get(file)?.[name];
    if (tensor === undefined) throw new Error(`${file} has no ${name}`);
    const bytes = Uint8Array.from(Buffer.from(tensor.data, "base64"));
    return new Float32Array(bytes.buffer);
  }

  function rows(name: string, width = WIDTH): CaseTensor {
    const data = values("t0-partials", name);
    return { shape: [data.length / width, width], data, rows: "rows" };
  }

  function parameter(name: string): CaseTensor {
    const data = values("model", `transformer.${name}`);
    return { shape: [data.length], data };
  }

  async function expectTensor<A>(
    op: Op<A>,
    attributes: Attributes,
    inputs: Record<string, CaseTensor>,
    expected: string,
  ): Promise<void> {
    const opCase = { name: expected, attributes, inputs: () => inputs, tolerance: TOLERANCE };
    const { y } = await evaluateCase(await sharedGpu(), op, opCase);
    const result = compare(expected, y?.data ?? [], values("t0-partials", expected), TOLERANCE);
    expect(result.ok, result.detail).toBe(true);
  }

  const norm = (name: string): Record<string, CaseTensor> => ({
    gamma: parameter(`${name}.weight`),
    beta: parameter(`${name}.bias`),
  });

  test("x = tok_emb + pos_emb", async () => {
    const positions = values("t0-partials", "pos_emb");
    const repeated = Float32Array.from(
      { length: 3 * positions.length },
      (_, i) => positions[i % positions.length] as number,
    );
    await expectTensor(
      elementwise,
      { operation: "add" },
      { a: rows("tok_emb"), b: { ...rows("x"), data: repeated } },
      "x",
    );
  });
  test("ln1", () => expectTensor(layerNorm, { eps: 1e-5 }, { x: rows("x"), ...norm("h.0.ln_1") }, "ln1"));
  test("attSm", () => expectTensor(softmax, {}, { x: rows("att", 11) }, "attSm"));
  test("attnResid", () =>
    expectTensor(elementwise, { operation: "add" }, { a: rows("x"), b: rows("yProj") }, "attnResid"));
  test("ln2", () => expectTensor(layerNorm, { eps: 1e-5 }, { x: rows("attnResid"), ...norm("h.0.ln_2") }, "ln2"));
  test("ln2 with its residual", () =>
    expectTensor(layerNorm, { eps: 1e-5 }, { x: rows("yProj"), residual: rows("x"), ...norm("h.0.ln_2") }, "ln2"));
  test("gelu", () => expectTensor(activation, { kind: "gelu_new" }, { x: rows("fc", 192) }, "gelu"));
  test("ln_f", () => expectTensor(layerNorm, { eps: 1e-5 }, { x: rows("block2"), ...norm("ln_f") }, "ln_f"));
  test("probs", () => expectTensor(softmax, {}, { x: rows("lm_head", 3) }, "probs"));
});
