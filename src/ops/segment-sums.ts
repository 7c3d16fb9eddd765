/** @file The sums of the rows of every segment: gradients of what was one value per segment, or per slot of a bank. */

import { EngineError } from "../errors.ts";
import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { itemLibrary } from "./row-launch.ts";

/** Attributes of {@link segmentSums}. */
export interface SegmentSumsAttributes extends Attributes {
  /** Only segments that name this slot are summed up, the others give 0; all of them when absent. */
  readonly slot?: number;
}

const STEM = "segment-sums";
/** Rows whose sum one invocation forms: enough to make such sums few, few enough that one long segment fills a GPU. */
const BLOCK = 32;

/**
 * x[R, D], factor?[R, D], segments[S + 1] u32, like[S, …] of any element type -> y[S, D] = Σ x[r] ⊙ factor[r], or Σ x[r], over the
 * rows r of segment s. With `slot`, `like` is segment_slots[S] u32; otherwise it is read for its first axis only. In a fixed order
 * within a segment, by two launches. Rows of segments that are left out are not read.
 */
export const segmentSums: Op<SegmentSumsAttributes> = {
  stem: STEM,
  infer: ({ x, factor, segments, like }, { slot }) => {
    const { shape } = expectTensor(STEM, "x", x, 2);
    const width = staticDim(STEM, "x axis 1", shape[1]);
    if (factor !== undefined) {
      const other = expectTensor(STEM, "factor", factor, 2);
      expectDim(STEM, "factor axis 0", other.shape[0], shape[0] as Dim);
      expectDim(STEM, "factor axis 1", other.shape[1], width);
    }
    expectTensor(STEM, "segments", segments, 1, ["u32"]);
    if (slot !== undefined) expectSlot(slot, like);
    const rank = Math.max(like?.shape.length ?? 0, 1);
    const count = expectTensor(STEM, "like", like, rank, ["f32", "u32", "f16"]).shape[0] as Dim;
    return { y: { shape: [count, width], element: "f32" } };
  },
  // Which segments take part is run-time data: every row counts.
  cost: ({ inputs, outputs, attributes }, size) => {
    const { like, ...others } = inputs;
    const read = attributes.slot === undefined ? others : { ...others, like: like as TensorType };
    const perElement = inputs.factor === undefined ? 1 : 2;
    const flops = perElement * elementCount(inputs.x as TensorType, size);
    return counted({ other: flops }, trafficBytes({ inputs: read, outputs, attributes: {} }, size));
  },
  variants: () => ["blocks"],
  launch: ({ inputs, attributes: { slot } }, _, __, capacity) => {
    const [rows, width] = (inputs.x as TensorType).shape as readonly [Dim, number];
    const libs = [itemLibrary(width)];
    const items = width / (width % 4 === 0 ? 4 : 1);
    const segments = segmentCount(inputs.segments as TensorType);
    const tiles = (size: SizeOf): number => (size(rows) === 0 ? 0 : Math.floor(size(rows) / BLOCK) + segments(size));
    const constants = { WIDTH: width, BLOCK, HAS_SLOT: slot !== undefined };
    const uniform = { segments, trained: slot ?? 0 };
    const shared = { libs, scratch: { partials: Math.max(tiles(capacity), 1) * width } };
    const blocks = flatLaunch({
      kernel: STEM,
      items: (size) => tiles(size) * items,
      constants: { ...constants, HAS_FACTOR: inputs.factor !== undefined },
      uniform: { ...uniform, tiles },
    });
    const join = flatLaunch({ kernel: `${STEM}.join`, items: (size) => segments(size) * items, constants, uniform });
    return [
      { ...blocks, ...shared },
      { ...join, ...shared },
    ];
  },
};

function expectSlot(slot: number, like: TensorType | undefined): void {
  expectTensor(STEM, "like", like, 1, ["u32"]);
  if (Number.isInteger(slot) && slot >= 0) return;
  throw new EngineError("BAD_CONFIG", `${STEM}: slot is ${slot}, expected a whole number from 0`, {
    where: `${STEM}.slot`,
  });
}
