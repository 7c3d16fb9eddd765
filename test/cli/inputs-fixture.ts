/** @file Input files of a run in a test: read with nothing said about them, and refused. */

import { expect } from "vitest";
import { readInputs } from "../../src/cli/run/inputs.ts";
import type { InputOptions } from "../../src/cli/run/options.ts";
import { EngineError } from "../../src/errors.ts";
import type { HostInput } from "../../src/hosts/host.ts";

const UNSAID: Omit<InputOptions, "path"> = {
  column: undefined,
  limit: undefined,
  skipLong: false,
  clips: undefined,
  sampleRate: undefined,
  crop: undefined,
};

/** Reads a file for a model that takes `input`, with the options that `said` gives and no others. */
export function inputsOf(
  path: string,
  input: HostInput,
  said: Partial<InputOptions> = {},
): ReturnType<typeof readInputs> {
  return readInputs({ path, ...UNSAID, ...said }, input);
}

/** Expects one error with this code and message. */
export async function expectRefused(reading: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error: unknown = await reading.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EngineError);
  expect((error as EngineError).message).toMatch(message);
  expect((error as EngineError).code).toBe(code);
}
