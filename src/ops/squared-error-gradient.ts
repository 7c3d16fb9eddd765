/** @file The gradient of squared differences by the predictions. */

import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { expectShape } from "./loss-inputs.ts";
import { elementCount, expectTensor, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

const STEM = "squared-error-gradient";

/** predictions, targets and dy of one shape -> dpredictions of it = 2 dy (predictions − targets), 0 where the target is NaN. */
export const squaredErrorGradient: Op = {
  stem: STEM,
  infer: ({ predictions, targets, dy }) => {
    const { shape } = expectTensor(STEM, "predictions", predictions, predictions?.shape.length ?? 0);
    expectShape(STEM, "targets", targets, shape);
    expectShape(STEM, "dy", dy, shape);
    return { dpredictions: { shape, element: "f32" } };
  },
  cost: (call, size) =>
    counted({ other: 3 * elementCount(call.outputs.dpredictions as TensorType, size) }, trafficBytes(call, size)),
  variants: () => ["item"],
  launch: ({ outputs }) => {
    const items = (size: SizeOf): number => elementCount(outputs.dpredictions as TensorType, size);
    return [flatLaunch({ kernel: STEM, items, uniform: { items } })];
  },
};
