/** @file Plain text for masked language modelling: paragraphs packed into sequences of one length. */

import { EngineError } from "../../errors.ts";
import { linesOf } from "../../inputs/lines.ts";
import type { Tokenizer } from "../../inputs/tokenizer.ts";
import type { Example, RowReader } from "./data.ts";

/** A paragraph a line; empty lines are left out. */
export const readCorpus: RowReader = async ({ files }, _, source) => {
  const path = files.text as string;
  return linesOf(await source.text(path)).flatMap((text, index) =>
    text.trim() === ""
      ? []
      : [{ place: `${path}:${index + 1}`, content: { kind: "text", text } as const, labels: [], set: null }],
  );
};

/** The tokens around every sequence. @throws EngineError UNSUPPORTED for tokenizers without them */
function frameOf(tokenizer: Tokenizer): { readonly begin: number; readonly end: number } {
  const { ids } = tokenizer.encode("");
  const [begin, end] = ids;
  if (ids.length === 2 && begin !== undefined && end !== undefined) return { begin, end };
  const message = `the tokenizer puts ${ids.length} tokens around a text, packing needs one before and one behind`;
  throw new EngineError("UNSUPPORTED", message, { where: "model.tokenizer", fix: "take a BERT-like model" });
}

/** Shorter rests of a corpus are left out: they would teach more about ends than about words. */
const SHORTEST = 8;

/**
 * Packs texts one behind the other into sequences of `length` tokens with the tokenizer's frame around each; the last one may be shorter.
 * A sequence may begin and end inside a text.
 */
export function packTexts(texts: Iterable<string>, tokenizer: Tokenizer, length: number, name: string): Example[] {
  const { begin, end } = frameOf(tokenizer);
  const examples: Example[] = [];
  let piece: number[] = [];
  const close = (): void => {
    const ids = Uint32Array.of(begin, ...piece, end);
    const place = `${name}, sequence ${examples.length}`;
    examples.push({
      place,
      length: ids.length,
      input: { kind: "ids", ids, types: new Uint32Array(ids.length) },
      targets: [],
    });
    piece = [];
  };
  for (const text of texts) {
    const { ids } = tokenizer.encode(text);
    for (let at = 1; at < ids.length - 1; at += 1) {
      piece.push(ids[at] as number);
      if (piece.length === length - 2) close();
    }
  }
  if (piece.length >= SHORTEST || (piece.length > 0 && examples.length === 0)) close();
  return examples;
}

/** @returns so many of the examples, spread evenly over all. */
export function spread<T>(examples: readonly T[], most: number | undefined): readonly T[] {
  if (most === undefined || examples.length <= most) return examples;
  return Array.from({ length: most }, (_, index) => examples[Math.floor((index * examples.length) / most)] as T);
}
