/** @file Names of the compositions of the stable interface, which arrive with the adapters. */

import { EngineError } from "../errors.ts";

function planned(name: string): () => never {
  return () => {
    throw new EngineError("NOT_IMPLEMENTED", `the composition ${name}(...) is not there yet`, { where: name });
  };
}

/** AdapterFusion of several adapters. Not there yet. */
export const fuse: (...names: unknown[]) => never = planned("fuse");
/** One adapter after the other. Not there yet. */
export const stack: (...names: unknown[]) => never = planned("stack");
/** Adapters on parts of each sequence. Not there yet. */
export const split: (...names: unknown[]) => never = planned("split");
/** Adapters on parts of the batch. Not there yet. */
export const batchSplit: (...names: unknown[]) => never = planned("batchSplit");
/** Several adapters at once on copies of the batch. Not there yet. */
export const parallel: (...names: unknown[]) => never = planned("parallel");
/** The weighted mean of several adapters. Not there yet. */
export const average: (...names: unknown[]) => never = planned("average");
