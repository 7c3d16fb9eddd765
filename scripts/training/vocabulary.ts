/**
 * @file Makes a word piece vocabulary of a text: `npx tsx scripts/training/vocabulary.ts TEXT SIZE OUT`.
 *
 * Pieces are those of byte pair encoding over characters (Sennrich et al. 2016, arXiv 1508.07909): beginning with single characters, the
 * pair that stands together most often becomes a piece, until there are enough. BERT's tokenizer then cuts words greedily into the longest
 * pieces, so the order of the merges plays no part in it.
 */

import { readFile, writeFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { splitWords } from "../../src/inputs/wordpiece.ts";

const SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/** A character that is rarer than this is unknown. */
const RAREST = 20;

/** A word that stands in the text, cut into pieces. */
interface Word {
  readonly count: number;
  pieces: string[];
}

function wordsOf(text: string): Word[] {
  const counts = new Map<string, number>();
  for (const line of text.split("\n"))
    for (const word of splitWords(line)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => ({
    count,
    pieces: Array.from(word, (character, index) => (index === 0 ? character : `##${character}`)),
  }));
}

const joined = (a: string, b: string): string => a + b.slice(2);

/** Counts of pairs of neighbours, and the words that they stand in. */
class Pairs {
  readonly #counts = new Map<string, number>();
  readonly #words = new Map<string, Set<Word>>();

  /** Adds the pairs of a word, or with a sign of −1 takes them away. */
  add(word: Word, sign: 1 | -1): void {
    for (let at = 1; at < word.pieces.length; at += 1) {
      const pair = `${word.pieces[at - 1]} ${word.pieces[at]}`;
      this.#counts.set(pair, (this.#counts.get(pair) ?? 0) + sign * word.count);
      if (sign < 0) continue;
      const words = this.#words.get(pair);
      if (words === undefined) this.#words.set(pair, new Set([word]));
      else words.add(word);
    }
  }

  /** The most frequent pair, of equal ones the first by its letters; undefined when none stands twice. */
  most(): string | undefined {
    let [best, most]: [string | undefined, number] = [undefined, 1];
    for (const [pair, count] of this.#counts)
      if (count > most || (count === most && best !== undefined && pair < best)) [best, most] = [pair, count];
    return best;
  }

  wordsOf(pair: string): readonly Word[] {
    return [...(this.#words.get(pair) ?? [])];
  }

  forget(pair: string): void {
    this.#counts.delete(pair);
    this.#words.delete(pair);
  }
}

function merged(pieces: readonly string[], first: string, second: string): string[] {
  const result: string[] = [];
  for (let at = 0; at < pieces.length; at += 1) {
    const [a, b] = [pieces[at] as string, pieces[at + 1]];
    if (a === first && b === second) {
      result.push(joined(a, b));
      at += 1;
    } else result.push(a);
  }
  return result;
}

/** @returns the tokens of a vocabulary of at most `size` lines. */
function vocabularyOf(text: string, size: number): string[] {
  const words = wordsOf(text);
  const characters = new Map<string, number>();
  for (const { count, pieces } of words)
    for (const piece of pieces) characters.set(piece, (characters.get(piece) ?? 0) + count);
  const frequent = new Set([...characters].filter(([, count]) => count >= RAREST).map(([piece]) => piece));
  const tokens = [...SPECIAL, ...[...frequent].sort()];
  const pairs = new Pairs();
  const whole = words.filter(({ pieces }) => pieces.every((piece) => frequent.has(piece)));
  for (const word of whole) pairs.add(word, 1);
  const known = new Set(tokens);
  while (tokens.length < size) {
    const pair = pairs.most();
    if (pair === undefined) break;
    const [first, second] = pair.split(" ") as [string, string];
    const piece = joined(first, second);
    if (!known.has(piece)) tokens.push(piece);
    known.add(piece);
    for (const word of pairs.wordsOf(pair)) {
      pairs.add(word, -1);
      word.pieces = merged(word.pieces, first, second);
      pairs.add(word, 1);
    }
    pairs.forget(pair);
  }
  return tokens;
}

const [path, size, out] = process.argv.slice(2);
if (path === undefined || size === undefined || out === undefined || !(Number(size) > 0)) {
  process.stderr.write("usage: tsx scripts/training/vocabulary.ts TEXT[.gz] SIZE OUT\n");
  process.exit(2);
}
const bytes = await readFile(path);
const text = (path.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString("utf8");
await writeFile(out, `${vocabularyOf(text, Number(size)).join("\n")}\n`);
