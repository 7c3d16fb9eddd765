/** @file AdamW in float64. */

import { copyOf, forTrained } from "./optimizer-step.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `adamw`. */
export function adamw(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const [weights, first, second] = ["weights", "first", "second"].map((name) => copyOf("adamw", inputs, name)) as [
    ReferenceTensor & { data: Float64Array },
    ReferenceTensor & { data: Float64Array },
    ReferenceTensor & { data: Float64Array },
  ];
  const [, beta1, beta2, epsilon] = needTensor("adamw", inputs, "settings").data as Float64Array;
  forTrained("adamw", inputs, ({ at, weight, gradient, rate, decay, corrections: [correction1, correction2] }) => {
    const m = (beta1 as number) * (first.data[at] as number) + (1 - (beta1 as number)) * gradient;
    const v = (beta2 as number) * (second.data[at] as number) + (1 - (beta2 as number)) * gradient ** 2;
    first.data[at] = m;
    second.data[at] = v;
    const step = m / correction1 / (Math.sqrt(v / correction2) + (epsilon as number));
    const w = weights.data[weight] as number;
    weights.data[weight] = w - rate * (decay * w + step);
  });
  return { weights, first, second };
}
