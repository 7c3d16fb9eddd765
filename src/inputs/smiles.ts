/** @file SMILES strings (molecules and reactions) as tokens: the splitting of Schwaller et al. that RXNMapper uses. */

import { frame, type Tokenizer } from "./tokenizer.ts";
import type { Vocabulary } from "./vocabulary.ts";

/** Bracket atoms, two-letter elements, bonds, branches, ring closures and the reaction arrow `>>`. */
const SMILES_TOKEN =
  /\[[^\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|\/|:|~|@|\?|>>?|\*|\$|%[0-9]{2}|[0-9]/g;

/**
 * Splits a SMILES string. White space around it is dropped. Text that the expression does not match is never skipped
 * in silence: each unbroken run of it becomes one unknown token.
 * @example
 * splitSmiles("C[NH3+]!?Cl", "[UNK]"); // ["C", "[NH3+]", "[UNK]", "?", "Cl"]
 */
export function splitSmiles(text: string, unknown: string): string[] {
  const tokens: string[] = [];
  const trimmed = text.trim();
  let end = 0;
  for (const match of trimmed.matchAll(SMILES_TOKEN)) {
    if (match.index > end) tokens.push(unknown);
    tokens.push(match[0]);
    end = match.index + match[0].length;
  }
  if (end < trimmed.length) tokens.push(unknown);
  return tokens;
}

/** The tokenizer of a vocabulary of SMILES tokens; a well-formed token that the vocabulary lacks is unknown. */
export function smilesTokenizer(vocabulary: Vocabulary): Tokenizer {
  return {
    kind: "smiles",
    vocabularySize: vocabulary.tokens.length,
    encode(text) {
      const texts = typeof text === "string" ? [text] : text;
      return frame(
        vocabulary,
        texts.map((part) => splitSmiles(part, vocabulary.special.unknown)),
      );
    },
  };
}
