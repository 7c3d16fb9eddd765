/** @file Queries and keys each with a router of their own (CoLT5, MATHS §1.3 "Relatives"). */

import { EngineError } from "../../errors.ts";
import type { Router } from "../router.ts";
import { gatedBy, softTopKWeights } from "./values.ts";

/** What {@link separate} takes. */
export interface SeparateOptions {
  /** r of the keys and values; default: that of the queries. CoLT5 selects more keys than queries. */
  readonly keyReduction?: number;
  /** Multiplies the selected rows by their λ before keys and values are made of them, as CoLT5 writes it; default true. */
  readonly weighKeys?: boolean;
}

/**
 * λ_q and the queries as CoDA has them; keys and values are those of the rows that a second vector selects by a soft top-k of its own:
 * Δ = Attn(P_q Xn, λ_kv ⊙ P_kv Xn). `coda({ attention })` plays no part.
 */
export function separate({ keyReduction, weighKeys = true }: SeparateOptions = {}): Router {
  if (keyReduction !== undefined && !(Number.isFinite(keyReduction) && keyReduction >= 1)) {
    const message = `routers.separate: keyReduction is ${keyReduction}, expected a number of at least 1`;
    throw new EngineError("BAD_CONFIG", message, { where: "coda.router.keyReduction" });
  }
  return {
    name: "separate",
    settings: { ...(keyReduction === undefined ? {} : { keyReduction }), weighKeys },
    vectors: ["score", "keys"],
    score: gatedBy(softTopKWeights),
    keys: {
      reduction: keyReduction ?? null,
      weigh: weighKeys,
      score: gatedBy(softTopKWeights, "keys"),
    },
  };
}
