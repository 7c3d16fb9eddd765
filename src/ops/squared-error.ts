/** @file Squared differences of predictions and targets, some of which may be missing. */

import { counted } from "./cost.ts";
import { flatLaunch } from "./item-launch.ts";
import { expectShape } from "./loss-inputs.ts";
import { elementCount, expectTensor, trafficBytes } from "./op.ts";
import type { Op, SizeOf, TensorType } from "./op.ts";

/** predictions and targets of one shape -> losses of it = (predictions − targets)². A target that is NaN is missing: its loss is 0. */
export const squaredError: Op = {
  stem: "squared-error",
  infer: ({ predictions, targets }) => {
    const { shape } = expectTensor("squared-error", "predictions", predictions, predictions?.shape.length ?? 0);
    expectShape("squared-error", "targets", targets, shape);
    return { losses: { shape, element: "f32" } };
  },
  cost: (call, size) =>
    counted({ other: 2 * elementCount(call.outputs.losses as TensorType, size) }, trafficBytes(call, size)),
  variants: () => ["item"],
  launch: ({ outputs }) => {
    const items = (size: SizeOf): number => elementCount(outputs.losses as TensorType, size);
    return [flatLaunch({ kernel: "squared-error", items, uniform: { items } })];
  },
};
