/** @file `top-k` on the device: against float64, drawn scores with ties, scores that are not numbers. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CaseTensor, OpCase } from "../../src/cases/case.ts";
import { normal } from "../../src/cases/case.ts";
import { checkCase, referenceInputs } from "../../src/cases/check.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { selectedCount, selectionInputs } from "../../src/cases/selection.ts";
import type { ScoredSegment } from "../../src/cases/selection.ts";
import { topKCases } from "../../src/cases/top-k.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import type { HostTensor } from "../../src/graph/plan.ts";
import type { AnyOp, Value } from "../../src/graph/value.ts";
import { topK } from "../../src/ops/top-k.ts";
import { topK as reference } from "../../src/reference/top-k.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { describeOp } from "./check-case.ts";
import { blocksFor, selectionVariants } from "./run-selection.ts";

describeOp(topK, reference, topKCases);

describe("top-k by blocks, which is only offered for more rows", () => {
  test.each(topKCases.cases)("$name", async (opCase) => {
    const result = await checkCase(await sharedGpu(), topK, reference, opCase, blocksFor(opCase));
    expect(result.ok, result.detail).toBe(true);
  });
});

function caseOf(segments: readonly ScoredSegment[], change: (bits: Uint32Array) => void = () => {}): OpCase {
  return {
    name: "",
    attributes: { count: "selected" },
    inputs: () => {
      const inputs = selectionInputs(segments);
      const { buffer } = (inputs.scores as CaseTensor).data as Float32Array<ArrayBuffer>;
      change(new Uint32Array(buffer));
      return inputs;
    },
    sizes: { selected: selectedCount(segments) },
    tolerance: 0,
    exact: ["rows", "positions", "invalid"],
  };
}

async function outputsOf(opCase: OpCase, variant: string): Promise<{ rows: number[]; invalid: number[] }> {
  const outputs = await evaluateCase(await sharedGpu(), topK, opCase, variant);
  const { rows, invalid } = outputs as Record<"rows" | "invalid", HostTensor>;
  return { rows: [...rows.data], invalid: [...invalid.data] };
}

describe("top-k, drawn", () => {
  const hard = fc.constantFrom(0, -0, 1e-45, -1e-45, 1e-40, -1e-38, 1, 1 + 2 ** -23, Infinity, -Infinity, 3.4e38);
  const score = fc.oneof({ weight: 3, arbitrary: hard }, { weight: 1, arbitrary: fc.float({ noNaN: true }) });
  const segment = fc.record({
    scores: fc.array(score, { maxLength: 150 }).map((scores) => Float32Array.from(scores)),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const segments = fc
    .array(segment, { minLength: 1, maxLength: 12 })
    .map((drawn) => drawn.map(({ scores, share }) => ({ scores, k: Math.round(share * scores.length) })));

  test.each([...selectionVariants, "blocks-16"])("the selected set is that of float64, %s", async (variant) => {
    await fc.assert(
      fc.asyncProperty(segments, async (drawn) => {
        const result = await checkCase(await sharedGpu(), topK, reference, caseOf(drawn), variant);
        expect(result.ok, result.detail).toBe(true);
      }),
      { numRuns: 20, seed: 11 },
    );
  });

  test("the same rows every time", async () => {
    const opCase = caseOf([{ scores: normal(1, 5000).map(Math.round), k: 1700 }]);
    for (const variant of selectionVariants) {
      const first = await evaluateCase(await sharedGpu(), topK, opCase, variant);
      expect(await evaluateCase(await sharedGpu(), topK, opCase, variant)).toEqual(first);
    }
  });
});

test("top-k by blocks starts afresh in every call of a plan", async () => {
  // Both calls use the same scratch buffers, one after the other.
  const builder = new GraphBuilder();
  const batches = [5, 6].map((seed) => [
    { scores: normal(seed, 500), k: 100 },
    { scores: normal(seed, 300), k: 31 },
  ]);
  const inputs: Record<string, Float32Array | Uint32Array> = {};
  const outputs: Record<string, Value> = {};
  batches.forEach((segments, call) => {
    const roles = Object.entries(selectionInputs(segments)).map(([role, { shape, data }]) => {
      inputs[`${role}.${call}`] = data;
      return [role, builder.input(`${role}.${call}`, shape, data instanceof Uint32Array ? "u32" : "f32")];
    });
    const { rows } = builder.op(topK as unknown as AnyOp, Object.fromEntries(roles), { count: 131 });
    outputs[`rows.${call}`] = rows as Value;
  });
  const graph = builder.finish(outputs);
  const found = await evaluate(await sharedGpu(), graph, inputs, {}, { choose: () => "blocks-64" });
  batches.forEach((segments, call) => {
    const expected = reference(referenceInputs(selectionInputs(segments))).rows;
    expect([...(found[`rows.${call}`] as HostTensor).data]).toEqual([...(expected as ReferenceTensor).data]);
  });
});

describe("top-k of scores that are not numbers", () => {
  const NONE = 0xffffffff;
  const lengths = [5, 0, 70, 300, 1];
  const segments = lengths.map((length, s) => ({ scores: normal(s, length), k: Math.ceil(length / 3) }));
  const starts = [0, 5, 5, 75, 375];
  // Quiet and signalling, of either sign, with every payload: the device must not have to compare them.
  const patterns = [0x7fc00000, 0xffc00000, 0x7f800001, 0xff800001, 0x7fffffff, 0xffffffff];

  test.each([...selectionVariants, "blocks-16"])("names the lowest row of each segment, %s", async (variant) => {
    const clean = await outputsOf(caseOf(segments), variant);
    expect(clean.invalid).toEqual(starts.map(() => NONE).concat(NONE));
    for (const pattern of patterns) {
      const change = (bits: Uint32Array): void => [4, 3, 374, 200, 375].forEach((row) => (bits[row] = pattern));
      const found = await outputsOf(caseOf(segments, change), variant);
      expect(found.invalid).toEqual([3, NONE, NONE, 200, 375, NONE]);
      // The others are untouched, and what is selected of these stays inside them.
      expect(found.rows.slice(2, 26)).toEqual(clean.rows.slice(2, 26));
      found.rows.forEach((row, place) => {
        const segment = place < 2 ? 0 : place < 26 ? 2 : place < 126 ? 3 : 4;
        const start = starts[segment] as number;
        expect(row >= start && row < start + (lengths[segment] as number), `row ${row} at ${place}`).toBe(true);
      });
    }
  });

  test("names rows where nothing is selected, and where everything is", async () => {
    const scores = (): Float32Array => normal(1, 40);
    const extremes = [
      { scores: scores(), k: 0 },
      { scores: scores(), k: 40 },
    ];
    for (const variant of [...selectionVariants, "blocks-16"]) {
      const opCase = caseOf(extremes, (bits) => [7, 39, 79].forEach((row) => (bits[row] = 0x7fc00000)));
      expect((await outputsOf(opCase, variant)).invalid, variant).toEqual([7, 79, NONE]);
    }
  });

  test("infinities are numbers, and without segments there is still the last entry", async () => {
    const infinite = { scores: Float32Array.from([Infinity, -Infinity, 0]), k: 2 };
    for (const variant of selectionVariants) {
      const found = await outputsOf(caseOf([infinite]), variant);
      expect([found.rows, found.invalid]).toEqual([
        [0, 2],
        [NONE, NONE],
      ]);
      expect((await outputsOf(caseOf([]), variant)).invalid).toEqual([NONE]);
    }
  });
});
