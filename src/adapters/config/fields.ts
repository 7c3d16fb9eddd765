/** @file Reading untrusted fields: a table of fields per method, each with its type, its default and its refusal. */

import { EngineError } from "../../errors.ts";
import { activationCodes } from "../../ops/activation.ts";
import type { ActivationName } from "../../ops/activation.ts";

/** One field: `parse` gives undefined for a value that is not legal; without a fallback the field is required. */
export interface Field<T> {
  readonly expected: string;
  readonly parse: (value: unknown) => T | undefined;
  readonly fallback?: T;
}

/** The fields of a configuration. */
export type Fields<C> = { readonly [K in keyof C]-?: Field<C[K]> };

/** A JSON object from outside. */
export type RawConfig = Readonly<Record<string, unknown>>;

/** @returns the error for one field, ready to throw. */
export function badField(where: string, problem: string, fix: string): EngineError {
  return new EngineError("BAD_CONFIG", `adapter config: ${where} ${problem}`, { where, fix });
}

/** @returns the error for something that the engine leaves out on purpose. */
export function unsupported(where: string, problem: string, fix: string): EngineError {
  return new EngineError("UNSUPPORTED", `adapter config: ${where} ${problem}`, { where, fix });
}

/** A JSON object, not an array and not null. */
export function isObject(value: unknown): value is RawConfig {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Values that say "not used", whatever the field means. */
function isUnset(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return isObject(value) && Object.keys(value).length === 0;
}

/**
 * Reads a method's fields. Missing fields take their fallback; unknown ones are left alone unless they are set.
 * @param path what stands before a field's name in errors: "" or `configs.1.`
 * @throws EngineError BAD_CONFIG naming the unknown, missing or ill-typed fields
 */
export function readFields<C>(raw: RawConfig, fields: Fields<C>, path: string): C {
  const known = Object.keys(fields) as (keyof C & string)[];
  const unknown = Object.keys(raw).filter((name) => !Object.hasOwn(fields, name) && !isUnset(raw[name]));
  if (unknown.length > 0) {
    const names = unknown.map((name) => path + name).join(", ");
    throw badField(names, "is set but not known for this method", `remove it; known fields: ${known.join(", ")}`);
  }
  const given = (name: string): unknown => (Object.hasOwn(raw, name) ? raw[name] : undefined);
  const missing = known.filter((name) => given(name) === undefined && !("fallback" in fields[name]));
  if (missing.length > 0) {
    const names = missing.map((name) => path + name).join(", ");
    throw badField(names, "is missing and has no default", "add it, or start from a preset such as seq_bn");
  }
  const entries = known.map((name) => {
    const { expected, parse, fallback } = fields[name];
    const value = given(name);
    const parsed = value === undefined ? fallback : parse(value);
    if (parsed !== undefined) return [name, parsed] as const;
    throw badField(path + name, `is ${show(value)}`, `give ${expected}`);
  });
  return Object.fromEntries(entries) as C;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function field<T>(
  expected: string,
  parse: (value: unknown) => T | undefined,
  fallback: readonly [] | readonly [T],
): Field<T> {
  return fallback.length === 0 ? { expected, parse } : { expected, parse, fallback: fallback[0] };
}

/** true or false. */
export function flag(...fallback: [] | [boolean]): Field<boolean> {
  return field("true or false", (value) => (typeof value === "boolean" ? value : undefined), fallback);
}

/** A finite number. */
export function finite(...fallback: [] | [number]): Field<number> {
  return field("a number", (value) => (isNumber(value) ? value : undefined), fallback);
}

/** An integer of at least 1. */
export function count(...fallback: [] | [number]): Field<number> {
  return field(
    "a whole number of at least 1",
    (value) => (Number.isSafeInteger(value) && (value as number) >= 1 ? (value as number) : undefined),
    fallback,
  );
}

/** A probability below 1. */
export function rate(...fallback: [] | [number]): Field<number> {
  const parse = (value: unknown): number | undefined =>
    isNumber(value) && value >= 0 && value < 1 ? value : undefined;
  return field("a number from 0 up to but not including 1", parse, fallback);
}

/** One of a few words or constants. */
export function oneOf<const T extends string | boolean>(values: readonly T[], ...fallback: [] | [T]): Field<T> {
  const parse = (value: unknown): T | undefined => values.find((one) => one === value);
  return field(`one of ${values.join(", ")}`, parse, fallback);
}

/** A field that may be null, which is also its default. */
export function nullable<T>(inner: Field<T>): Field<T | null> {
  return {
    expected: `null or ${inner.expected}`,
    parse: (value) => (value === null ? null : inner.parse(value)),
    fallback: null,
  };
}

/** A seed, null where there is none. */
export function seed(fallback: number | null = null): Field<number | null> {
  const whole = (value: unknown): number | undefined => (Number.isSafeInteger(value) ? (value as number) : undefined);
  return { ...nullable({ expected: "a whole number", parse: whole }), fallback };
}

/** Layer numbers, unsorted as given. */
export function layerList(): Field<readonly number[]> {
  const isLayer = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  return {
    expected: "a list of layer numbers",
    parse: (value) => (Array.isArray(value) && value.every(isLayer) ? (value as number[]) : undefined),
    fallback: [],
  };
}

/** An activation under any spelling and case; `swish` becomes `silu`. */
export function activation(...fallback: [] | [ActivationName]): Field<ActivationName> {
  const parse = (value: unknown): ActivationName | undefined => {
    const name = typeof value === "string" ? value.toLowerCase() : "";
    if (!Object.hasOwn(activationCodes, name)) return undefined;
    return name === "swish" ? "silu" : (name as ActivationName);
  };
  return field(`one of ${Object.keys(activationCodes).join(", ")}`, parse, fallback);
}

/** A finite number, booleans and numeric strings excluded. */
export function isNumber(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

/** @throws EngineError BAD_CONFIG for a layer number that the host does not have */
export function checkLeaveOut(leaveOut: readonly number[], layers: number, path: string): void {
  const outside = leaveOut.filter((layer) => layer >= layers);
  if (outside.length === 0) return;
  const where = `${path}leave_out`;
  throw badField(where, `names layers ${outside.join(", ")}`, `the host has layers 0 to ${layers - 1}`);
}
