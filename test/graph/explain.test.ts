/** @file Explanations of small graphs: kinds of FLOPs, tables that are known and those that are not, copies, launches over nothing. */

import { describe, expect, test } from "vitest";
import { explain, formatExplanation } from "../../src/graph/explain.ts";
import type { Explanation } from "../../src/graph/explain.ts";
import { planMemory } from "../../src/graph/memory.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import { schedule, sizeLookup } from "../../src/graph/schedule.ts";
import type { Sizes, TableOf } from "../../src/graph/schedule.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { activation } from "../../src/ops/activation.ts";
import { attention } from "../../src/ops/attention.ts";
import { softmax } from "../../src/ops/softmax.ts";
import type { DeviceTraits } from "../../src/ops/op.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { PICKED, ROWS, Sketch } from "./fixtures.ts";

async function explained(graph: Graph, sizes: Sizes, tables?: TableOf): Promise<Explanation> {
  const { traits }: { traits: DeviceTraits } = await sharedGpu();
  const steps = schedule(graph, traits, sizes);
  return explain(steps, planMemory(graph, steps, sizeLookup(sizes)), sizes, tables);
}

/** Attention of 2 heads of 4 over packed rows. */
function attentionGraph(segments: (b: Sketch) => Value): Graph {
  const b = new Sketch();
  const x = b.input("x", [ROWS, 24]);
  const offsets = segments(b);
  const inputs = { q: x, kv: x, q_segments: offsets, kv_segments: offsets };
  const attributes = { heads: 2, headWidth: 4, scale: 0.5, causal: true, qAt: 0, kAt: 8, vAt: 16 };
  return b.finish({ y: b.op(attention, inputs, attributes).y as Value });
}

const known: TableOf = ({ node }) => (node.label === "segments" ? Uint32Array.of(0, 7, 7, 9, 10) : undefined);

describe("explain", () => {
  test("names what FLOPs were spent on, in the steps, in total and in words", async () => {
    const b = new Sketch();
    const x = b.input("x", [ROWS, 8]);
    const y = b.op(softmax, { x: b.norm(b.mm(x, "w", 12)) }, {}).y as Value;
    const found = await explained(b.finish({ y: b.op(activation, { x: y }, { kind: "relu" }).y as Value }), {
      rows: 5,
    });
    const expected = { matmul: 2 * 5 * 8 * 12, norm: 8 * 60, softmax: 4 * 60, other: 60 };
    expect(found.parts).toEqual({ ...expected, attention: 0, adapter: 0, router: 0 });
    expect(found.flops).toBe(960 + 480 + 240 + 60);
    expect(found.steps.map(({ flops }) => flops)).toEqual([960, 480, 240, 60]);
    expect(found.steps.map(({ parts }) => parts.matmul)).toEqual([960, 0, 0, 0]);
    expect(formatExplanation({ ...found, parts: { ...found.parts, matmul: 1.5e6 } })).toMatch(
      /\nMFLOP: matmul 1\.50, norm 0\.00, softmax 0\.00, other 0\.00\n4 launches/,
    );
  });

  test("counts the pairs of a ragged batch segment by segment where the table is known, masked ones too", async () => {
    const graph = attentionGraph((b) => b.input("segments", [runtimeDim("offsets")], "u32"));
    const sizes = { rows: 10, offsets: 5 };
    const pairs = 7 * 7 + 0 + 2 * 2 + 1;
    const { parts, bytes } = await explained(graph, sizes, known);
    expect(parts).toMatchObject({ attention: 4 * 8 * pairs, softmax: 4 * 2 * pairs, other: 0 });
    // q, k, v and y, 8 columns each; both tables of 5.
    expect(bytes).toBe(4 * (4 * 10 * 8 + 2 * 5));
    // Four segments of 2.5 rows, where nothing is known.
    for (const tables of [undefined, () => undefined]) {
      expect((await explained(graph, sizes, tables)).parts.attention).toBe(4 * 8 * 25);
    }
    expect((await explained(graph, { rows: 0, offsets: 1 })).parts.attention).toBe(0);
  });

  test.each([false, true])(
    "counts a product that is scattered the same fused and unfused; weighed: %s",
    async (weighed) => {
      const b = new Sketch();
      const [base, x, rows] = [b.input("base", [ROWS, 12]), b.input("x", [ROWS, 8]), b.input("rows", [PICKED], "u32")];
      const weight = weighed ? b.input("weight", [ROWS]) : undefined;
      const sum = b.ew("add", b.mm(b.take(x, rows), "w", 12), b.input("residual", [PICKED, 12]));
      const graph = b.finish({
        y: b.put(b.op(activation, { x: base }, { kind: "relu" }).y as Value, sum, rows, weight),
      });
      const sizes = { rows: 9, picked: 4 };
      const [plain, fused] = [await explained(graph, sizes), await explained(optimize(graph), sizes)];
      // The activation of base; a residual and the update for 4·12 results, and their weights.
      expect(plain.parts).toMatchObject({ matmul: 2 * 4 * 8 * 12, other: 9 * 12 + 4 * 12 * (weighed ? 3 : 2) });
      expect(fused.parts).toEqual(plain.parts);
      expect(fused.launches).toBe(2);
      // x 4·8, W 12·8, the residual, base and y 4·12 each; an index for the gather, one for the scatter, and a weight for 4 rows.
      const elements = 32 + 96 + 3 * 48 + 4 * (weighed ? 3 : 2);
      expect(fused.steps.find(({ op }) => op === "matmul")?.bytes).toBe(4 * elements);
    },
  );

  test("leaves out launches over nothing", async () => {
    const b = new Sketch();
    const y = b.mm(b.norm(b.input("x", [ROWS, 8])), "w", 12);
    const graph = b.finish({ y });
    expect((await explained(graph, { rows: 3 })).launches).toBe(2);
    const nothing = await explained(graph, { rows: 0 });
    expect(nothing).toMatchObject({ launches: 0, flops: 0 });
    expect(nothing.steps.map(({ kernels }) => kernels)).toEqual([[], []]);
  });

  test("counts the copy of a base that somebody still needs, read and written", async () => {
    const build = (keep: boolean): Graph => {
      const b = new Sketch();
      const base = b.op(activation, { x: b.input("x", [ROWS, 8]) }, { kind: "relu" }).y as Value;
      const y = b.put(base, b.input("update", [PICKED, 8]), b.input("sel", [PICKED], "u32"));
      return b.finish(keep ? { y, base } : { y });
    };
    const sizes = { rows: 9, picked: 4 };
    const [kept, free] = [await explained(build(true), sizes), await explained(build(false), sizes)];
    expect([kept.copies, kept.copyBytes, free.copies, free.copyBytes]).toEqual([1, 2 * 4 * 72, 0, 0]);
    // relu reads and writes 9·8; the update reads x 4·8 and base 4·8, writes 4·8, and reads 4 indices.
    expect(free.bytes).toBe(4 * (2 * 72 + 3 * 32 + 4));
    expect(kept.bytes).toBe(free.bytes + kept.copyBytes);
  });
});
