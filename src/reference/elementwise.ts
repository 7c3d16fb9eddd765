/** @file Arithmetic on elements in float64. */

import { EngineError } from "../errors.ts";
import { needTensor } from "./rows.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `elementwise`. */
export function elementwise(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const a = needTensor("elementwise", inputs, "a");
  const apply = operation(String(attributes.operation));
  const b = inputs.b?.data ?? [];
  // A row vector or a single value repeats; a b of a's shape has a's length.
  const y = Float64Array.from(a.data, (value, i) => apply(value, Number(b[i % Math.max(b.length, 1)])));
  return { y: { shape: a.shape, data: y } };
}

function operation(name: string): (a: number, b: number) => number {
  switch (name) {
    case "add":
      return (a, b) => a + b;
    case "sub":
      return (a, b) => a - b;
    case "mul":
      return (a, b) => a * b;
    case "max":
      return Math.max;
    case "div":
      return (a, b) => a / b;
    case "hypot":
      return (a, b) => Math.sqrt(a * a + b * b);
    case "log":
      return (a) => Math.log(a);
    case "sqrt":
      return (a) => Math.sqrt(a);
    default:
      throw new EngineError("UNSUPPORTED", `unknown elementwise operation ${name}`, { where: name });
  }
}
