/** @file The kind of a token, told from its text alone, for traces that do not say it. */

/** Names that vocabularies give to tokens without a text; brackets around anything else hold a SMILES atom. */
const SPECIAL = /^\[(?:CLS|SEP|PAD|UNK|MASK|BOS|EOS|class|unused\d+)\]$|^<[^<>\s]+>$/i;
/** Names that a run gives to tokens of sound and pictures, and to rows of prompts: "frame 12". */
const PLACED = /^(frame|patch|row) \d+$/;
/** What word-piece and byte-pair vocabularies put before a token. */
const MARK = /^(?:##|[ĠĊ▁]+)(?=.)/u;

const KINDS: readonly (readonly [type: string, test: RegExp])[] = [
  ["space", /^[\s\u0120\u010A\u2581]*$/u],
  ["bracket atoms", /^\[[^[\]\s]+\]$/u],
  ["digits", /^%?\p{N}+$/u],
  ["letters", /^[\p{L}\p{M}]+$/u],
  ["punctuation", /^[\p{P}\p{S}]+$/u],
];

/** @returns "frame", "patch" or "row" for a token that is named after its place; null for one that has a text. */
export function placedType(token: string): string | null {
  return PLACED.exec(token)?.[1] ?? null;
}

/**
 * The first rule that fits: "special" ([CLS], <s>, …), "frame", "patch" or "row" (of a prompt), then without the marks of
 * word pieces (##, Ġ, ▁) "space", "bracket atoms" ([nH]), "digits", "letters", "punctuation", else "other".
 */
export function tokenType(token: string): string {
  if (SPECIAL.test(token)) return "special";
  const placed = placedType(token);
  if (placed !== null) return placed;
  const bare = token.replace(MARK, "");
  return KINDS.find(([, test]) => test.test(bare))?.[0] ?? "other";
}
