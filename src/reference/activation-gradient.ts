/** @file Derivatives of the activation functions in float64. */

import { EngineError } from "../errors.ts";
import { erfc } from "./activation.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `activation-gradient`. */
export function activationGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("activation-gradient", inputs, "x");
  const { data } = needTensor("activation-gradient", inputs, "dy");
  const kind = String(attributes.kind);
  const dx = Float64Array.from(x.data, (value, i) => (data[i] as number) * activationSlope(kind, value));
  return { dx: { shape: x.shape, data: dx } };
}

/**
 * The derivative of an activation function by its name; 0 of relu and 0.01 of leakyrelu at 0.
 * @throws EngineError UNSUPPORTED for an unknown name
 */
export function activationSlope(name: string, x: number): number {
  switch (name) {
    case "identity":
      return 1;
    case "relu":
      return x > 0 ? 1 : 0;
    case "gelu":
      return erfc(-x / Math.SQRT2) / 2 + (x * Math.exp(-(x ** 2) / 2)) / Math.sqrt(2 * Math.PI);
    case "gelu_new":
      return newGeluSlope(x);
    case "silu":
    case "swish":
      return siluSlope(x);
    case "quick_gelu":
      return siluSlope(1.702 * x);
    case "tanh":
      return 4 * sigmoidSlope(2 * x);
    case "sigmoid":
      return sigmoidSlope(x);
    case "leakyrelu":
      return x > 0 ? 1 : 0.01;
    default:
      throw new EngineError("UNSUPPORTED", `unknown activation ${name}`, { where: name });
  }
}

/** x/2 (1 + tanh z) with z = √(2/π) (x + 0.044715 x³): (1 + tanh z) / 2 + x/2 z' / cosh² z. Past 20 nothing changes in float64. */
function newGeluSlope(value: number): number {
  const x = Math.max(-20, Math.min(20, value));
  const z = Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  const inner = Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2);
  return (1 + Math.tanh(z)) / 2 + 2 * x * inner * sigmoidSlope(2 * z);
}

/** s + x s' of the logistic function s; past 800 e⁻ˣ is 0. */
function siluSlope(value: number): number {
  const x = Math.max(-800, Math.min(800, value));
  return 1 / (1 + Math.exp(-x)) + x * sigmoidSlope(x);
}

/** s (1 − s) of the logistic function s, without the difference. */
function sigmoidSlope(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return e / (1 + e) ** 2;
}
