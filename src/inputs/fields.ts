/** @file Reading the fields of a parsed JSON value: each is checked where it is taken, and fields left over are refused. */

import { EngineError } from "../errors.ts";

/** An object with string keys, as JSON gives it. */
export type JsonFields = Readonly<Record<string, unknown>>;

function shown(value: unknown): string {
  return JSON.stringify(value) ?? "missing";
}

/** @throws EngineError BAD_CONFIG that names the field, what is there and what is expected */
export function refuseField(where: string, value: unknown, expected: string): never {
  throw new EngineError("BAD_CONFIG", `${where} is ${shown(value)}, expected ${expected}`, { where });
}

/**
 * @returns the object, whose fields are all among the known ones
 * @throws EngineError BAD_CONFIG listing unknown fields
 */
export function objectField(value: unknown, where: string, known: readonly string[] | null): JsonFields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) refuseField(where, value, "an object");
  if (known === null) return value as JsonFields;
  const unknown = Object.keys(value).filter((name) => !known.includes(name));
  if (unknown.length === 0) return value as JsonFields;
  const message = `${where} has the unknown field ${unknown.map(shown).join(", ")}; known: ${known.join(", ")}`;
  throw new EngineError("BAD_CONFIG", message, { where });
}

/**
 * Reads a configuration; what is refused without a word about what to do names the page that has every field.
 * @param page a file of docs/
 */
export function documented<T>(page: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof EngineError) || error.fix !== "") throw error;
    const { code, message, where } = error;
    throw new EngineError(code, message, { where, fix: `see docs/${page} for every field`, cause: error });
  }
}

/** @returns a text that is not empty */
export function textField(value: unknown, where: string): string {
  return typeof value === "string" && value !== "" ? value : refuseField(where, value, "a text");
}

/** @returns the text, or null where the field is absent or null */
export function optionalText(value: unknown, where: string): string | null {
  return value === undefined || value === null ? null : textField(value, where);
}

/** @returns a whole number of at least `low` */
export function wholeField(value: unknown, where: string, low: number): number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= low
    ? value
    : refuseField(where, value, `a whole number from ${low}`);
}

/** @returns a finite number of at least `low` */
export function numberField(value: unknown, where: string, low: number = -Infinity): number {
  const expected = low === -Infinity ? "a number" : `a number of at least ${low}`;
  return typeof value === "number" && Number.isFinite(value) && value >= low
    ? value
    : refuseField(where, value, expected);
}

/** @returns what `read` makes of the field, or null where it is absent or null */
export function optionalField<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): T | null {
  return value === undefined || value === null ? null : read(value, where);
}

/** @returns true or false */
export function flagField(value: unknown, where: string): boolean {
  return typeof value === "boolean" ? value : refuseField(where, value, "true or false");
}

/** @returns one of the known words */
export function wordField<T extends string>(value: unknown, where: string, known: readonly T[]): T {
  return known.includes(value as T) ? (value as T) : refuseField(where, value, `one of ${known.join(", ")}`);
}

/** @returns a list that is not empty and names nothing twice, each entry read by `one` */
export function listField<T>(value: unknown, where: string, one: (value: unknown, where: string) => T): T[] {
  if (!Array.isArray(value) || value.length === 0) refuseField(where, value, "a list with at least one entry");
  const list = (value as readonly unknown[]).map((entry, index) => one(entry, `${where}[${index}]`));
  const texts = list.map((entry) => JSON.stringify(entry));
  const twice = texts.findIndex((text, index) => texts.indexOf(text) < index);
  if (twice >= 0) refuseField(`${where}[${twice}]`, list[twice], "every entry once");
  return list;
}
