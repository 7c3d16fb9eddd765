/**
 * @file Molecular properties, for a GPU: eight tasks with all of their molecules and three seeds, AdapterFusion of the eight adapters, pruned to
 * fewer of them (figure 5 of Rücklé et al. 2021), and fusion dropout (their table 7).
 */

import { fusionFields, moleculeRun, moleculeTasks } from "../molecule-runs.ts";
import { perSeed } from "../suite.ts";
import type { Run, Suite } from "../suite.ts";

const SUITE = "molecules-gpu";
const SEEDS = [1, 2, 3];
const EPOCHS = 20;
const EIGHT = Object.keys(moleculeTasks);
/** Tasks that all eight are fused for. */
const TARGETS = ["bbbp", "bace", "clintox", "tox21"];
/** The share of whole adapters that fusion dropout leaves out of every layer. */
const RATES = [0.25, 0.5, 0.75];

function pfeiffer(task: string, seed: number): Run {
  const fields = { adapters: { [task]: "seq_bn" }, epochs: EPOCHS, seed };
  return moleculeRun({ id: task, about: "Pfeiffer adapters", task, minutes: null, rate: 1e-3, fields }, null);
}

function fused(task: string, id: string, about: string, fields: Readonly<Record<string, unknown>>): Run[] {
  return perSeed(SEEDS, (seed) =>
    moleculeRun(
      {
        id: `${task}-${id}`,
        about,
        task,
        minutes: null,
        rate: 5e-4,
        fields: { ...fusionFields(EIGHT, SUITE, (name) => `${name}-seed${seed}`), epochs: EPOCHS, seed, ...fields },
      },
      null,
    ),
  );
}

/** The suite. */
export const moleculesGpu: Suite = {
  title: "Eight molecular properties on RXNMapper",
  measure: "roc-auc",
  runs: [
    ...EIGHT.flatMap((task) => perSeed(SEEDS, (seed) => pfeiffer(task, seed))),
    ...TARGETS.flatMap((task) => [
      ...fused(task, "fusion", "AdapterFusion of eight", { evaluation: { pruned: [8, 7, 6, 5, 4, 3, 2] } }),
      ...RATES.flatMap((rate) =>
        fused(
          task,
          `dropout-${rate * 100}`,
          `AdapterFusion of eight, ${rate * 100} % of them left out while training`,
          {
            fusionDropout: { rate, reading: "count" },
          },
        ),
      ),
    ]),
  ],
};
