/** @file `--adapter`, `--fusion`, `--head`, `--active` and what goes with them: adapters as words of a command line. */

import { checkComposition } from "../adapters/composition-check.ts";
import { parseComposition } from "../adapters/composition-text.ts";
import { adapterLeaf, fusionName, isBlock, leavesOf, none } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import { adapterPresets } from "../adapters/config/presets.ts";
import { EngineError } from "../errors.ts";
import type { Compat } from "../model/types.ts";
import { readText } from "./files.ts";
import { listOf, oneOf, usageError, wholeNumber } from "./options.ts";

/** A name and what it stands for: a folder, or a preset. */
export interface Named {
  readonly name: string;
  readonly place: string;
}

/** A fusion: its adapters in order, and a folder or a preset. */
export interface NamedFusion {
  readonly names: readonly string[];
  readonly place: string;
}

/** What a command line says about adapters. */
export interface AdapterSettings {
  readonly adapters: readonly Named[];
  readonly fusions: readonly NamedFusion[];
  readonly heads: readonly Named[];
  /** What runs on every sequence; null for the bare model, and where every sequence names its own. */
  readonly active: Composition | null;
  /** Layers without adapters: the lowest so many, or those listed. */
  readonly drop: number | readonly number[] | null;
  /** File with one adapter per sequence. */
  readonly perSequence: string | undefined;
  readonly compat: Compat | undefined;
}

/** The options as they stand on the command line. */
export interface AdapterWords {
  readonly adapter: readonly string[];
  readonly fusion: readonly string[];
  readonly head: readonly string[];
  readonly active: string | undefined;
  readonly drop: string | undefined;
  readonly perSequence: string | undefined;
  readonly compat: string | undefined;
}

/** @throws EngineError BAD_INPUT for anything but NAME=PLACE */
function named(command: string, option: string, text: string, form: string, example: string): Named {
  const cut = text.indexOf("=");
  const [name, place] = [text.slice(0, Math.max(cut, 0)).trim(), text.slice(cut + 1).trim()];
  if (name !== "" && place !== "") return { name, place };
  const message = `--${option} is ${JSON.stringify(text)}, expected ${form}`;
  throw usageError(command, message, `write, for example, --${option} ${example}`);
}

function distinct(command: string, what: string, names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined) throw usageError(command, `two ${what} are called ${twice}`, "choose another name");
}

/** Reads `--adapter NAME=FOLDER` options. */
export function readAdapters(command: string, words: readonly string[]): Named[] {
  const adapters = words.map((text) => named(command, "adapter", text, "NAME=PRESET or NAME=FOLDER", "task=seq_bn"));
  const names = adapters.map(({ name }) => name);
  distinct(command, "adapters", names);
  return adapters;
}

/** @throws EngineError UNKNOWN_NAME for an adapter that no --adapter names */
function known(name: string, adapters: readonly Named[], where: string): void {
  if (adapters.some((adapter) => adapter.name === name)) return;
  const all = adapters.map((adapter) => adapter.name).join(", ") || "none";
  throw new EngineError("UNKNOWN_NAME", `${where}: there is no adapter ${name}; given with --adapter: ${all}`, {
    where,
    fix: `add --adapter ${name}=FOLDER`,
  });
}

function readFusions(command: string, words: readonly string[], adapters: readonly Named[]): NamedFusion[] {
  const fusions = words.map((text) => {
    const { name, place } = named(command, "fusion", text, "NAME,NAME=FOLDER", '"a,b=FOLDER"');
    const names = name.split(",").map((part) => part.trim());
    for (const part of names) known(part, adapters, "--fusion");
    return { names, place };
  });
  const names = fusions.map((fusion) => fusion.names.join(","));
  distinct(command, "fusions", names);
  return fusions;
}

function fusionsIn(composition: Composition): string[] {
  if (!isBlock(composition)) return [];
  const own = composition.kind === "fuse" ? [fusionName(composition)] : [];
  return [...own, ...composition.children.flatMap(fusionsIn)];
}

function readActive(
  command: string,
  text: string,
  adapters: readonly Named[],
  fusions: readonly NamedFusion[],
): Composition {
  const composition = checkComposition(parseComposition(text));
  for (const name of leavesOf(composition)) known(name, adapters, "--active");
  for (const name of fusionsIn(composition)) {
    if (fusions.some(({ names }) => names.join(",") === name)) continue;
    const fix = `add --fusion "${name}=FOLDER", or "${name}=dynamic" for fresh weights`;
    throw usageError(command, `--active fuses ${name}, for which there are no fusion weights`, fix);
  }
  return composition;
}

