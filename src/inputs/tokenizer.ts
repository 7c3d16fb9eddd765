/** @file What every tokenizer of this room gives, and the frame of special tokens that BERT-like models expect. */

import type { Vocabulary } from "./vocabulary.ts";

/** One text or pair of texts as a model reads it, special tokens included; the three arrays have one length. */
export interface Encoding {
  readonly ids: number[];
  /** Token types (segment ids): 0 for the first text, 1 for the second of a pair. */
  readonly types: number[];
  /** The vocabulary's spelling of every id. */
  readonly tokens: string[];
}

/** Turns text into ids. */
export interface Tokenizer {
  /** `smiles`, `wordpiece` or `huggingface`. */
  readonly kind: string;
  /** One more than the largest id: the rows that a word table must have. */
  readonly vocabularySize: number;
  /** Encodes a text, or a pair of texts, with special tokens; nothing is cut off. */
  encode(text: string | readonly [string, string]): Encoding;
}

/** Builds `[CLS] a [SEP]` of type 0, and for a pair `b [SEP]` of type 1 behind it. */
export function frame(vocabulary: Vocabulary, pieces: readonly (readonly string[])[]): Encoding {
  const { begin, end } = vocabulary.special;
  const tokens = [begin];
  const types = [0];
  pieces.forEach((piece, type) => {
    for (const token of [...piece, end]) {
      tokens.push(token);
      types.push(type);
    }
  });
  return {
    ids: tokens.map((token) => vocabulary.idOf(token)),
    types,
    tokens: tokens.map((token) => vocabulary.known(token)),
  };
}
