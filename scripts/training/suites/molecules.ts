/**
 * @file Molecular properties on a software adapter: head alone, Pfeiffer adapters, everything, and an AdapterFusion of three task adapters.
 * At most 1,000 molecules of a task, and five epochs of what passes the encoder.
 */

import { fusionFields, moleculeRun } from "../molecule-runs.ts";
import type { MoleculeRun } from "../molecule-runs.ts";
import type { Run, Suite } from "../suite.ts";

const LIMIT = { train: 700, evaluation: 100, test: 200 };
const EPOCHS = 4;
const FUSED = ["bbbp", "bace", "clintox"];

function run({ fields, ...rest }: MoleculeRun): Run {
  return moleculeRun({ ...rest, fields: { epochs: EPOCHS, ...fields } }, LIMIT);
}

function pfeiffer(task: string, minutes: number): Run {
  const fields = { adapters: { [task]: "seq_bn" } };
  return run({ id: `${task}-pfeiffer`, about: "Pfeiffer adapters", task, minutes, rate: 1e-3, fields });
}

/** @param minutes of a training of the head alone, of adapters, of everything */
function taskRuns(task: string, [head, adapters, full]: readonly [number, number, number]): Run[] {
  return [
    run({
      id: `${task}-head`,
      about: "a head on the frozen encoder",
      task,
      minutes: head,
      rate: 3e-3,
      // The encoder is computed once, whatever the number of epochs.
      fields: { epochs: 20 },
    }),
    pfeiffer(task, adapters),
    run({
      id: `${task}-full`,
      about: "full fine-tuning",
      task,
      minutes: full,
      rate: 1e-4,
      fields: { train: { host: "all" } },
    }),
  ];
}

/** The suite. */
export const molecules: Suite = {
  title: "Molecular properties on RXNMapper",
  measure: "roc-auc",
  runs: [
    ...taskRuns("bbbp", [3, 9, 13]),
    ...taskRuns("bace", [3, 12, 18]),
    pfeiffer("clintox", 9),
    run({
      id: "bbbp-fusion",
      about: `AdapterFusion of ${FUSED.join(", ")}`,
      task: "bbbp",
      minutes: 18,
      rate: 5e-4,
      fields: { ...fusionFields(FUSED, "molecules", (name) => `${name}-pfeiffer`), epochs: 3 },
    }),
  ],
};
