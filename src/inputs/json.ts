/** @file JSON files whose top level is an object. */

import { EngineError } from "../errors.ts";

/** A parsed JSON object of which nothing is known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Parses a JSON object. @throws EngineError `BAD_FILE` for anything else. */
export function parseObject(text: string, where: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw new EngineError("BAD_FILE", `${where} is not JSON`, { where, fix: "Fetch the file again.", cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new EngineError("BAD_FILE", `${where} is not a JSON object`, { where, fix: "Fetch the file again." });
  }
  return value as JsonObject;
}
