/** @file The gradient rule of `segment-gate`: all gates of a slot and some, one slot trained, all frozen. */

import { expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Value } from "../../src/graph/value.ts";
import { segmentGate } from "../../src/ops/segment-gate.ts";
import type { SegmentGateAttributes } from "../../src/ops/segment-gate.ts";
import { checkGradient } from "./check-gradient.ts";
import type { GradientCase } from "./check-gradient.ts";
import { ROWS, SEGMENTS, SLOTS, tables, weights } from "./segment-sources.ts";

function caseOf(width: number, stride: number, attributes: SegmentGateAttributes): GradientCase {
  return {
    sources: { x: weights(1, ROWS, width), bank: weights(2, SLOTS, stride), ...tables() },
    leaves: [{ parameter: "x" }, { parameter: "bank", slot: 1 }],
    build: (b, values) => [b.op(segmentGate, values, attributes).y as Value],
  };
}

test.each<[number, number, SegmentGateAttributes]>([
  [5, 6, { gates: 1 }],
  [8, 20, { gates: 2 }],
  [8, 27, { gates: 2, firstGate: 1, slotGates: 3 }],
  [3, 13, { gates: 1, firstGate: 2, slotGates: 3 }],
])("width %i, slots of %i, %o", async (width, stride, attributes) => {
  await checkGradient(caseOf(width, stride, attributes));
  await checkGradient({ ...caseOf(width, stride, attributes), leaves: [{ parameter: "bank", slot: 0 }] });
});

test("of a frozen bank nothing but the way back of the rows is built", () => {
  const b = new GraphBuilder({ differentiable: true });
  const inputs = {
    x: b.parameter("x", [ROWS, 8]),
    bank: b.parameter("bank", [SLOTS, 12]),
    segments: b.input("segments", [SEGMENTS + 1], "u32"),
    segment_slots: b.input("segment_slots", [SEGMENTS], "u32"),
  };
  const value = b.op(segmentGate, inputs, { gates: 1 }).y as Value;
  const [part] =
    backpropagate(b, [{ value, gradient: b.input("seed", value.type.shape) }], [{ parameter: "x" }]).get("x") ?? [];
  const built = b.nodesOf(part === undefined ? [] : [part.value]).filter(({ kind }) => kind === "op");
  expect(built.map(({ label }) => label)).toEqual(["segment-gate-gradient"]);
  expect(Object.keys(built[0]?.outputs ?? {})).toEqual(["dx"]);
});
