/** @file Stochastic gradient descent with momentum in float64. */

import { copyOf, forTrained } from "./optimizer-step.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `sgd`. */
export function sgd(inputs: ReferenceTensors): Record<string, ReferenceTensor> {
  const [weights, first] = [copyOf("sgd", inputs, "weights"), copyOf("sgd", inputs, "first")];
  const momentum = needTensor("sgd", inputs, "settings").data[1] as number;
  forTrained("sgd", inputs, ({ at, weight, gradient, rate, decay }) => {
    const w = weights.data[weight] as number;
    const m = momentum * (first.data[at] as number) + gradient + decay * w;
    first.data[at] = m;
    weights.data[weight] = w - rate * m;
  });
  return { weights, first };
}
