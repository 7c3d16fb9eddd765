/**
 * @file Molecular properties (data/chem-moleculenet) on a frozen RXNMapper: head alone, Pfeiffer adapters, everything, and an
 * AdapterFusion of three task adapters. At most 1,000 molecules of a task, split by hash, judged by ROC-AUC.
 */

import type { Run, Suite } from "../suite.ts";

interface Task {
  readonly text: string;
  readonly labels: readonly string[];
  /** Minutes of a training of the head alone, of adapters, of everything. */
  readonly minutes: readonly [number, number, number];
}

const TASKS: Readonly<Record<string, Task>> = {
  bbbp: { text: "smiles", labels: ["p_np"], minutes: [4, 14, 20] },
  bace: { text: "mol", labels: ["Class"], minutes: [5, 20, 28] },
  clintox: { text: "smiles", labels: ["FDA_APPROVED", "CT_TOX"], minutes: [4, 14, 20] },
};
const EPOCHS = 4;

interface Form {
  readonly minutes: number;
  readonly rate: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

function moleculesRun(id: string, about: string, name: string, { minutes, rate, fields }: Form): Run {
  const { text, labels } = TASKS[name] as Task;
  const config = {
    model: { folder: "rxnmapper-albert" },
    data: {
      kind: "table",
      train: { table: `chem-moleculenet/${name}.csv.gz` },
      text,
      labels,
      split: { evaluation: 0.1, test: 0.2 },
      limit: { train: 700, evaluation: 100, test: 200 },
      long: "leave-out",
    },
    objective: "binary-cross-entropy",
    schedule: { kind: "linear", learningRate: rate, warmup: 0.1 },
    batch: { sequences: 16 },
    epochs: EPOCHS,
    checkpoint: { every: 20 },
    seed: 1,
    ...fields,
  };
  return { id, about, minutes, config };
}

function taskRuns(name: string): Run[] {
  const [head, adapters, full] = (TASKS[name] as Task).minutes;
  return [
    moleculesRun(`${name}-head`, `${name}: a head on the frozen encoder`, name, {
      minutes: head,
      rate: 3e-3,
      fields: { epochs: 20 },
    }),
    pfeiffer(name, adapters),
    moleculesRun(`${name}-full`, `${name}: full fine-tuning`, name, {
      minutes: full,
      rate: 1e-4,
      fields: { train: { host: "all" } },
    }),
  ];
}

function pfeiffer(name: string, minutes: number): Run {
  const fields = { adapters: { [name]: "seq_bn" } };
  return moleculesRun(`${name}-pfeiffer`, `${name}: Pfeiffer adapters`, name, { minutes, rate: 1e-3, fields });
}

const FUSED = ["bbbp", "bace", "clintox"];

/** The suite. */
export const molecules: Suite = {
  title: "Molecular properties on RXNMapper",
  measure: "roc-auc",
  runs: [
    ...taskRuns("bbbp"),
    ...taskRuns("bace"),
    pfeiffer("clintox", (TASKS.clintox as Task).minutes[1]),
    moleculesRun("bbbp-fusion", `bbbp: AdapterFusion of ${FUSED.join(", ")}`, "bbbp", {
      minutes: 30,
      rate: 5e-4,
      fields: {
        adapters: Object.fromEntries(FUSED.map((name) => [name, `{work}/molecules/${name}-pfeiffer/adapters/${name}`])),
        fusions: { [FUSED.join(",")]: "dynamic" },
        head: { name: "fused" },
        epochs: 3,
      },
    }),
  ],
};
