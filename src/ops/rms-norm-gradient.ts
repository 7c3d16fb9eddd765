/** @file The gradient of `rms-norm` in its plain form: ∂x = (g − x̂ mean(g x̂)) / √(mean x² + eps) with g = γ ∂y. */

import type { Op } from "./op.ts";
import { rowNormGradient } from "./row-norm-gradient.ts";
import type { NormGradientAttributes } from "./row-norm-gradient.ts";

/** x, gamma, dy, residual? -> dx; with `affine` also dgamma = Σ ∂y x̂. */
export const rmsNormGradient: Op<NormGradientAttributes> = rowNormGradient({
  stem: "rms-norm-gradient",
  centred: false,
  flops: 9,
  affineFlops: 3,
});
