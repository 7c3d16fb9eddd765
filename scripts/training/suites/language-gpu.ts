/** @file A larger English BERT, for a GPU: six layers of width 256 on the whole corpus, six tasks with all of their examples. */

import { languageRuns } from "../language-runs.ts";
import type { Suite } from "../suite.ts";

/** The suite. */
export const languageGpu: Suite = {
  title: "A larger English BERT",
  measure: "accuracy",
  runs: languageRuns({
    suite: "language-gpu",
    about: "6 layers of width 256",
    // The vocabulary is that of the small one.
    model: { folder: "{root}scripts/training/small-bert", config: "{root}scripts/training/larger-bert.json" },
    pretraining: { sequences: null, tokens: 8192, masked: 0.15, rate: 7e-4 },
    codaPhase: { sequences: null, reductionFactor: 4 },
    limit: null,
    denseSeeds: [1, 2, 3],
    tasks: { snips: 10, trec: 10, subj: 10, banking77: 10, clinc150: 10, sst2: 10 },
    minutes: null,
  }),
};
