/** @file Attention against tensors that PyTorch computed: the first block of gpt-nano (shared/data). */

import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import type { CaseTensor } from "../../src/cases/case.ts";
import { compare } from "../../src/cases/check.ts";
import { segmentTable } from "../../src/cases/segment-tables.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { attentionProbabilities } from "../../src/ops/attention-probabilities.ts";
import { attention } from "../../src/ops/attention.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const file = fileURLToPath(
  new URL("../../../shared/data/gpt-nano-sort/gpt-nano-sort-t0-partials.json", import.meta.url),
);
const TOLERANCE = 1e-4; // of the largest finite magnitude, as the data's acceptance states
const [BATCH, LENGTH, HEADS, HEAD_WIDTH, WIDTH] = [3, 11, 3, 16, 48];

describe.skipIf(!existsSync(file))("gpt-nano's attention", () => {
  let stored: Record<string, { readonly data: string }> | undefined;

  function values(name: string): Float32Array {
    stored ??= JSON.parse(readFileSync(file, "utf8"));
    const tensor = stored?.[name];
    if (tensor === undefined) throw new Error(`the partials have no ${name}`);
    return new Float32Array(Uint8Array.from(Buffer.from(tensor.data, "base64")).buffer);
  }

  function expectClose(name: string, actual: ArrayLike<number>, expected: ArrayLike<number>): void {
    const result = compare(name, actual, expected, TOLERANCE);
    expect(result.ok, result.detail).toBe(true);
  }

  /** The fused projection, one segment per sequence. */
  function fused(): Record<string, CaseTensor> {
    const qkv: CaseTensor = { shape: [BATCH * LENGTH, 3 * WIDTH], data: values("qkv"), rows: "rows" };
    const segments = segmentTable(Array.from({ length: BATCH }, () => LENGTH));
    return { q: qkv, kv: qkv, q_segments: segments, kv_segments: segments };
  }

  /** q, k and v as PyTorch splits them, [batch, heads, length, head width]: one segment per sequence and head. */
  function split(): Record<string, CaseTensor> {
    const [q, k, v] = [values("q"), values("k"), values("v")];
    const rows = BATCH * HEADS * LENGTH;
    const kv = new Float32Array(rows * 2 * HEAD_WIDTH);
    for (let row = 0; row < rows; row += 1) {
      kv.set(k.subarray(row * HEAD_WIDTH, (row + 1) * HEAD_WIDTH), row * 2 * HEAD_WIDTH);
      kv.set(v.subarray(row * HEAD_WIDTH, (row + 1) * HEAD_WIDTH), (row * 2 + 1) * HEAD_WIDTH);
    }
    const segments = segmentTable(Array.from({ length: BATCH * HEADS }, () => LENGTH));
    return {
      q: { shape: [rows, HEAD_WIDTH], data: q, rows: "rows" },
      kv: { shape: [rows, 2 * HEAD_WIDTH], data: kv, rows: "rows" },
      q_segments: segments,
      kv_segments: segments,
    };
  }

  const common = { headWidth: HEAD_WIDTH, scale: 1 / Math.sqrt(HEAD_WIDTH), causal: true };
  const fusedColumns = { ...common, heads: HEADS, kAt: WIDTH, vAt: 2 * WIDTH };

  async function variants(): Promise<readonly string[]> {
    return (await sharedGpu()).traits.subgroups ? ["portable", "subgroup"] : ["portable"];
  }

  async function probabilities(): Promise<ArrayLike<number>> {
    const attributes = { ...fusedColumns, count: "probabilities" };
    const sizes = { probabilities: values("attSm").length };
    const opCase = { name: "attSm", attributes, inputs: fused, sizes, tolerance: TOLERANCE };
    const { y } = await evaluateCase(await sharedGpu(), attentionProbabilities, opCase);
    return y?.data ?? [];
  }

  test("y from qkv", async () => {
    for (const variant of await variants()) {
      const opCase = { name: "y", attributes: fusedColumns, inputs: fused, tolerance: TOLERANCE };
      const { y } = await evaluateCase(await sharedGpu(), attention, opCase, variant);
      expectClose(variant, y?.data ?? [], values("y"));
    }
  });

  test("y from q, k and v", async () => {
    for (const variant of await variants()) {
      const opCase = {
        name: "y",
        attributes: { ...common, heads: 1, vAt: HEAD_WIDTH },
        inputs: split,
        tolerance: TOLERANCE,
      };
      const { y } = await evaluateCase(await sharedGpu(), attention, opCase, variant);
      const expected = values("y"); // [batch, length, heads, head width]
      const regrouped = Float32Array.from({ length: expected.length }, (_, i) => {
        const [c, row, head] = [
          i % HEAD_WIDTH,
          Math.floor(i / HEAD_WIDTH) % LENGTH,
          Math.floor(i / HEAD_WIDTH / LENGTH) % HEADS,
        ];
        const sequence = Math.floor(i / HEAD_WIDTH / LENGTH / HEADS);
        return expected[((sequence * LENGTH + row) * HEADS + head) * HEAD_WIDTH + c] as number;
      });
      expectClose(variant, y?.data ?? [], regrouped);
    }
  });

  test("attSm", async () => expectClose("attSm", await probabilities(), values("attSm")));

  test("att: log-probabilities are the masked scores up to a number per row", async () => {
    const found = await probabilities();
    const scores = values("att");
    const shifted = Float64Array.from(scores, (_, i) => {
      const first = Math.floor(i / LENGTH) * LENGTH; // key 0 is visible to every query
      return Math.log(found[i] as number) - Math.log(found[first] as number) + (scores[first] as number);
    });
    expectClose("att", shifted, scores);
  });
});
