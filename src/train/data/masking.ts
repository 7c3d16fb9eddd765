/** @file Masks of masked language modelling: which tokens are hidden, and behind what (Devlin et al. 2019, §3.1). */

import { EngineError } from "../../errors.ts";
import type { Tokenizer } from "../../inputs/tokenizer.ts";
import { philox } from "../../random.ts";
import { NO_LABEL } from "../objectives.ts";

/** What masks are drawn with. */
export interface Masking {
  /** The share of tokens that are to be found out. */
  readonly share: number;
  /** The id that stands for a hidden token. */
  readonly mask: number;
  /** Ids that stand for hidden tokens at random: all below this. */
  readonly vocabulary: number;
  readonly seed: number;
}

/** Number of this use of the generator: others with the same seed draw independently. */
const STREAM = 0x6d61736b;
/** Of the tokens to be found out 80 % are hidden, 10 % changed, 10 % left as they are. */
const [HIDDEN, CHANGED] = [0.8, 0.9];

/** @returns the id of the mask. @throws EngineError UNSUPPORTED for vocabularies without one */
export function maskId(tokenizer: Tokenizer): number {
  for (const name of ["[MASK]", "<mask>"]) {
    const { ids, tokens } = tokenizer.encode(name);
    if (ids.length === 3 && tokens[1] === name) return ids[1] as number;
  }
  throw new EngineError("UNSUPPORTED", "the vocabulary has no token that stands for a hidden one", {
    where: "model.tokenizer",
    fix: "take a tokenizer with [MASK] or <mask>",
  });
}

/**
 * Masks a framed sequence: of its tokens but the first and the last, the share that is to be found out, rounded, at least one. What is drawn
 * follows from the seed, the epoch, the sequence's number and the token's place alone. How many are drawn follows from the length, as in
 * the authors' own code: so the length says how much room a batch needs.
 * @param epoch below 2³²; an evaluation takes one that no training reaches
 * @returns ids to show, and the id to be found at each place or {@link NO_LABEL}
 */
export function maskSequence(
  ids: Uint32Array,
  { share, mask, vocabulary, seed }: Masking,
  { epoch, sequence }: { readonly epoch: number; readonly sequence: number },
): { readonly ids: Uint32Array; readonly targets: Int32Array } {
  const shown = ids.slice();
  const targets = new Int32Array(ids.length).fill(NO_LABEL);
  const inner = Math.max(ids.length - 2, 0);
  const drawn = Array.from({ length: inner }, (_, index) => {
    const place = index + 1;
    return { place, bits: philox([place, sequence, epoch, 0], [seed, STREAM]) };
  });
  drawn.sort((a, b) => a.bits[0] - b.bits[0] || a.place - b.place);
  const count = Math.min(inner, Math.max(1, Math.round(share * inner)));
  for (const { place, bits } of drawn.slice(0, count)) {
    const [, kind, other] = bits;
    targets[place] = ids[place] as number;
    if (kind < HIDDEN * 2 ** 32) shown[place] = mask;
    else if (kind < CHANGED * 2 ** 32) shown[place] = Math.floor((other / 2 ** 32) * vocabulary);
  }
  return { ids: shown, targets };
}
