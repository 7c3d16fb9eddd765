/** @file What the tests of the readers say about errors. */

import { expect } from "vitest";

import { EngineError } from "../../src/errors.ts";
import type { ErrorCode } from "../../src/errors.ts";

/** Runs `action`, which must throw an EngineError of this code whose message matches; returns it. */
export function expectError(action: () => unknown, code: ErrorCode, message: RegExp): EngineError {
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  return checkError(thrown, code, message);
}

/** The same for a promise. */
export async function expectRejection(
  promise: Promise<unknown>,
  code: ErrorCode,
  message: RegExp,
): Promise<EngineError> {
  return checkError(
    await promise.then(
      () => undefined,
      (error: unknown) => error,
    ),
    code,
    message,
  );
}

function checkError(error: unknown, code: ErrorCode, message: RegExp): EngineError {
  if (!(error instanceof EngineError)) throw new Error(`an EngineError was expected, not ${String(error)}`);
  expect(error.code).toBe(code);
  expect(error.message).toMatch(message);
  expect(error.fix).not.toBe("");
  return error;
}
