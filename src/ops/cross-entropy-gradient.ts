/** @file The gradient of cross-entropy by its logits. */

import { counted } from "./cost.ts";
import { expectLogits } from "./cross-entropy.ts";
import type { CrossEntropyAttributes } from "./cross-entropy.ts";
import { elementCount, expectDim, expectTensor, trafficBytes } from "./op.ts";
import type { Dim, Op, TensorType } from "./op.ts";
import { rowShareLaunch, rowShareVariants, valuesAtOnce } from "./row-share.ts";

const STEM = "cross-entropy-gradient";
const FLOPS_PER_LOGIT = 6; // two differences, an exponential, a product, a difference, a product

/**
 * logits[R, C], labels[R] u32, normalizer[R, 2] as `cross-entropy` gave it, dy[R] -> dlogits[R, C] =
 * dy (softmax(logits) − (1 − ε) · one-hot − ε / C), zeros where the label is no class.
 */
export const crossEntropyGradient: Op<CrossEntropyAttributes> = {
  stem: STEM,
  infer: (inputs, attributes) => {
    const [rows, width] = expectLogits(STEM, inputs, attributes);
    const { shape } = expectTensor(STEM, "normalizer", inputs.normalizer, 2);
    expectDim(STEM, "normalizer axis 0", shape[0], rows);
    expectDim(STEM, "normalizer axis 1", shape[1], 2);
    expectDim(STEM, "dy axis 0", expectTensor(STEM, "dy", inputs.dy, 1).shape[0], rows);
    return { dlogits: { shape: [rows, width], element: "f32" } };
  },
  cost: (call, size) =>
    counted(
      { softmax: FLOPS_PER_LOGIT * elementCount(call.outputs.dlogits as TensorType, size) },
      trafficBytes(call, size),
    ),
  variants: ({ outputs }, device) => {
    const width = outputs.dlogits?.shape[1] as number;
    return rowShareVariants(device, width / valuesAtOnce(width));
  },
  launch: ({ outputs, attributes }, variant) => {
    const [rows, width] = (outputs.dlogits as TensorType).shape as readonly [Dim, number];
    const uniform = { smoothing: attributes.labelSmoothing ?? 0 };
    const values = valuesAtOnce(width);
    return [rowShareLaunch({ kernel: STEM, variant, rows, values, constants: { WIDTH: width }, uniform })];
  },
};
