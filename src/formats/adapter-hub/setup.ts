/** @file `adapter_setup.json`: a composition of adapters as the library saves it (MATHS §2.5, §3.1). */

import { badConfig } from "./envelope.ts";
import type { Folder } from "../folder.ts";
import { isJsonObject, readJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import type { SetupNode } from "./types.ts";

/** The file of a saved setup; the adapters lie in sub-folders of their names. */
export const SETUP_FILE = "adapter_setup.json";

/** A leaf: its one child is an adapter's name. */
const LEAF = "single";
const blocks: readonly string[] = ["Stack", "Fuse", "Split", "BatchSplit", "Parallel", "Average"];

/** Arguments that a block may carry, each a list of numbers. */
const argumentNames: ReadonlySet<string> = new Set(["splits", "batch_sizes", "weights"]);

/** Deeper than any setup; bounds the recursion over objects that were not read from JSON. */
const MAX_DEPTH = 20;

/**
 * Reads the setup of a folder. The tree stands at the root or, as the library writes it, under `adapter_setup`.
 * @throws EngineError `NOT_FOUND`, `BAD_FILE` or `BAD_CONFIG` with everything that is wrong.
 */
export async function readSetupFolder(folder: Folder): Promise<SetupNode> {
  const where = `${folder.name}/${SETUP_FILE}`;
  return parseSetup(readJsonObject(await folder.read(SETUP_FILE), where), where);
}

/** Checks a setup's form, not whether its blocks may nest. @throws EngineError `BAD_CONFIG` with every problem. */
export function parseSetup(json: unknown, where: string = SETUP_FILE): SetupNode {
  const problems: string[] = [];
  const root = isJsonObject(json) && json["adapter_setup"] !== undefined ? json["adapter_setup"] : json;
  const tree = readNode(root, "setup", 0, problems);
  if (problems.length > 0) {
    throw badConfig(
      where,
      `${problems.join("; ")}.`,
      `Nodes are {"type", "children", "kwargs"?} with a type of ${LEAF}, ${blocks.join(", ")}.`,
    );
  }
  return tree;
}

function readNode(json: unknown, path: string, depth: number, problems: string[]): SetupNode {
  const empty: SetupNode = { type: LEAF, children: [], kwargs: {} };
  if (!isJsonObject(json) || depth > MAX_DEPTH) {
    problems.push(`${path} is ${depth > MAX_DEPTH ? "nested too deep" : "not an object"}`);
    return empty;
  }
  const { type, children } = json;
  const kwargs = readArguments(json["kwargs"] ?? {}, path, problems);
  for (const field of Object.keys(json)) {
    if (!["type", "children", "kwargs"].includes(field)) problems.push(`${path}.${field} is not known`);
  }
  if (typeof type !== "string" || (type !== LEAF && !blocks.includes(type))) {
    problems.push(`${path}.type is ${JSON.stringify(type)}`);
    return empty;
  }
  if (!Array.isArray(children) || children.length === 0) {
    problems.push(`${path}.children is not a list with something in it`);
    return empty;
  }
  if (type !== LEAF) {
    return { type, children: children.map((child, i) => readNode(child, `${path}.${i}`, depth + 1, problems)), kwargs };
  }
  if (children.length !== 1 || typeof children[0] !== "string" || children[0] === "") {
    problems.push(`${path}.children of a leaf is not one name`);
    return empty;
  }
  return { type, children: [children[0]], kwargs };
}

function readArguments(json: unknown, path: string, problems: string[]): JsonObject {
  if (!isJsonObject(json)) {
    problems.push(`${path}.kwargs is not an object`);
    return {};
  }
  for (const [name, value] of Object.entries(json)) {
    const numbers = Array.isArray(value) && value.every((item) => typeof item === "number" && Number.isFinite(item));
    if (!argumentNames.has(name) || !numbers) problems.push(`${path}.kwargs.${name} is not a known list of numbers`);
  }
  return json;
}
