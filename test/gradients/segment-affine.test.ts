/** @file The gradient rule of `segment-affine`: every combination of terms, and what is built of frozen and learned vectors. */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { segmentAffine } from "../../src/ops/segment-affine.ts";
import type { SegmentAffineAttributes } from "../../src/ops/segment-affine.ts";
import { segmentCombine } from "../../src/ops/segment-combine.ts";
import { checkGradient } from "./check-gradient.ts";
import type { GradientCase, Source } from "./check-gradient.ts";
import { ROWS, SEGMENTS, SLOTS, tables, weights } from "./segment-sources.ts";

function caseOf(width: number, stride: number, attributes: SegmentAffineAttributes, residual: boolean): GradientCase {
  return {
    sources: {
      x: weights(1, ROWS, width),
      bank: weights(2, SLOTS, stride),
      ...tables(),
      ...(residual ? { residual: weights(3, ROWS, width) } : {}),
    },
    leaves: [{ parameter: "x" }, { parameter: "bank", slot: 1 }, ...(residual ? [{ parameter: "residual" }] : [])],
    build: (b, values) => [b.op(segmentAffine, values, attributes).y as Value],
  };
}

describe("terms", () => {
  const settings: readonly [width: number, stride: number, attributes: SegmentAffineAttributes][] = [
    [8, 16, { scaleAt: 0, shiftAt: 8 }],
    [5, 23, { scaleAt: 13, shiftAt: 1, firstColumn: 5 }],
    [4, 8, { scaleAt: 4 }],
    [3, 3, { shiftAt: 0 }],
    [4, 4, {}],
  ];
  for (const [width, stride, attributes] of settings) {
    test.each([true, false])(`${JSON.stringify(attributes)}, residual %s`, async (residual) => {
      await checkGradient(caseOf(width, stride, attributes, residual));
    });
  }

  test("of a bank with one slot that slot is trained", async () => {
    const gradientCase = caseOf(8, 16, { scaleAt: 0, shiftAt: 8 }, true);
    const { segment_slots, ...others } = gradientCase.sources;
    const named = Uint32Array.from((segment_slots as Source).data, (slot) => (slot === 1 ? 0 : 0xffffffff));
    const sources = {
      ...others,
      bank: weights(2, 1, 16),
      segment_slots: { ...(segment_slots as Source), data: named },
    };
    await checkGradient({ ...gradientCase, sources, leaves: [{ parameter: "x" }, { parameter: "bank" }] });
  });

  test("a scale of one column times a whole value is a learned scalar", async () => {
    const unit = Uint32Array.from({ length: SEGMENTS + 1 }, (_, s) => s);
    await checkGradient({
      sources: {
        x: weights(1, ROWS, 6),
        residual: weights(2, ROWS, 6),
        bank: weights(3, SLOTS, 4),
        ...tables(),
        ones: { shape: [SEGMENTS, 1], data: new Float32Array(SEGMENTS).fill(1), input: true },
        each: { shape: [SEGMENTS + 1], data: unit, input: true },
      },
      leaves: [{ parameter: "x" }, { parameter: "residual" }, { parameter: "bank", slot: 1 }],
      build: (b, { x, residual, bank, segments, segment_slots, ones, each }) => {
        const inputs = { x: ones, bank, segments: each, segment_slots };
        const weight = b.op(segmentAffine, inputs, { scaleAt: 2 }).y;
        return [b.op(segmentCombine, { a: residual, b: x, weight, segments }, { mode: "add" }).y as Value];
      },
    });
  });
});

describe("what is built", () => {
  function labels(leaves: readonly { parameter: string; slot?: number }[], residual: boolean): string[] {
    const b = new GraphBuilder({ differentiable: true });
    const { sources, build } = caseOf(8, 16, { scaleAt: 0, shiftAt: 8 }, residual);
    const values = Object.fromEntries(
      Object.entries(sources).map(([name, { shape, data }]) => [
        name,
        b.parameter(name, shape, data instanceof Uint32Array ? "u32" : "f32"),
      ]),
    );
    const value = build(b, values)[0] as Value;
    const gradients = backpropagate(b, [{ value, gradient: b.parameter("seed", value.type.shape) }], leaves);
    const wanted = [...gradients.values()].flatMap((parts) => parts.map((part) => part.value));
    return b.nodesOf(wanted).flatMap(({ kind, label }) => (kind === "op" ? [label] : []));
  }

  test("of a frozen bank nothing but ∂x", () => {
    expect(labels([{ parameter: "x" }], false)).toEqual(["segment-affine"]);
    expect(labels([{ parameter: "x" }], true)).toEqual(["fill", "segment-affine"]);
    expect(labels([{ parameter: "residual" }], true)).toEqual([]);
  });

  test("of frozen rows nothing but the sums", () => {
    expect(labels([{ parameter: "bank", slot: 0 }], true)).toEqual([
      "segment-sums",
      "sum-rows",
      "segment-sums",
      "sum-rows",
    ]);
  });

  test("a bank of several slots is not trained as a whole", () => {
    expect(() => labels([{ parameter: "bank" }], true)).toThrow("of a bank of several slots one is trained at a time");
  });
});
