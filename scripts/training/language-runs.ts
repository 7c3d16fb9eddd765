/**
 * @file Trainings of an English BERT of our own: from scratch on books (data/corpus-english-books, public domain), the CoDA phase, in which
 * layer adapters and routers learn the same with a share of the tokens on the heavy path, and tasks on top of what both left.
 */

import type { Run } from "./suite.ts";

/** Tokens of a packed sequence, and most tokens of a task's sentence. */
const LENGTH = 128;
const SEED = 1;
const REDUCTION = 3;
/**
 * Sentences of a task have about 16 tokens: attention among the 6 that are chosen of them cost a twin in PyTorch 17 points of Snips, over all
 * of them none.
 */
const CODA = { reduction: REDUCTION, attention: "k-to-all" };

/** What a suite says of its model and of how long it trains. */
export interface LanguagePlan {
  /** Name of the suite: results of its earlier runs are found by it. */
  readonly suite: string;
  /** What the encoder is, in words. */
  readonly about: string;
  /** Fields of `model` for the training from scratch. */
  readonly model: Readonly<Record<string, unknown>>;
  /** Packed sequences of both phases; null: the whole corpus. Tokens of a batch and the share of them that is masked are those of both. */
  readonly pretraining: {
    readonly sequences: number | null;
    readonly tokens: number;
    readonly masked: number;
    readonly rate: number;
  };
  /** Its adapters have the host's width over `reductionFactor` units. */
  readonly codaPhase: { readonly sequences: number | null; readonly reductionFactor: number };
  /** Most examples of a task that are trained on; null: all. */
  readonly limit: number | null;
  /** Seeds of dense runs; routed ones have three. */
  readonly denseSeeds: readonly number[];
  /** Tasks and their epochs. */
  readonly tasks: Readonly<Record<string, number>>;
  /** Of pretraining, CoDA phase, a task; null: none are stated. */
  readonly minutes: readonly [number, number, number] | null;
}

interface Task {
  readonly about: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Most examples of the evaluation set. */
  readonly evaluation?: number;
}

/** Tasks by name. */
export const languageTasks: Readonly<Record<string, Task>> = {
  snips: {
    about: "intents of Snips",
    data: {
      kind: "table",
      train: { table: "text-snips-intents/train.tsv.gz" },
      test: { table: "text-snips-intents/validate.tsv.gz" },
      labels: "intent",
      split: { evaluation: 0.05 },
    },
    evaluation: 300,
  },
  trec: {
    about: "TREC's kinds of questions",
    data: {
      kind: "labelled-lines",
      train: { lines: "text-sentence-classification/trec.train.txt.gz" },
      test: { lines: "text-sentence-classification/trec.test.txt.gz" },
      classes: 6,
      split: { evaluation: 0.06 },
    },
  },
  subj: {
    about: "SUBJ: subjective or not",
    data: {
      kind: "labelled-lines",
      train: { lines: "text-sentence-classification/subj.all.txt.gz" },
      classes: 2,
      split: { evaluation: 0.05, test: 0.1 },
    },
    evaluation: 300,
  },
  banking77: {
    about: "intents of Banking77",
    data: {
      kind: "table",
      train: { table: "text-banking77/train.csv.gz" },
      test: { table: "text-banking77/test.csv.gz" },
      labels: "category",
      split: { evaluation: 0.05 },
    },
  },
  clinc150: {
    about: "intents of CLINC150 within its scope",
    data: {
      kind: "json-lists",
      train: { lists: "text-clinc150/data_full.json.gz", names: ["train"] },
      evaluation: { lists: "text-clinc150/data_full.json.gz", names: ["val"] },
      test: { lists: "text-clinc150/data_full.json.gz", names: ["test"] },
    },
  },
  sst2: {
    about: "SST-2: sentiment of films' reviews",
    data: {
      kind: "labelled-lines",
      train: { lines: "text-sentence-classification/sst2.train.txt.gz" },
      evaluation: { lines: "text-sentence-classification/sst2.dev.txt.gz" },
      test: { lines: "text-sentence-classification/sst2.test.txt.gz" },
      classes: 2,
    },
  },
};

