/** @file An error that lists what does not fit, as a record for JSON. */

import type { EngineError } from "../../errors.ts";

/** @returns the error with its list of problems apart. */
export function problemsOf(error: EngineError): Record<string, unknown> {
  const [first = "", ...problems] = error.message.split("\n").map((line) => line.trim());
  return { code: error.code, message: first, problems, fix: error.fix, where: error.where };
}
