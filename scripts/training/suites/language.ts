/** @file A small English BERT on a software adapter: four layers of width 128, about four million tokens, three tasks. */

import { languageRuns } from "../language-runs.ts";
import type { Suite } from "../suite.ts";

/** The suite. */
export const language: Suite = {
  title: "A small English BERT",
  measure: "accuracy",
  runs: languageRuns({
    suite: "language",
    about: "4 layers of width 128",
    model: { folder: "{root}scripts/training/small-bert" },
    // So few tokens teach more in small batches with many of them masked: half-way 0.1 nats less than 2,048 tokens with 0.15 masked.
    pretraining: { sequences: 32_000, tokens: 1024, masked: 0.3, rate: 1e-3 },
    codaPhase: { sequences: 8_000, reductionFactor: 2 },
    limit: 4000,
    denseSeeds: [1],
    tasks: { snips: 4, trec: 6, subj: 3 },
    minutes: [110, 12, 6],
  }),
};
