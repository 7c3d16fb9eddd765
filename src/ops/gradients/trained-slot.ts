/** @file Which slot of a bank is trained. */

import { EngineError } from "../../errors.ts";
import type { BackwardCall } from "../gradient.ts";
import { inputOf } from "../gradient.ts";

/**
 * The slot of the input `bank` whose gradient is wanted; undefined where the bank is frozen.
 * @throws EngineError UNSUPPORTED for a bank of several slots that is trained as a whole, and for one of f16
 */
export function trainedSlot(op: string, call: Pick<BackwardCall, "inputs" | "wants" | "slotOf">): number | undefined {
  if (!call.wants("bank")) return undefined;
  const fail = (message: string): EngineError =>
    new EngineError("UNSUPPORTED", `${op}: ${message}`, { where: `${op}.bank` });
  const { element, shape } = inputOf(call, "bank").type;
  if (element !== "f32") throw fail(`a bank of ${element} is not trained; only f32 ones are`);
  const slot = call.slotOf("bank");
  if (slot !== null) return slot;
  if (shape[0] === 1) return 0;
  throw fail("of a bank of several slots one is trained at a time, and none is named");
}
