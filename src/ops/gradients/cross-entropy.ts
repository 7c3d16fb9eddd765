/** @file ∂logits of cross-entropy: softmax less the wanted distribution. */

import { EngineError } from "../../errors.ts";
import type { CrossEntropyAttributes } from "../cross-entropy.ts";
import { crossEntropyGradient } from "../cross-entropy-gradient.ts";
import type { GradientRule } from "../gradient.ts";

/** Of `cross-entropy`. The normalizer is there for this gradient, and has none of its own. */
export const crossEntropyRule: GradientRule<CrossEntropyAttributes> = (b, call) => {
  const { logits, labels } = call.inputs;
  const dy = call.gradients.losses;
  if (dy === undefined || call.gradients.normalizer !== undefined)
    throw new EngineError("UNSUPPORTED", "cross-entropy: the gradient of normalizer is not built", {
      where: "cross-entropy.normalizer",
    });
  const inputs = { logits, labels, normalizer: call.outputs.normalizer, dy };
  return { logits: b.op(crossEntropyGradient, inputs, call.attributes).dlogits };
};
