/** @file Activation functions in float64, and the error function that the exact GELU needs. */

import { EngineError } from "../errors.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `activation`. */
export function activation(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("activation", inputs, "x");
  const kind = String(attributes.kind);
  return { y: { shape: x.shape, data: Float64Array.from(x.data, (value) => activate(kind, value)) } };
}

/**
 * An activation function by its name in configuration files (MATHS §0.3).
 * @throws EngineError UNSUPPORTED for an unknown name
 */
export function activate(name: string, x: number): number {
  switch (name) {
    case "identity":
      return x;
    case "relu":
      return Math.max(x, 0);
    case "gelu":
      return (x / 2) * erfc(-x / Math.SQRT2);
    case "gelu_new":
      return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    case "silu":
    case "swish":
      return x * sigmoid(x);
    case "quick_gelu":
      return x * sigmoid(1.702 * x);
    case "tanh":
      return Math.tanh(x);
    case "sigmoid":
      return sigmoid(x);
    case "leakyrelu":
      return x > 0 ? x : 0.01 * x;
    default:
      throw new EngineError("UNSUPPORTED", `unknown activation ${name}`, { where: name });
  }
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

// Both expansions are good to 1e-15 here: the series has only positive terms, the fraction has converged long before.
const SWITCH = 2;
const FRACTION_TERMS = 100;

/** The error function, absolute error about 1e-16. */
export function erf(x: number): number {
  const a = Math.abs(x);
  const value = a < SWITCH ? series(a) : 1 - tail(a);
  return x < 0 ? -value : value;
}

/** 1 - erf(x), with full relative accuracy above 0. */
export function erfc(x: number): number {
  if (x >= SWITCH) return tail(x);
  if (x <= -SWITCH) return 2 - tail(-x);
  return 1 - erf(x);
}

/** erf(x) = 2/√π e^(-x²) Σ 2ⁿ x^(2n+1) / (1·3·5…(2n+1)). */
function series(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-17; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** erfc(x) = e^(-x²)/√π / (x + (1/2)/(x + 1/(x + (3/2)/(x + …)))). */
function tail(x: number): number {
  let fraction = x;
  for (let n = FRACTION_TERMS; n > 0; n -= 1) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}
