/** @file The gradient rule of `adapter`: skips, columns, activations, slots of every width; what is built of what is frozen. */

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Leaf } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { activationCodes } from "../../src/ops/activation.ts";
import { adapter, adapterStride } from "../../src/ops/adapter.ts";
import type { AdapterAttributes } from "../../src/ops/adapter.ts";
import { checkGradient } from "./check-gradient.ts";
import type { GradientCase, Source } from "./check-gradient.ts";
import { ROWS, SEGMENTS, SLOTS, tables, weights } from "./segment-sources.ts";

/** Records of two slots: their active widths, one activation, scales 0.75 and -1.5. */
function records(widths: readonly [number, number], activation: number): Source {
  const words = new Uint32Array(4 * SLOTS);
  const scales = new Float32Array(words.buffer);
  widths.forEach((width, slot) => {
    words.set([width, activation], 4 * slot);
    scales[4 * slot + 2] = slot === 0 ? 0.75 : -1.5;
  });
  return { shape: [SLOTS, 4], data: words };
}

interface Setting {
  readonly attributes: AdapterAttributes;
  readonly widths: readonly [number, number];
  readonly activation?: keyof typeof activationCodes;
  /** What the skip connection takes; no skip when absent. */
  readonly residual?: "x" | "other";
  readonly leaves?: readonly Leaf[];
}

function caseOf({ attributes, widths, activation = "gelu", residual, leaves }: Setting): GradientCase {
  const { width, maxWidth, outWidth = width, firstColumn = 0, columnCount = outWidth - firstColumn } = attributes;
  return {
    sources: {
      x: weights(1, ROWS, width),
      bank: weights(2, SLOTS, adapterStride(width, maxWidth, outWidth)),
      slots: records(widths, activationCodes[activation]),
      ...tables(),
      ...(residual === "other" ? { residual: weights(3, ROWS, columnCount) } : {}),
    },
    leaves: leaves ?? [
      { parameter: "x" },
      { parameter: "bank", slot: 1 },
      ...(residual === "other" ? [{ parameter: "residual" }] : []),
    ],
    build: (b, values) => {
      const skipped = residual === "x" ? { residual: values.x as Value } : {};
      return [b.op(adapter, { ...values, ...skipped }, attributes).y as Value];
    },
  };
}

describe("rule", () => {
  test.each(["identity", "relu", "gelu", "gelu_new", "silu", "quick_gelu", "tanh", "sigmoid", "leakyrelu"] as const)(
    "%s",
    async (activation) => {
      await checkGradient(
        caseOf({ attributes: { width: 8, maxWidth: 4 }, widths: [4, 3], activation, residual: "other" }),
      );
    },
  );

  test.each<[string, Setting]>([
    ["without a residual", { attributes: { width: 5, maxWidth: 3 }, widths: [1, 3] }],
    ["x as its residual", { attributes: { width: 8, maxWidth: 8 }, widths: [8, 5], residual: "x" }],
    ["a residual of its own", { attributes: { width: 7, maxWidth: 2 }, widths: [2, 2], residual: "other" }],
    ["the trained slot has width 0", { attributes: { width: 8, maxWidth: 4 }, widths: [4, 0], residual: "x" }],
    ["more rows than columns", { attributes: { width: 4, maxWidth: 4, outWidth: 12 }, widths: [4, 4] }],
    [
      "columns of a part",
      {
        attributes: { width: 8, maxWidth: 4, outWidth: 24, firstColumn: 8, columnCount: 8 },
        widths: [2, 4],
        residual: "x",
      },
    ],
    [
      "odd columns of a part",
      {
        attributes: { width: 5, maxWidth: 3, outWidth: 9, firstColumn: 4, columnCount: 3 },
        widths: [3, 2],
        residual: "other",
      },
    ],
  ])("%s", async (_, setting) => {
    await checkGradient(caseOf(setting));
  });

  test("rows alone and weights alone", async () => {
    const setting: Setting = { attributes: { width: 8, maxWidth: 8 }, widths: [8, 6], residual: "x" };
    await checkGradient(caseOf({ ...setting, leaves: [{ parameter: "x" }] }));
    await checkGradient(caseOf({ ...setting, leaves: [{ parameter: "bank", slot: 0 }] }));
  });

  test("columns of the same slot, side by side, add up in what they share", async () => {
    const attributes = { width: 8, maxWidth: 4, outWidth: 16 };
    const whole = caseOf({ attributes, widths: [4, 4] });
    await checkGradient({
      ...whole,
      build: (b, values) =>
        [0, 8].map((firstColumn) => b.op(adapter, values, { ...attributes, firstColumn, columnCount: 8 }).y as Value),
    });
  });
});

describe("what is built", () => {
  const attributes = { width: 8, maxWidth: 4 };

  function built(leaves: readonly Leaf[], residual: "x" | "other", element: "f32" | "f16" = "f32"): string[] {
    const b = new GraphBuilder({ differentiable: true });
    const inputs = {
      x: b.parameter("x", [ROWS, 8]),
      bank: b.parameter("bank", [SLOTS, adapterStride(8, 4)], element),
      slots: b.parameter("slots", [SLOTS, 4], "u32"),
      segments: b.input("segments", [SEGMENTS + 1], "u32"),
      segment_slots: b.input("segment_slots", [SEGMENTS], "u32"),
    };
    const other = residual === "x" ? inputs.x : b.parameter("other", [ROWS, 8]);
    const value = b.op(adapter, { ...inputs, residual: other }, attributes).y as Value;
    const gradients = backpropagate(b, [{ value, gradient: b.input("seed", value.type.shape) }], leaves);
    const wanted = [...gradients.values()].flatMap((parts) => parts.map((part) => part.value));
    return b
      .nodesOf(wanted)
      .flatMap((node) => (node.kind === "op" ? [`${node.label} ${Object.keys(node.outputs).join(" ")}`] : []));
  }

  test("of frozen weights one launch, which takes the skip along", () => {
    expect(built([{ parameter: "x" }], "x")).toEqual(["adapter-gradient dx"]);
    expect(built([{ parameter: "x" }], "other")).toEqual(["adapter-gradient dx"]);
    expect(built([{ parameter: "other" }], "other")).toEqual([]);
  });

  test("frozen weights of f16 give the gradient of rows, and are not trained", () => {
    expect(built([{ parameter: "x" }], "x", "f16")).toEqual(["adapter-gradient dx"]);
    expect(() => built([{ parameter: "bank", slot: 1 }], "x", "f16")).toThrow("a bank of f16 is not trained");
  });

  test("below the lowest adapter no gradient of rows", () => {
    expect(built([{ parameter: "bank", slot: 1 }], "x")).toEqual([
      "adapter-gradient dz u mask",
      "matmul-weight-gradient dw",
      "matmul-weight-gradient dw",
      "sum-rows y",
      "sum-rows y",
    ]);
  });

  test("a bank of several slots is not trained as a whole", () => {
    expect(() => built([{ parameter: "bank" }], "x")).toThrow("of a bank of several slots one is trained at a time");
  });
});