interface Form {
  readonly about: string;
  readonly seeds: (plan: LanguagePlan) => readonly number[];
  readonly routing: (plan: LanguagePlan) => object;
}

const FORMS: Readonly<Record<string, Form>> = {
  dense: {
    about: "dense, with the layer adapter of CoDA",
    seeds: ({ denseSeeds }) => denseSeeds,
    routing: () => ({}),
  },
  coda: {
    about: `CoDA, r = ${REDUCTION}, from the routers of the CoDA phase`,
    seeds: () => [1, 2, 3],
    routing: ({ suite }) => ({
      routing: { ...CODA, vectors: `{work}/${suite}/coda-phase/routers.safetensors` },
    }),
  },
  random: {
    about: `r = ${REDUCTION}, tokens at random`,
    seeds: () => [1, 2, 3],
    routing: () => ({ routing: { ...CODA, router: "random" } }),
  },
};

function taskRun(plan: LanguagePlan, task: string, form: string, seed: number): Run {
  const { suite, limit, tasks, minutes } = plan;
  const { data, about, evaluation } = languageTasks[task] as Task;
  const { about: how, routing } = FORMS[form] as Form;
  const least = evaluation === undefined ? {} : { evaluation };
  const limits = limit === null ? {} : { limit: { train: limit, ...least } };
  const config = {
    model: { folder: `{work}/${suite}/pretraining/model` },
    data: { ...data, ...limits, long: "cut", length: LENGTH },
    adapters: { [task]: `{work}/${suite}/coda-phase/adapters/light` },
    ...routing(plan),
    schedule: { kind: "linear", learningRate: 4e-3, warmup: 0.06 },
    batch: { sequences: 32 },
    epochs: tasks[task],
    checkpoint: { every: 50 },
    seed,
  };
  return { id: `${task}-${form}-seed${seed}`, about: `${about}: ${how}`, minutes: minutes?.[2] ?? null, config };
}

/** A training of masked language modelling on the books. */
function booksRun(
  { pretraining: { tokens, masked } }: LanguagePlan,
  run: Omit<Run, "config">,
  sequences: number | null,
  fields: Readonly<Record<string, unknown>>,
): Run {
  const limits = { ...(sequences === null ? {} : { train: sequences }), evaluation: 200 };
  const config = {
    data: {
      kind: "corpus",
      train: { text: "corpus-english-books/train.txt.gz" },
      evaluation: { text: "corpus-english-books/valid.txt.gz" },
      length: LENGTH,
      limit: limits,
      masked,
    },
    objective: "masked-language-modelling",
    head: "default",
    batch: { tokens },
    epochs: 1,
    evaluation: { every: 500 },
    checkpoint: { every: 100 },
    log: 20,
    seed: SEED,
    ...fields,
  };
  return { ...run, config };
}

/** @returns all trainings of a plan, in the order in which they build on one another */
export function languageRuns(plan: LanguagePlan): Run[] {
  const { suite, about, model, pretraining, codaPhase, tasks, minutes } = plan;
  const scratch = { id: "pretraining", about: `${about} from scratch on books`, minutes: minutes?.[0] ?? null };
  const phase = {
    id: "coda-phase",
    about: `layer adapters and routers, r = ${REDUCTION}, on books`,
    minutes: minutes?.[1] ?? null,
  };
  return [
    booksRun(plan, scratch, pretraining.sequences, {
      model: { ...model, fresh: SEED },
      train: { host: "all" },
      schedule: { kind: "cosine", learningRate: pretraining.rate, warmup: 0.05, final: 0.05 },
    }),
    booksRun(plan, phase, codaPhase.sequences, {
      model: { folder: `{work}/${suite}/pretraining/model` },
      adapters: { light: { preset: "coda", reduction_factor: codaPhase.reductionFactor } },
      routing: CODA,
      train: { head: false },
      schedule: { kind: "linear", learningRate: 1e-3, warmup: 0.05 },
    }),
    ...Object.keys(tasks).flatMap((task) =>
      Object.entries(FORMS).flatMap(([form, { seeds }]) => seeds(plan).map((seed) => taskRun(plan, task, form, seed))),
    ),
  ];
}
