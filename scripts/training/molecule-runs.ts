/** @file Trainings on molecular properties (data/chem-moleculenet) on a frozen RXNMapper, judged by ROC-AUC. */

import type { Run } from "./suite.ts";

interface Task {
  readonly table: string;
  /** Its column of SMILES. */
  readonly text: string;
  readonly labels: readonly string[];
}

function sider(label: string): Task {
  return { table: "sider", text: "smiles", labels: [label] };
}

/** Tasks by name: whole tables, and four of SIDER's 27 side effects each by itself. */
export const moleculeTasks: Readonly<Record<string, Task>> = {
  bbbp: { table: "bbbp", text: "smiles", labels: ["p_np"] },
  bace: { table: "bace", text: "mol", labels: ["Class"] },
  clintox: { table: "clintox", text: "smiles", labels: ["FDA_APPROVED", "CT_TOX"] },
  tox21: {
    table: "tox21",
    text: "smiles",
    labels: [
      "NR-AR",
      "NR-AR-LBD",
      "NR-AhR",
      "NR-Aromatase",
      "NR-ER",
      "NR-ER-LBD",
      "NR-PPAR-gamma",
      "SR-ARE",
      "SR-ATAD5",
      "SR-HSE",
      "SR-MMP",
      "SR-p53",
    ],
  },
  "sider-hepatobiliary": sider("Hepatobiliary disorders"),
  "sider-eye": sider("Eye disorders"),
  "sider-reproductive": sider("Reproductive system and breast disorders"),
  "sider-blood": sider("Blood and lymphatic system disorders"),
};

/** One training on a task. */
export interface MoleculeRun {
  readonly id: string;
  readonly about: string;
  readonly task: string;
  readonly minutes: number | null;
  readonly rate: number;
  readonly fields: Readonly<Record<string, unknown>>;
}

/**
 * @param limit most examples of every set; null: all
 * @returns the training; its molecules are split by hash
 */
export function moleculeRun(
  { id, about, task, minutes, rate, fields }: MoleculeRun,
  limit: Readonly<Record<string, number>> | null,
): Run {
  const { table, text, labels } = moleculeTasks[task] as Task;
  const config = {
    model: { folder: "rxnmapper-albert" },
    data: {
      kind: "table",
      train: { table: `chem-moleculenet/${table}.csv.gz` },
      text,
      labels,
      split: { evaluation: 0.1, test: 0.2 },
      ...(limit === null ? {} : { limit }),
      long: "leave-out",
    },
    objective: "binary-cross-entropy",
    schedule: { kind: "linear", learningRate: rate, warmup: 0.1 },
    batch: { sequences: 16 },
    checkpoint: { every: 20 },
    seed: 1,
    ...fields,
  };
  return { id, about: `${task}: ${about}`, minutes, config };
}

/** Fields of a fusion of adapters that earlier runs of a suite have trained; `folderOf` tells which run. */
export function fusionFields(
  names: readonly string[],
  suite: string,
  folderOf: (name: string) => string,
): Readonly<Record<string, unknown>> {
  const folders = names.map((name) => [name, `{work}/${suite}/${folderOf(name)}/adapters/${name}`] as const);
  return { adapters: Object.fromEntries(folders), fusions: { [names.join(",")]: "dynamic" }, head: { name: "fused" } };
}
