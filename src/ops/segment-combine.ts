/** @file Two matrices combined by a weight per segment and group of columns: added, or one of them chosen. */

import { EngineError } from "../errors.ts";
import { elementCount, expectDim, expectTensor, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Op, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";
import { rowCopyLaunch, rowCopyVariants } from "./row-copy.ts";
import { expectCount } from "./segment-bank.ts";

/** Attributes of {@link segmentCombine}. */
export interface SegmentCombineAttributes extends Attributes {
  /** `add`: y = a + weight · b. `choose`: y = b where the weight is above 0.5, else a. */
  readonly mode: "add" | "choose";
}

/**
 * a?[R, D], b[R, D], weight[S, G], segments[S + 1] u32 -> y[R, D]. Column c takes weight[s, floor(c / (D / G))] of its row's
 * segment s; D is a multiple of G. In mode `add` an absent `a` counts as 0; in mode `choose` it is required, and the value not
 * chosen may be anything, NaN too.
 */
export const segmentCombine: Op<SegmentCombineAttributes> = {
  stem: "segment-combine",
  infer: (inputs, { mode }) => {
    if (mode !== "add" && mode !== "choose") {
      throw new EngineError("BAD_CONFIG", `segment-combine: mode is ${String(mode)}, expected add or choose`, {
        where: "segment-combine.mode",
      });
    }
    const { shape } = expectTensor("segment-combine", "b", inputs.b, 2);
    const width = staticDim("segment-combine", "b axis 1", shape[1]);
    if (inputs.a !== undefined || mode === "choose") {
      const a = expectTensor("segment-combine", "a", inputs.a, 2);
      expectDim("segment-combine", "a axis 0", a.shape[0], shape[0] as Dim);
      expectDim("segment-combine", "a axis 1", a.shape[1], width);
    }
    const weight = expectTensor("segment-combine", "weight", inputs.weight, 2);
    const groups = staticDim("segment-combine", "weight axis 1", weight.shape[1]);
    if (groups < 1 || width % groups !== 0) {
      const message = `segment-combine: b axis 1 is ${width}, expected a multiple of the ${groups} weights of a segment`;
      throw new EngineError("SHAPE", message, { where: "segment-combine.weight axis 1" });
    }
    const offsets = expectTensor("segment-combine", "segments", inputs.segments, 1, ["u32"]).shape[0] as Dim;
    if (typeof weight.shape[0] === "number") expectCount("segment-combine", offsets, weight.shape[0]);
    return { y: { shape: [shape[0] as Dim, width], element: "f32" } };
  },
  // A multiply-add per element; choosing is no arithmetic.
  cost: (call, size) => ({
    flops: call.attributes.mode === "add" ? 2 * elementCount(call.outputs.y as TensorType, size) : 0,
    bytes: trafficBytes(call, size),
  }),
  // Four values at a time share one weight.
  variants: ({ inputs, outputs }) =>
    rowCopyVariants((outputs.y?.shape[1] as number) / (inputs.weight?.shape[1] as number)),
  launch: ({ inputs, outputs, attributes }, variant) => {
    const [rows, width] = (outputs.y as TensorType).shape as readonly [Dim, number];
    const constants = {
      GROUPS: inputs.weight?.shape[1] as number,
      CHOOSE: attributes.mode === "choose",
      HAS_A: inputs.a !== undefined,
    };
    const uniform = { segments: segmentCount(inputs.segments as TensorType) };
    return [rowCopyLaunch({ kernel: "segment-combine", variant, width, rows, constants, uniform })];
  },
};
