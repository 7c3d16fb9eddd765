/**
 * @file BERT's tokenizer: words by white space, punctuation and ideographs, then pieces by greedy longest match
 * (Devlin et al. 2019; the behaviour of Google's `FullTokenizer` and Hugging Face's `BertTokenizer`).
 */

import { frame, type Tokenizer } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** How the text is normalised before it is cut into words. */
export interface WordpieceOptions {
  /** Lower-case everything; default true, as `BertTokenizer` has it. */
  readonly lowerCase?: boolean;
  /** Drop combining marks after canonical decomposition; default: the same as `lowerCase`. */
  readonly stripAccents?: boolean;
  /** Make each CJK ideograph a word of its own; default true. */
  readonly splitIdeographs?: boolean;
}

/** A longer word is unknown as a whole: the bound of the original, which keeps the search from growing quadratic. */
const LONGEST_WORD = 100;

// Controls, format characters, surrogates, private use and unassigned code points, except the three that are spaces.
const DROPPED = /[^\P{C}\t\n\r]|\uFFFD/gu;
// The CJK Unified Ideographs blocks named by the original; Hiragana, Katakana and Hangul are written with spaces there.
const IDEOGRAPH =
  /[\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\u{20000}-\u{2A6DF}\u{2A700}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;
// All ASCII that is neither letter, digit, space nor control counts, although Unicode calls "$", "+" or "^" symbols.
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;

/** Cuts a text into normalised words: the step before word pieces. */
export function splitWords(text: string, options: WordpieceOptions = {}): string[] {
  const { lowerCase = true, stripAccents = lowerCase, splitIdeographs = true } = options;
  let plain = text.replace(DROPPED, "");
  if (splitIdeographs) plain = plain.replace(IDEOGRAPH, " $& ");
  if (lowerCase) plain = plain.toLowerCase();
  if (stripAccents) plain = plain.normalize("NFD").replace(/\p{Mn}/gu, "");
  return plain
    .replace(PUNCTUATION, " $& ")
    .split(/\s+/u)
    .filter((word) => word !== "");
}

/** Cuts one word into the longest pieces that the vocabulary holds, from the left; the unknown token if that fails. */
function splitPieces(word: string, vocabulary: Vocabulary): string[] {
  const characters = Array.from(word);
  if (characters.length > LONGEST_WORD) return [vocabulary.special.unknown];
  const pieces: string[] = [];
  for (let start = 0; start < characters.length;) {
    const prefix = start === 0 ? "" : "##";
    let end = characters.length;
    while (end > start && !vocabulary.has(prefix + characters.slice(start, end).join(""))) end -= 1;
    if (end === start) return [vocabulary.special.unknown];
    pieces.push(prefix + characters.slice(start, end).join(""));
    start = end;
  }
  return pieces;
}

/** An expression that cuts out the vocabulary's special tokens, which stay whole wherever a text spells them. */
function specialPattern(vocabulary: Vocabulary): RegExp {
  const { unknown, begin, end } = vocabulary.special;
  const names = new Set([unknown, begin, end, "[PAD]", "[MASK]"]);
  const present = [...names].filter((name) => vocabulary.has(name));
  return new RegExp(`(${present.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|")})`, "u");
}

/**
 * The tokenizer of a BERT vocabulary. Special tokens spelled in a text, such as `[MASK]`, stay whole.
 * @example
 * wordpieceTokenizer(parseVocabulary(vocabTxt)).encode(["hello", "world"]).types; // [0, 0, 0, 1, 1]
 */
export function wordpieceTokenizer(vocabulary: Vocabulary, options: WordpieceOptions = {}): Tokenizer {
  const special = specialPattern(vocabulary);
  const split = (text: string): string[] =>
    // A capturing split alternates text and separator: the odd places are special tokens.
    text.split(special).flatMap((part, i) => {
      if (i % 2 === 1) return [part];
      return splitWords(part, options).flatMap((word) => splitPieces(word, vocabulary));
    });
  return {
    kind: "wordpiece",
    vocabularySize: vocabulary.tokens.length,
    encode: (text) => frame(vocabulary, (typeof text === "string" ? [text] : text).map(split)),
  };
}
