/** @file The gradient of soft top-k: from that of its weights to that of its scores (MATHS §1.3). */

import { EngineError } from "../errors.ts";
import { elementCount, expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { expectSelection, segmentLaunch, selectionVariants } from "./per-segment.ts";
import { FLOPS_PER_TERM, checkSoftTopK, filledIn, paperUniform } from "./soft-top-k.ts";
import type { SoftTopKAttributes } from "./soft-top-k.ts";

const MOST_ITERATIONS = 64; // the unrolled iterations lie in workgroup memory
const EXACT_FLOPS = 6; // a product and two sums, then a difference, a product, a quotient

/**
 * scores[R], segments[S + 1], selected_segments[S + 1], gradient[R] of the weights -> ds[R]; with `mode: "exact"` also weights[R]
 * as the forward pass gave them (`paper` computes its iterations again and does not read them). Attributes as those of
 * `soft-top-k`, at most 64 iterations. `paper` is the derivative of the T unrolled iterations and moves saturated scores as
 * well; `exact` that of the optimum, 0 where the weight is 1. A segment with k = 0 or k >= n has gradient 0.
 */
export const softTopKGradient: Op<SoftTopKAttributes> = {
  stem: "soft-top-k-gradient",
  infer: (inputs, attributes) => {
    const stem = "soft-top-k-gradient";
    checkSoftTopK(stem, attributes);
    const { iterations, mode } = filledIn(attributes);
    if (mode === "paper" && iterations > MOST_ITERATIONS) {
      const message = `${stem}: iterations is ${iterations}, expected at most ${MOST_ITERATIONS}`;
      throw new EngineError("BAD_CONFIG", message, {
        where: `${stem}.iterations`,
        fix: 'use fewer iterations, or mode "exact"',
      });
    }
    const { shape } = expectSelection(stem, inputs);
    const rows = shape[0] as Dim;
    expectDim(stem, "gradient axis 0", expectTensor(stem, "gradient", inputs.gradient, 1).shape[0], rows);
    if (mode === "exact" || inputs.weights !== undefined) {
      expectDim(stem, "weights axis 0", expectTensor(stem, "weights", inputs.weights, 1).shape[0], rows);
    }
    return { ds: { shape, element: "f32" } };
  },
  cost: (call, size) => {
    const { mode, iterations } = filledIn(call.attributes);
    const perRow = mode === "exact" ? EXACT_FLOPS : FLOPS_PER_TERM * (2 * iterations + 2);
    return { flops: perRow * elementCount(call.outputs.ds as TensorType, size), bytes: trafficBytes(call, size) };
  },
  variants: (call, device, capacity) => selectionVariants(call, device, capacity),
  launch: ({ inputs, attributes }, variant) => {
    const segments = inputs.segments as TensorType;
    if (attributes.mode === "paper") {
      return [segmentLaunch("soft-top-k-gradient", variant, segments, paperUniform(attributes))];
    }
    const { epsilon } = attributes;
    return [segmentLaunch("soft-top-k-gradient.exact", variant, segments, { epsilon })];
  },
};