/** One adapter needs no composition; of several, none is meant before the others. */
function defaultActive(command: string, adapters: readonly Named[], light: string | null): Composition | null {
  // An adapter that the route names is for light paths only.
  const [first, ...others] = adapters.filter(({ name }) => name !== light);
  if (first === undefined) return null;
  if (others.length === 0) return adapterLeaf(first.name);
  const message = `${others.length + 1} adapters are given, but not which of them run`;
  throw usageError(command, message, `add --active, for example "stack(${first.name},${others[0]?.name})", or none`);
}

function readDrop(command: string, text: string | undefined): AdapterSettings["drop"] {
  if (text === undefined) return null;
  if (!text.includes(",")) return wholeNumber(command, "drop-adapters", text, 0) ?? null;
  return listOf(text).map((part) => wholeNumber(command, "drop-adapters", part, 0) as number);
}

/** Whose semantics compositions have. */
export function readCompat(command: string, text: string | undefined): Compat | undefined {
  return text === undefined ? undefined : oneOf<Compat>(command, "compat", text, ["adapters-1.2"]);
}

/**
 * Reads and checks everything about adapters that can be checked before a model is there.
 * @param light the adapter that a route names for its light path
 * @throws EngineError BAD_INPUT, BAD_CONFIG, UNKNOWN_NAME
 */
export function readAdapterSettings(command: string, words: AdapterWords, light: string | null): AdapterSettings {
  const adapters = readAdapters(command, words.adapter);
  const fusions = readFusions(command, words.fusion, adapters);
  const heads = words.head.map((text) => named(command, "head", text, "NAME=FOLDER", "task=FOLDER"));
  const headNames = heads.map(({ name }) => name);
  distinct(command, "heads", headNames);
  const { perSequence } = words;
  if (perSequence !== undefined && words.active !== undefined) {
    const message = "--active and --per-sequence exclude each other: both say which adapters run";
    throw usageError(command, message, "leave one of them away");
  }
  const drop = readDrop(command, words.drop);
  if (adapters.length === 0 && drop !== null)
    throw usageError(command, "--drop-adapters needs --adapter: there is nothing to drop");
  const active =
    perSequence !== undefined
      ? null
      : words.active === undefined
        ? defaultActive(command, adapters, light)
        : readActive(command, words.active, adapters, fusions);
  const compat = readCompat(command, words.compat);
  return { adapters, fusions, heads, active: active === none ? null : active, drop, perSequence, compat };
}

/**
 * Reads the file of `--per-sequence`: an adapter's name, or nothing or `-` for none, on every line.
 * @param sequences how many sequences the input holds
 * @throws EngineError BAD_INPUT with both numbers, or UNKNOWN_NAME with the line
 */
export async function readPerSequence(
  path: string,
  adapters: readonly Named[],
  input: { readonly path: string; readonly sequences: number },
): Promise<(string | null)[]> {
  const lines = (await readText(path)).replace(/^\uFEFF/, "").split(/\r?\n/);
  // The end of the last line is no line of its own.
  if (lines.at(-1) === "") lines.pop();
  if (lines.length !== input.sequences) {
    const message = `${path} has ${lines.length} lines, ${input.path} holds ${input.sequences} sequences`;
    throw new EngineError("BAD_INPUT", message, { where: path, fix: "write one line per sequence; - is for none" });
  }
  return lines.map((line, index) => {
    const name = line.trim();
    if (name === "" || name === "-") return null;
    known(name, adapters, `${path}:${index + 1}`);
    return name;
  });
}

/** @returns how many sequences a batch must have, where the composition says so. */
export function batchSizeOf(composition: Composition | null): number | null {
  if (composition === null || !isBlock(composition)) return null;
  if (composition.kind === "batchSplit") return composition.batchSizes.reduce((sum, size) => sum + size, 0);
  return composition.children.map(batchSizeOf).find((size) => size !== null) ?? null;
}

/** @returns true for the name of a preset, whose weights are fresh. */
export function isPreset(place: string): boolean {
  return Object.hasOwn(adapterPresets, place);
}
