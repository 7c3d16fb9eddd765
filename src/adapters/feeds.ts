/**
 * @file Run-time inputs that a composition needs: slot numbers, masks, segment tables, row tables. A graph records which
 * ones it reads while it is built; a run fills them from its own composition, which has the same shape.
 */

import type { AdapterBank, Resident } from "./bank.ts";
import type { Cut, Program, View } from "./program.ts";
import { prefixesOf, promptsOf } from "./program-leaves.ts";

/** How the rows of a batch come about: tokens, then prompts put between them, then copies of everything, in any order. */
export type StageStep = "prompted" | "copies";
export type Stage = readonly StageStep[];

/** One run-time input of a composition. `path` leads to a node of the program. */
export type Feed =
  | { readonly kind: "rows-of"; readonly stage: Stage }
  | { readonly kind: "slots"; readonly stage: Stage; readonly path: Path }
  | { readonly kind: "mask"; readonly stage: Stage; readonly path: Path; readonly group: number }
  | {
      readonly kind: "weight";
      readonly stage: Stage;
      readonly path: Path;
      readonly child: number;
      readonly factor: number;
      readonly rest: boolean;
    }
  | { readonly kind: "pieces"; readonly stage: Stage; readonly path: Path }
  | { readonly kind: "copy-rows"; readonly stage: Stage }
  | { readonly kind: "prompt-rows"; readonly stage: Stage }
  | { readonly kind: "prompt-types"; readonly stage: Stage }
  | { readonly kind: "halves"; readonly stage: Stage; readonly part: "even" | "odd" | "joined" }
  | {
      readonly kind: "prefix-rows";
      readonly stage: Stage;
      readonly layer: number;
      readonly keys: string;
      readonly range: PrefixRange;
      /** Rows of the bank alone; followed by the sequence's own; the same with prefix rows that were gathered before. */
      readonly form: "bank" | "joined" | "gathered";
    }
  | {
      readonly kind: "prefix-segments";
      readonly stage: Stage;
      readonly layer: number;
      readonly keys: string;
      readonly range: PrefixRange;
      readonly joined: boolean;
    }
  /** Of keys: rows of prefixes stand at position 0, which every query sees, and all rows of a sequence behind them. */
  | { readonly kind: "prefix-positions"; readonly stage: Stage; readonly layer: number };

/** Which of the leaves that carry a prefix are meant; those before them stand in front of the sequence's own rows already. */
export interface PrefixRange {
  readonly from: number;
  readonly to: number;
}

/** Numbers of children from the root of a program down to a node. */
export type Path = readonly number[];

/** What a run fills feeds from. */
export interface FeedSource {
  readonly program: Program;
  readonly bank: AdapterBank;
  /** Rows of every sequence as they come in. */
  readonly rows: readonly number[];
  /** Token types of `words` prompts are those of the packed input. */
  readonly types: Uint32Array | null;
  /** Layer tables of prefixes. */
  readonly prefixTable: (layer: number) => string;
  /** Offsets tables that others fill, such as those of selected rows. */
  readonly table: (name: string) => Uint32Array;
}

/** Bit of a joined row that chooses the second source. */
const SECOND = 0x80000000;
const NO_SLOT = 0xffffffff;

/** @returns the children of a node, in the order that paths count. */
export function childrenOf(program: Program): readonly Program[] {
  if (program.kind === "choose") return program.groups.map(({ program: child }) => child);
  if (program.kind === "copies") return [program.program];
  return program.kind === "none" || program.kind === "leaf" ? [] : program.children;
}

/** @returns the node at a path. */
export function nodeAt(program: Program, path: Path): Program {
  return path.reduce((node, index) => childrenOf(node)[index] as Program, program);
}

/** @returns how often a parallel composition repeats the batch. */
export function copiesOf(program: Program): number {
  if (program.kind === "copies") return program.count;
  return Math.max(1, ...childrenOf(program).map(copiesOf));
}

