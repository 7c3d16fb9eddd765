/** @file Cases of attention-probabilities: those of attention. */

export { attentionProbabilitiesCases } from "./attention.ts";
