/** @file The way back through the middle of a folded AdapterFusion: gradients of its bottlenecks and of its folded scores. */

import { ACTIVATION_FLOPS } from "./activation.ts";
import { counted } from "./cost.ts";
import { fusionColumns, fusionLaunch, fusionRecordWords, fusionVariants, inferFusion } from "./fusion.ts";
import type { FusionAttributes } from "./fusion.ts";
import { expectDim, expectTensor } from "./op.ts";
import type { Dim, Op } from "./op.ts";

/** Attributes of {@link fusionGradient}: those of the fusion, and what is wanted. */
export interface FusionGradientAttributes extends FusionAttributes {
  /** dhidden is wanted. */
  readonly hidden: boolean;
}

const STEM = "fusion-gradient";
/** Of every unit its products with score and dy, and with the score's gradient; of the softmax of an adapter and its gradient. */
const FLOPS = { unit: 5, back: 4, adapter: 10 };

/**
 * hidden, score, table and factor of `fusion`, dy[R, {@link fusionColumns}] the gradient of its y -> dscore[R, {@link fusionColumns}] =
 * [g_1 u_1 … g_N u_N, g_1 … g_N, 0 …], g the gradient of a score, and with `hidden` dhidden[R, N B] = act'(hidden) ⊙ (p dy + g score).
 * Units and weights are computed again. 0 in units past an active width and of adapters that are pruned. The weights' own gradient is
 * not asked for: y holds them too.
 */
export const fusionGradient: Op<FusionGradientAttributes> = {
  stem: STEM,
  infer: ({ dy, ...inputs }, attributes) => {
    const { adapters, width } = attributes;
    const { rows } = inferFusion(STEM, inputs, attributes);
    const columns = fusionColumns(adapters, width);
    const gradient = expectTensor(STEM, "dy", dy, 2);
    expectDim(STEM, "dy axis 0", gradient.shape[0], rows);
    expectDim(STEM, "dy axis 1", gradient.shape[1], columns);
    return {
      dscore: { shape: [rows, columns], element: "f32" },
      ...(attributes.hidden ? { dhidden: { shape: [rows, adapters * width], element: "f32" } } : {}),
    };
  },
  cost: ({ inputs, attributes: { adapters, width, hidden } }, size) => {
    const rows = size(inputs.hidden?.shape[0] as Dim);
    const units = adapters * width;
    const back = hidden ? FLOPS.back + ACTIVATION_FLOPS : 0;
    const factors = inputs.factor === undefined ? 0 : adapters;
    const words = 2 * units + adapters + 2 * fusionColumns(adapters, width) + (hidden ? units : 0) + factors;
    return counted(
      { softmax: rows * adapters * FLOPS.adapter, other: rows * units * (FLOPS.unit + back) },
      4 * (rows * words + fusionRecordWords(adapters)),
    );
  },
  variants: ({ attributes: { adapters, width } }, device) => fusionVariants(adapters * (2 * width + 8), device),
  launch: (call, variant, device) => {
    const launch = fusionLaunch(STEM, call, variant, device);
    return [{ ...launch, constants: { ...launch.constants, HAS_DHIDDEN: call.attributes.hidden } }];
  },
};
