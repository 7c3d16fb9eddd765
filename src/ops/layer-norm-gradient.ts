/** @file The gradient of `layer-norm` in its plain form: ∂x = (g − mean g − x̂ mean(g x̂)) / √(var + eps) with g = γ ∂y. */

import type { Op } from "./op.ts";
import { rowNormGradient } from "./row-norm-gradient.ts";
import type { NormGradientAttributes } from "./row-norm-gradient.ts";

/** x, gamma, dy, residual? -> dx; with `affine` also dgamma = Σ ∂y x̂ and dbeta = Σ ∂y. */
export const layerNormGradient: Op<NormGradientAttributes> = rowNormGradient({
  stem: "layer-norm-gradient",
  centred: true,
  flops: 17,
  affineFlops: 6,
});
