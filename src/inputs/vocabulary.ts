/** @file A vocabulary file (`vocab.txt`): one token per line, its line number from 0 being its id. */

import { EngineError } from "../errors.ts";

/** The spelling of the special tokens; checkpoints may rename them in `tokenizer_config.json`. */
export interface SpecialTokens {
  readonly unknown: string;
  /** First token of every sequence. */
  readonly begin: string;
  /** Behind each text. */
  readonly end: string;
}

/** The special tokens of BERT and its relatives. */
export const bertSpecialTokens: SpecialTokens = { unknown: "[UNK]", begin: "[CLS]", end: "[SEP]" };

/** A checked vocabulary that knows its special tokens. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly special: SpecialTokens;
  has(token: string): boolean;
  /** The token's id, or that of the unknown token. */
  idOf(token: string): number;
  /** The token itself, or the unknown token where the vocabulary lacks it. */
  known(token: string): string;
}

/**
 * Reads the text of a `vocab.txt`. LF and CRLF line ends, a byte order mark and blank lines at the end are accepted.
 * @throws EngineError `BAD_FILE` for an empty file, a token that stands there twice, or a missing special token.
 * @example
 * parseVocabulary("[UNK]\n[CLS]\n[SEP]\nC\n").idOf("C"); // 3
 */
export function parseVocabulary(
  text: string,
  special: SpecialTokens = bertSpecialTokens,
  where = "vocab.txt",
): Vocabulary {
  const tokens = text
    .replace(/^\uFEFF/, "")
    .replace(/(\r?\n)+$/, "")
    .split(/\r?\n/);
  const ids = new Map<string, number>();
  tokens.forEach((token, id) => {
    const first = ids.get(token);
    if (first !== undefined) {
      throw new EngineError("BAD_FILE", `${JSON.stringify(token)} stands on lines ${first + 1} and ${id + 1}`, {
        where,
        fix: "Every token needs one id: take the checkpoint's original vocabulary file.",
      });
    }
    ids.set(token, id);
  });
  const missing = [special.unknown, special.begin, special.end].filter((token) => !ids.has(token));
  if (missing.length > 0) {
    throw new EngineError("BAD_FILE", `the vocabulary of ${tokens.length} lines lacks ${missing.join(", ")}`, {
      where,
      fix: "Pass a BERT-like vocabulary, name its special tokens in tokenizer_config.json, or pass ids.",
    });
  }
  const unknown = ids.get(special.unknown) ?? 0;
  return {
    tokens,
    special,
    has: (token) => ids.has(token),
    idOf: (token) => ids.get(token) ?? unknown,
    known: (token) => (ids.has(token) ? token : special.unknown),
  };
}
