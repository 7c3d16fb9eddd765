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
    epochs: 10,
    denseSeeds: [1, 2, 3],
    tasks: ["snips", "trec", "subj", "banking77", "clinc150", "sst2"],
    minutes: null,
  }),
};
