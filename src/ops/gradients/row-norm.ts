/** @file What the rules of `layer-norm` and `rms-norm` share: ∂x of the plain form, ∂γ = Σ ∂y x̂, ∂β = Σ ∂y. */

import { EngineError } from "../../errors.ts";
import type { GradientRule } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import type { Op } from "../op.ts";
import type { NormGradientAttributes } from "../row-norm-gradient.ts";
import type { NormAttributes } from "../row-norm.ts";
import { sumRows } from "../sum-rows.ts";

/** Inputs of the plain form. The others come with fusions, which are done after differentiation. */
const PLAIN: ReadonlySet<string> = new Set(["x", "gamma", "beta"]);

/** @returns the rule of the norm with this stem, whose gradient this op is. */
export function rowNormRule(stem: string, gradient: Op<NormGradientAttributes>): GradientRule<NormAttributes> {
  return (b, call) => {
    const fused = Object.keys(call.inputs).filter((role) => !PLAIN.has(role));
    if (fused.length > 0)
      throw new EngineError("UNSUPPORTED", `${stem}: the gradient of the form with ${fused.join(", ")} is not built`, {
        where: `${stem}.${fused[0]}`,
      });
    const dy = gradientOf(call);
    const affine = call.wants("gamma");
    const bias = (): Readonly<Record<string, typeof dy | undefined>> =>
      call.wants("beta") ? { beta: b.op(sumRows, { x: dy }, {}).y } : {};
    if (!affine && !call.wants("x")) return bias();
    const { eps } = call.attributes;
    const inputs = { x: inputOf(call, "x"), gamma: inputOf(call, "gamma"), dy };
    const { dx, dgamma, dbeta } = b.op(gradient, inputs, affine ? { eps, affine } : { eps });
    return affine ? { x: dx, gamma: dgamma, beta: dbeta } : { x: dx, ...bias() };
  };
}
