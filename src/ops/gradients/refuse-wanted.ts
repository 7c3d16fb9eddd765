/** @file Inputs that an op reads as given, and whose gradient is not built. */

import { EngineError } from "../../errors.ts";
import type { BackwardCall } from "../gradient.ts";

/** Throws UNSUPPORTED where the gradient of one of these inputs is wanted. */
export function refuseWanted(op: string, { wants }: Pick<BackwardCall, "wants">, ...inputs: readonly string[]): void {
  for (const input of inputs) {
    if (wants(input))
      throw new EngineError("UNSUPPORTED", `${op}: the gradient of ${input} is not built`, { where: `${op}.${input}` });
  }
}
