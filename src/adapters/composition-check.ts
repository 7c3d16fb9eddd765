/** @file Which compositions may be: the nesting table of MATHS §2.5, and the numbers that go with the children. */

import { badComposition, describe, isBlock, lastName } from "./composition.ts";
import type { Block, Composition } from "./composition.ts";
import { formatComposition } from "./composition-text.ts";

type Kind = Composition["kind"];

/** What stands directly inside what. An adapter or `none` may stand everywhere, except `none` in a fusion. */
const nestings: Readonly<Record<Block["kind"], readonly Kind[]>> = {
  stack: ["fuse", "split", "parallel", "batchSplit", "average"],
  fuse: ["stack"],
  split: ["split", "stack", "batchSplit", "average"],
  parallel: ["stack", "batchSplit", "average"],
  batchSplit: ["stack", "split", "batchSplit", "average"],
  average: ["stack", "split", "batchSplit"],
};

/** Below this level, the root being 0, only adapters and stacks stand. */
const DEEPEST_BLOCK = 1;

/**
 * Checks a composition: nesting, numbers of children, splits, sizes and weights.
 * @returns the same composition
 * @throws EngineError BAD_CONFIG naming the block, the child and what is allowed
 */
export function checkComposition(composition: Composition): Composition {
  checkAt(composition, { level: 0, fusion: null });
  return composition;
}

interface Place {
  readonly level: number;
  /** The fusion around this place, for the message. */
  readonly fusion: Composition | null;
}

function checkAt(composition: Composition, place: Place): void {
  if (composition.kind === "adapter") return checkName(composition.name);
  if (composition.kind === "none") {
    if (place.fusion === null) return;
    const message = `${formatComposition(place.fusion)}: a fusion cannot hold none, only adapters and stacks of adapters`;
    throw badComposition(message, "fuse", "leave the child out");
  }
  checkForm(composition);
  const text = formatComposition(composition);
  if (place.level > DEEPEST_BLOCK && composition.kind !== "stack") {
    const message = `${text} stands too deep: below the first level of blocks only adapters and stacks may stand`;
    throw badComposition(message, text);
  }
  checkCounts(composition, text);
  const allowed = nestings[composition.kind];
  const fusion = composition.kind === "fuse" ? composition : place.fusion;
  for (const child of composition.children) {
    if (isBlock(child) && !allowed.includes(child.kind)) {
      const known = Object.hasOwn(nestings, child.kind);
      const found = known ? `${child.kind} (${formatComposition(child)})` : `a block of kind ${describe(child.kind)}`;
      const message = `${composition.kind} cannot hold ${found}; it may hold adapters, ${allowed.join(", ")}`;
      throw badComposition(message, text);
    }
    checkAt(child, { level: place.level + 1, fusion });
  }
  if (composition.kind === "fuse") checkDistinct(composition.children, text);
}

function checkName(name: unknown): void {
  if (typeof name === "string" && name !== "") return;
  throw badComposition(`an adapter name is ${describe(name)}, expected a text that is not empty`, "name");
}

/** Refuses objects that no constructor makes: the rest may then rely on the types. */
function checkForm(block: Block): void {
  if (!Object.hasOwn(nestings, block.kind)) {
    const message = `a composition has the kind ${describe(block.kind)}, expected adapter, none, ${Object.keys(nestings).join(", ")}`;
    throw badComposition(message, "kind");
  }
  const list: unknown = block.children;
  const whole = Array.isArray(list) && list.every((child) => typeof child === "object" && child !== null);
  if (!whole || !hasNumbers(block)) {
    const message = `a composition of kind ${block.kind} is not as ${block.kind}(...) makes it`;
    throw badComposition(message, block.kind, `build it with ${block.kind}(...)`);
  }
}

function hasNumbers(block: Block): boolean {
  const numbers = numbersOf(block);
  return numbers === null || (Array.isArray(numbers.values) && numbers.values.every((n) => typeof n === "number"));
}

/** The numbers that go with the children of a block. */
function numbersOf(block: Block): { readonly field: string; readonly values: readonly number[] } | null {
  if (block.kind === "split") return { field: "splits", values: block.splits };
  if (block.kind === "batchSplit") return { field: "batchSizes", values: block.batchSizes };
  return block.kind === "average" ? { field: "weights", values: block.weights } : null;
}

function checkCounts(block: Block, text: string): void {
  const least = block.kind === "fuse" ? 2 : 1;
  const count = block.children.length;
  if (count < least) {
    const message = `${text}: ${block.kind} has ${count} children, expected at least ${least}`;
    throw badComposition(message, text);
  }
  const numbers = numbersOf(block);
  if (numbers === null) return;
  const { field, values } = numbers;
  const where = `${block.kind}.${field}`;
  if (values.length !== count) {
    throw badComposition(
      `${text}: ${values.length} ${field} for ${count} children`,
      where,
      "give one number per child",
    );
  }
  const fits = block.kind === "average" ? Number.isFinite : (n: number) => Number.isSafeInteger(n) && n >= 0;
  const wrong = values.find((value) => !fits(value));
  if (wrong === undefined) return;
  const expected = block.kind === "average" ? "finite numbers" : "whole numbers from 0 on";
  throw badComposition(`${text}: ${field} holds ${wrong}, expected ${expected}`, where);
}

/** Two children with the same last name could not be told apart in the name and the weights of the fusion. */
function checkDistinct(children: readonly Composition[], text: string): void {
  const seen = new Set<string>();
  for (const child of children) {
    const name = lastName(child) as string;
    if (seen.has(name)) throw badComposition(`${text}: two children of the fusion end in ${name}`, text);
    seen.add(name);
  }
}
