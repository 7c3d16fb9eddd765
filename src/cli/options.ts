/** @file Reading a command's options: `parseArgs` of Node, strict, with errors that are one sentence. */

import { parseArgs } from "node:util";
import { EngineError } from "../errors.ts";

/** The options of a command: those with a value, switches, and those with a value that may stand there several times. */
export interface OptionNames<V extends string, F extends string, L extends string = never> {
  readonly command: string;
  readonly values: readonly V[];
  readonly flags: readonly F[];
  readonly lists?: readonly L[];
  /** How many arguments without a name there may be, and what they are called. */
  readonly positionals?: { readonly most: number; readonly what: string };
}

/** What stood on the command line. */
export interface Options<V extends string, F extends string, L extends string = never> {
  readonly values: Readonly<Partial<Record<V, string>>>;
  readonly flags: Readonly<Record<F, boolean>>;
  /** In the order of the command line. */
  readonly lists: Readonly<Record<L, readonly string[]>>;
  readonly positionals: readonly string[];
}

/** An error about the command line itself. */
export function usageError(
  command: string,
  message: string,
  fix = `see: adapters-webgpu ${command} --help`,
): EngineError {
  return new EngineError("BAD_INPUT", message, { where: command, fix });
}

/**
 * Reads options; each may stand there once, except `lists`.
 * @throws EngineError BAD_INPUT for an unknown option, a missing value, an option given twice, or too many arguments
 */
export function readOptions<V extends string, F extends string, L extends string = never>(
  args: readonly string[],
  names: OptionNames<V, F, L>,
): Options<V, F, L> {
  const { command, positionals: unnamed = { most: 0, what: "argument" }, lists: repeatable = [] } = names;
  const config = {
    ...Object.fromEntries(names.values.map((name) => [name, { type: "string" as const }])),
    ...Object.fromEntries(repeatable.map((name) => [name, { type: "string" as const, multiple: true }])),
    ...Object.fromEntries(names.flags.map((name) => [name, { type: "boolean" as const }])),
  };
  const { values, positionals, tokens } = parse(args, config, command);
  const seen = new Set<string>();
  for (const token of tokens) {
    if (token.kind !== "option" || repeatable.some((name) => name === token.name)) continue;
    if (seen.has(token.name)) throw usageError(command, `the option --${token.name} stands there twice`);
    seen.add(token.name);
  }
  if (positionals.length > unnamed.most) {
    const extra = JSON.stringify(positionals[unnamed.most]);
    throw usageError(command, `${extra} is one ${unnamed.what} too many; ${command} takes ${unnamed.most || "none"}`);
  }
  const flags = Object.fromEntries(names.flags.map((name) => [name, values[name] === true])) as Record<F, boolean>;
  const texts = Object.fromEntries(names.values.map((name) => [name, values[name]])) as Partial<Record<V, string>>;
  const lists = Object.fromEntries(repeatable.map((name) => [name, values[name] ?? []])) as unknown as Record<
    L,
    string[]
  >;
  return { values: texts, flags, lists, positionals };
}

type Parsed = {
  values: Record<string, string | boolean | string[] | undefined>;
  positionals: string[];
  tokens: ({ kind: "option"; name: string } | { kind: "positional" } | { kind: "option-terminator" })[];
};

function parse(
  args: readonly string[],
  options: Record<string, { type: "string" | "boolean"; multiple?: boolean }>,
  command: string,
): Parsed {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true, tokens: true }) as Parsed;
  } catch (cause) {
    // Node's messages go on with advice for people who write argument parsers.
    const [first = ""] = (cause instanceof Error ? cause.message : String(cause)).split(/\.\s|\n/);
    const sentence = first.replace(/^[A-Z]/, (letter) => letter.toLowerCase()).replace(/\.$/, "");
    throw usageError(command, sentence);
  }
}

/** @returns the option as a whole number of at least `least`, or undefined where it was not given. */
export function wholeNumber(command: string, name: string, text: string | undefined, least = 1): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw usageError(command, `--${name} is ${JSON.stringify(text)}, expected a whole number from ${least}`);
}

/** @returns the option as one of the known words; the first is the default. */
export function oneOf<T extends string>(
  command: string,
  name: string,
  text: string | undefined,
  known: readonly [T, ...T[]],
): T {
  if (text === undefined) return known[0];
  if ((known as readonly string[]).includes(text)) return text as T;
  throw usageError(command, `--${name} is ${JSON.stringify(text)}, expected ${known.join(", ")}`);
}

/** @returns a list such as `a,b` without empty parts. */
export function listOf(text: string | undefined): string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
