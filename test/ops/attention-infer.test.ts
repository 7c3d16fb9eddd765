/** @file What attention and the adapter refuse before anything is launched. */

import { describe, expect, test } from "vitest";
import { adapter, adapterStride } from "../../src/ops/adapter.ts";
import { attentionProbabilities } from "../../src/ops/attention-probabilities.ts";
import { attention } from "../../src/ops/attention.ts";
import type { AttentionAttributes } from "../../src/ops/attention.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Dim, ElementType, TensorType } from "../../src/ops/op.ts";

function type(element: ElementType, ...shape: readonly Dim[]): TensorType {
  return { shape, element };
}

const rows = runtimeDim("rows");
const offsets = type("u32", runtimeDim("offsets"));
const attributes: AttentionAttributes = { heads: 2, headWidth: 8, scale: 1, kAt: 16, vAt: 32 };
const qkv = type("f32", rows, 48);
const inputs = { q: qkv, kv: qkv, q_segments: offsets, kv_segments: offsets };

describe("attention", () => {
  test("gives a row per query", () => {
    expect(attention.infer(inputs, attributes)).toEqual({ y: type("f32", rows, 16) });
    expect(attentionProbabilities.infer(inputs, { ...attributes, count: "p" })).toEqual({
      y: type("f32", runtimeDim("p")),
    });
  });

  test.each<[string, Partial<AttentionAttributes>, Record<string, TensorType>]>([
    ["attention.headWidth", { headWidth: 6 }, {}],
    ["attention.headWidth", { headWidth: 260 }, {}],
    ["attention.heads", { heads: 0 }, {}],
    ["attention.scale", { scale: Number.NaN }, {}],
    ["attention.kAt", { kAt: 2 }, {}],
    ["attention.kv axis 1", { vAt: 36 }, {}],
    ["attention.q axis 1", {}, { q: type("f32", rows, 18) }],
    ["attention.kv_segments axis 0", {}, { kv_segments: type("u32", 3) }],
    ["attention.positions axis 0", {}, { positions: type("u32", runtimeDim("other")) }],
    ["attention.kv_positions axis 0", {}, { kv_positions: type("u32", runtimeDim("other")) }],
    ["attention.kv_positions", {}, { kv_positions: type("f32", rows) }],
    ["attention.bias", {}, { bias: type("f32", 2, 4, 4) }],
    ["attention.bias axis 0", {}, { bias: type("f32", 4, 2) }],
    ["attention.bias axis 0", {}, { bias: type("f32", 1, 2) }],
    ["attention.bias axis 1", {}, { bias: type("f32", 5, 3) }],
  ])("refuses a wrong %s", (where, wrongAttributes, wrongInputs) => {
    const call = (): unknown => attention.infer({ ...inputs, ...wrongInputs }, { ...attributes, ...wrongAttributes });
    expect(call).toThrow(expect.objectContaining({ code: "SHAPE", where }));
  });
});

describe("adapter", () => {
  const stride = adapterStride(16, 4);
  const x = type("f32", rows, 16);
  const correct = {
    x,
    bank: type("f16", 2, stride),
    slots: type("u32", 2, 4),
    segments: offsets,
    segment_slots: type("u32", runtimeDim("segments")),
  };

  test("gives the rows of x", () => {
    expect(stride).toBe(148);
    expect(adapter.infer({ ...correct, residual: x }, { width: 16, maxWidth: 4 })).toEqual({ y: x });
  });

  test.each<[string, Record<string, TensorType>]>([
    ["adapter.x axis 1", { x: type("f32", rows, 20) }],
    ["adapter.residual axis 0", { residual: type("f32", runtimeDim("other"), 16) }],
    ["adapter.bank axis 1", { bank: type("f32", 2, stride + 4) }],
    ["adapter.slots axis 0", { slots: type("u32", 3, 4) }],
  ])("refuses a wrong %s", (where, wrong) => {
    const call = (): unknown => adapter.infer({ ...correct, ...wrong }, { width: 16, maxWidth: 4 });
    expect(call).toThrow(expect.objectContaining({ code: "SHAPE", where }));
  });

  test("refuses a bottleneck of no width", () => {
    expect(() => adapter.infer(correct, { width: 16, maxWidth: 0 })).toThrow(
      expect.objectContaining({ where: "adapter.maxWidth" }),
    );
  });
});
