/** @file What stands at the embedding (MATHS §2.8): prompts among the rows, and the invertible adapter behind them. */

import type { Value } from "../../graph/value.ts";
import { elementwise } from "../../ops/elementwise.ts";
import { gatherRows } from "../../ops/gather-rows.ts";
import { joinRows } from "../../ops/join-rows.ts";
import { runtimeDim } from "../../ops/op.ts";
import type { EmbeddingSite } from "../../sites/site.ts";
import { ROW_TABLES } from "../pack-rows.ts";
import { promptsOf } from "../program-leaves.ts";
import type { ProgramLeaf } from "../program-leaves.ts";
import type { Path } from "../feeds.ts";
import { childrenOf } from "../feeds.ts";
import type { Program } from "../program.ts";
import { stagePrefix, unsupported } from "./context.ts";
import type { SiteContext } from "./context.ts";

/** Rows with the prompt of every sequence among them. */
function insertPrompts(context: SiteContext, rows: Value): Value {
  context.enter("prompted");
  const index = context.feed("prompt.rows", [context.names.rows], { kind: "prompt-rows", stage: context.stage });
  const { bank } = context.bank.values(context.b, ROW_TABLES.prompt);
  const width = rows.type.shape[1] as number;
  return context.b.op(joinRows, { a: rows, b: bank, rows: index }, { width }).y as Value;
}

/** Repeats values for every copy of a parallel composition. */
export function repeat(context: SiteContext, values: readonly Value[]): Value[] {
  context.enter("copies");
  const rows = context.feed("copy.rows", [context.names.rows], { kind: "copy-rows", stage: context.stage });
  return values.map((x) => context.b.op(gatherRows, { x, rows }, {}).y as Value);
}

/** PEFT's prompts, which are word vectors; undefined where no adapter brings one. */
export function promptWords(context: SiteContext): EmbeddingSite | undefined {
  const prompts = promptsOf(context.program);
  if (prompts.every(({ structure }) => structure.embedding.prompt !== "words")) return undefined;
  if (prompts.some(({ structure }) => structure.embedding.prompt !== "words"))
    throw unsupported("a prompt before the embedding beside one after it");
  return {
    words: (given) => {
      const words = insertPrompts(context, given);
      const { names, stage } = context;
      const types = context.feed("types", [names.rows], { kind: "prompt-types", stage });
      return { words, segments: context.segments, types };
    },
  };
}

/** Hidden states after the embedding: the invertible adapter turns the tokens, then prompts join them. */
export function evaluateEmbedded(context: SiteContext, hidden: Value): Value {
  const prompts = promptsOf(context.program).some(({ structure }) => structure.embedding.prompt !== "words");
  const turned = evaluateInvertible(context, hidden, "forward");
  return prompts ? insertPrompts(context, turned) : turned;
}

/** The invertible adapters with their paths: the first adapter of every branch, each for the sequences that take it. */
function invertibles(program: Program, path: Path): { leaf: ProgramLeaf; path: Path }[] {
  if (program.kind === "leaf") return program.structure.embedding.invertible ? [{ leaf: program, path }] : [];
  return childrenOf(program).flatMap((child, index) => invertibles(child, [...path, index]));
}

/**
 * NICE on the halves of a row: y1 = x1 + F(x2), y2 = x2 + G(y1); back: x2 = y2 − G(y1), x1 = y1 − F(x2). A row is seen as two rows
 * of half the width. Sequences without one have no slot, and keep their rows.
 */
export function evaluateInvertible(context: SiteContext, hidden: Value, direction: "forward" | "back"): Value {
  const found = invertibles(context.program, []);
  if (found.length === 0) return hidden;
  const { b, names, stage, segments } = context;
  const width = (hidden.type.shape[1] as number) / 2;
  const halves = b.reshape(hidden, [twice(names.rows), width]);
  const half = (part: "even" | "odd"): Value => {
    const rows = context.feed(`halves.${part}`, [names.rows], { kind: "halves", stage, part });
    return b.op(gatherRows, { x: halves, rows }, {}).y as Value;
  };
  let even = half("even");
  let odd = half("odd");
  for (const { leaf, path } of found) {
    const at = { segments, slots: context.slots(leaf, path) };
    if (direction === "forward") {
      even = context.bottleneck(ROW_TABLES.forward, { x: odd, residual: even, ...at });
      odd = context.bottleneck(ROW_TABLES.back, { x: even, residual: odd, ...at });
    } else {
      odd = less(context, odd, context.bottleneck(ROW_TABLES.back, { x: even, ...at }));
      even = less(context, even, context.bottleneck(ROW_TABLES.forward, { x: odd, ...at }));
    }
  }
  const rows = context.feed("halves.joined", [twice(names.rows)], { kind: "halves", stage, part: "joined" });
  const joined = b.op(joinRows, { a: even, b: odd, rows }, { width }).y as Value;
  return b.reshape(joined, hidden.type.shape);

  function twice(dim: typeof names.rows): typeof names.rows {
    return runtimeDim(`${stagePrefix(stage)}rows`, typeof dim === "number" ? 1 : 2 * dim.times);
  }
}

function less(context: SiteContext, left: Value, right: Value): Value {
  return context.b.op(elementwise, { a: left, b: right }, { operation: "sub" }).y as Value;
}