/** The sequences of a stage, in their order. */
export function viewsOf(source: FeedSource, stage: Stage): View[] {
  const tokens = source.rows.map((rows, sequence): View => ({ sequence, copy: 0, rows, parts: {} }));
  return stage.reduce((views, step) => {
    if (step === "copies") {
      const copies = Array.from({ length: copiesOf(source.program) }, (_, copy) => copy);
      return copies.flatMap((copy) => views.map((view) => ({ ...view, copy })));
    }
    return views.map((view) => ({ ...view, rows: view.rows + promptOf(source, view).rows }));
  }, tokens);
}

/** The pieces of a cut: every view of the cut above, cut further where the composition says so. */
export function piecesOf(views: readonly View[], cut: Cut | null): readonly View[] {
  if (cut === null) return views;
  return piecesOf(views, cut.above).flatMap((view) => {
    const lengths = cut.lengths(view);
    if (lengths === null) return [view];
    return lengths.map((rows, index) => ({ ...view, rows, parts: { ...view.parts, [cut.name]: index } }));
  });
}

function promptOf(source: FeedSource, view: View): { resident: Resident | null; rows: number } {
  // Upstream takes the first prompt of a composition and no other (MATHS §2.8).
  const resident =
    promptsOf(source.program)
      .map(({ pick }) => pick(view))
      .find((one) => one !== null) ?? null;
  return { resident, rows: resident?.packed.promptRows ?? 0 };
}

/** Offsets of sequences of these lengths: one entry more than there are sequences. */
export function offsetsOf(lengths: readonly number[]): Uint32Array {
  const table = new Uint32Array(lengths.length + 1);
  lengths.forEach((length, index) => (table[index + 1] = (table[index] as number) + length));
  return table;
}

function slotOf(source: FeedSource, resident: Resident | null): number {
  return resident === null ? NO_SLOT : source.bank.slotOf(resident);
}

/** @returns the values of a run-time input. */
export function fillFeed(feed: Feed, source: FeedSource): Uint32Array | Float32Array {
  switch (feed.kind) {
    case "rows-of":
      return offsetsOf(viewsOf(source, feed.stage).map(({ rows }) => rows));
    case "slots": {
      const leaf = nodeAt(source.program, feed.path) as Extract<Program, { kind: "leaf" }>;
      const pieces = piecesOf(viewsOf(source, feed.stage), leaf.cut);
      return Uint32Array.from(pieces, (view) => slotOf(source, leaf.pick(view)));
    }
    case "mask": {
      const node = nodeAt(source.program, feed.path) as Extract<Program, { kind: "choose" }>;
      const has = (node.groups[feed.group] as (typeof node.groups)[number]).has;
      return Float32Array.from(piecesOf(viewsOf(source, feed.stage), node.cut), (view) => (has(view) ? 1 : 0));
    }
    case "weight": {
      const node = nodeAt(source.program, feed.path) as Extract<Program, { kind: "average" }>;
      return Float32Array.from(piecesOf(viewsOf(source, feed.stage), node.cut), (view) => {
        const weights = node.weights(view).map((weight) => weight * feed.factor);
        return feed.rest ? 1 - weights.reduce((a, b) => a + b, 0) : (weights[feed.child] as number);
      });
    }
    case "pieces": {
      const node = nodeAt(source.program, feed.path) as { cut: Cut };
      return offsetsOf(piecesOf(viewsOf(source, feed.stage), node.cut).map(({ rows }) => rows));
    }
    case "copy-rows": {
      const before = feed.stage.slice(0, -1);
      const rows = viewsOf(source, before).reduce((sum, view) => sum + view.rows, 0);
      return Uint32Array.from({ length: rows * copiesOf(source.program) }, (_, row) => row % rows);
    }
    case "prompt-rows":
      return promptRows(source, feed.stage);
    case "prompt-types":
      return promptTypes(source, feed.stage);
    case "halves": {
      const rows = viewsOf(source, feed.stage).reduce((sum, view) => sum + view.rows, 0);
      if (feed.part === "joined")
        return Uint32Array.from({ length: 2 * rows }, (_, row) => (row >>> 1) + (row % 2) * SECOND);
      return Uint32Array.from({ length: rows }, (_, row) => 2 * row + (feed.part === "odd" ? 1 : 0));
    }
    case "prefix-rows":
      return prefixRows(source, feed);
    case "prefix-segments": {
      const keys = source.table(feed.keys);
      const views = viewsOf(source, feed.stage);
      const { range, joined, layer } = feed;
      const own = (index: number): number => (joined ? (keys[index + 1] as number) - (keys[index] as number) : 0);
      const shown = joined ? { ...range, from: 0 } : range;
      return offsetsOf(views.map((view, index) => own(index) + prefixLength(source, view, layer, shown)));
    }
    case "prefix-positions": {
      const views = viewsOf(source, feed.stage);
      return Uint32Array.from(
        views.flatMap((view) => {
          const before = prefixLength(source, view, feed.layer);
          return Array.from({ length: before + view.rows }, (_, row) => Math.max(row - before, 0));
        }),
      );
    }
  }
}

