/**
 * @file y = [p u, p], p = softmax(score · u + offset), u = act(hidden) (MATHS §2.4 folded): gradients of hidden and score from one launch
 * that computes u and p again.
 */

import { EngineError } from "../../errors.ts";
import { fusionGradient } from "../fusion-gradient.ts";
import { fusionColumns } from "../fusion.ts";
import type { FusionAttributes } from "../fusion.ts";
import type { GradientRule } from "../gradient.ts";
import { inputOf } from "../gradient.ts";

function unsupported(message: string, where: string): EngineError {
  return new EngineError("UNSUPPORTED", `fusion: ${message}`, { where: `fusion.${where}` });
}

/**
 * Of `fusion`, with hidden and score as values of their own. Factors are constants.
 * @throws EngineError UNSUPPORTED for hidden and score in one value, and for a loss of the weights, which y holds as well
 */
export const fusionRule: GradientRule<FusionAttributes> = (b, call) => {
  const { adapters, width, scoreAt = 0 } = call.attributes;
  const { y: dy, weights } = call.gradients;
  if (weights !== undefined || dy === undefined)
    throw unsupported("no gradient goes back from its weights; use those in the last columns of y", "weights");
  const [hidden, score] = [inputOf(call, "hidden"), inputOf(call, "score")];
  const apart = hidden.type.shape[1] === adapters * width && score.type.shape[1] === fusionColumns(adapters, width);
  if (!apart || scoreAt !== 0)
    throw unsupported("no gradient goes back to hidden and score in one value; build two products", "score");
  const wanted = call.wants("hidden");
  if (!wanted && !call.wants("score")) return {};
  const outputs = b.op(fusionGradient, { ...call.inputs, dy }, { ...call.attributes, hidden: wanted });
  return { score: outputs.dscore, ...(wanted ? { hidden: outputs.dhidden } : {}) };
};
