/** @file Reading fields of a model configuration, with errors that name the field. */

import { EngineError } from "../errors.ts";
import { activationCodes } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";

/** A configuration as it stands in `config.json`. */
export type Config = Readonly<Record<string, unknown>>;

function refuse(field: string, found: unknown, expected: string): never {
  const message = `config.json: ${field} is ${JSON.stringify(found) ?? "missing"}, expected ${expected}`;
  throw new EngineError("BAD_CONFIG", message, {
    where: field,
    fix: `give ${field} in config.json or in the config option`,
  });
}

/** @returns a positive integer field. */
export function positive(config: Config, field: string, fallback?: number): number {
  const value = config[field] ?? fallback;
  return typeof value === "number" && Number.isInteger(value) && value > 0 && value <= 2 ** 31
    ? value
    : refuse(field, value, "a positive integer");
}

/** @returns a positive finite number field. */
export function positiveNumber(config: Config, field: string, fallback?: number): number {
  const value = config[field] ?? fallback;
  return typeof value === "number" && Number.isFinite(value) && value > 0
    ? value
    : refuse(field, value, "a positive number");
}

/** @returns a rate from 0 to below 1. */
export function rateField(config: Config, field: string): number {
  const value = config[field];
  return typeof value === "number" && value >= 0 && value < 1
    ? value
    : refuse(field, value, "a number from 0 to below 1");
}

/** @returns an activation by the name used in configuration files (MATHS §0.3). */
export function activationField(config: Config, field: string, fallback?: string): ActivationName {
  const value = config[field] ?? fallback;
  const name = value === "swish" ? "silu" : value;
  if (typeof name === "string" && Object.hasOwn(activationCodes, name)) return name as ActivationName;
  return refuse(field, value, `one of ${Object.keys(activationCodes).join(", ")}`);
}

/** Refuses a field whose value would change the result in a way that is not built. */
export function only(config: Config, field: string, allowed: unknown): void {
  const value = config[field];
  if (value === undefined || value === null || value === allowed) return;
  const message = `config.json: ${field} = ${JSON.stringify(value)} is not supported, only ${JSON.stringify(allowed)}`;
  throw new EngineError("UNSUPPORTED", message, { where: field });
}

/** @returns the head width, or an error when the width does not divide or the kernels cannot take it. */
export function headWidthOf(width: number, heads: number): number {
  const headWidth = width / heads;
  checkHeadWidth(headWidth, `${width} / ${heads}`, "num_attention_heads");
  return headWidth;
}

/** Refuses a head width that the kernels cannot take; `text` is how the error writes it. */
export function checkHeadWidth(headWidth: number, text: string, where: string): void {
  if (Number.isInteger(headWidth) && headWidth % 4 === 0 && headWidth <= 256) return;
  throw new EngineError("UNSUPPORTED", `a head width of ${text} is not a multiple of 4 up to 256`, { where });
}

/** @returns "prefix." when the checkpoint's names carry it, else "". */
export function prefixOf(tensors: ReadonlySet<string>, prefix: string): string {
  for (const name of tensors) if (name.startsWith(`${prefix}.`)) return `${prefix}.`;
  return "";
}

/** @returns true when an architecture name of the configuration ends so. */
export function hasArchitecture(config: Config, ending: string): boolean {
  const names = config.architectures;
  return Array.isArray(names) && names.some((name) => typeof name === "string" && name.endsWith(ending));
}