/** The prefixes of a sequence at a layer, leftmost first: in a stack the later one ends up left (MATHS §2.8). */
function prefixesAt(source: FeedSource, view: View, layer: number, range?: PrefixRange): Resident[] {
  const residents = prefixesOf(source.program, layer)
    .slice(range?.from, range?.to)
    .map(({ pick }) => pick(view));
  return residents.filter((resident) => resident !== null).reverse();
}

function prefixLength(source: FeedSource, view: View, layer: number, range?: PrefixRange): number {
  return prefixesAt(source, view, layer, range).reduce((sum, { packed }) => sum + packed.prefixRows, 0);
}

/** For every sequence its prefix rows of the bank, followed by the rows that are there where both are joined. */
function prefixRows(source: FeedSource, feed: Extract<Feed, { kind: "prefix-rows" }>): Uint32Array {
  const { layer, range } = feed;
  const keys = source.table(feed.keys);
  const room = source.bank.room(source.prefixTable(layer));
  const rows: number[] = [];
  let gathered = 0;
  let there = 0;
  viewsOf(source, feed.stage).forEach((view, index) => {
    for (const resident of prefixesAt(source, view, layer, range)) {
      const first = feed.form === "gathered" ? gathered : source.bank.slotOf(resident) * room;
      const second = feed.form === "bank" ? 0 : SECOND;
      for (let row = 0; row < resident.packed.prefixRows; row += 1) rows.push(first + row + second);
      gathered += resident.packed.prefixRows;
    }
    if (feed.form === "bank") return;
    const before = prefixLength(source, view, layer, { from: 0, to: range.from });
    const count = before + (keys[index + 1] as number) - (keys[index] as number);
    for (let row = 0; row < count; row += 1) rows.push(there + row);
    there += count;
  });
  return Uint32Array.from(rows);
}

/** For every sequence its prompt rows of the bank between its own rows. */
function promptRows(source: FeedSource, stage: Stage): Uint32Array {
  const room = source.bank.room("prompt");
  const rows: number[] = [];
  let at = 0;
  for (const view of viewsOf(source, stage.slice(0, -1))) {
    const { resident, rows: count } = promptOf(source, view);
    const afterFirst = resident?.packed.structure.embedding.prompt === "prefix_after_bos";
    const own = Array.from({ length: view.rows }, (_, row) => at + row);
    const first = resident === null ? 0 : source.bank.slotOf(resident) * room;
    const prompt = Array.from({ length: count }, (_, row) => SECOND + first + row);
    rows.push(...(afterFirst ? [...own.slice(0, 1), ...prompt, ...own.slice(1)] : [...prompt, ...own]));
    at += view.rows;
  }
  return Uint32Array.from(rows);
}

/** Token types of all rows, 0 for prompts. */
function promptTypes(source: FeedSource, stage: Stage): Uint32Array {
  const types = source.types;
  const total = viewsOf(source, []).reduce((sum, view) => sum + view.rows, 0);
  return Uint32Array.from(promptRows(source, stage), (row) =>
    row >= SECOND || types === null ? 0 : (types[row % total] as number),
  );
}
