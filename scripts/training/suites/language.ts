/**
 * @file A small English BERT from scratch: masked language modelling on books (data/corpus-english-books, public domain), then the CoDA
 * phase, in which adapters and routers learn the same with a third of the tokens on the heavy path; then adapters and routers for three
 * tasks, dense and routed, on top of what both phases left.
 */

import type { Run, Suite } from "../suite.ts";

/** Tokens of a packed sequence. */
const LENGTH = 128;
const SEED = 1;

/** About four million tokens. */
const PRETRAINING = 32_000;
/** About one million. */
const CODA_PHASE = 8_000;

const BOOKS = {
  kind: "corpus",
  train: { text: "corpus-english-books/train.txt.gz" },
  evaluation: { text: "corpus-english-books/valid.txt.gz" },
  length: LENGTH,
};

const BASE = "{work}/language/pretraining/model";
const ROUTERS = "{work}/language/coda-phase/routers.safetensors";
const LIGHT = "{work}/language/coda-phase/adapters/light";
const REDUCTION = 3;

const TASKS: Readonly<Record<string, { readonly data: Readonly<Record<string, unknown>>; readonly about: string }>> = {
  snips: {
    about: "intents of Snips",
    data: {
      kind: "table",
      train: { table: "text-snips-intents/train.tsv.gz" },
      test: { table: "text-snips-intents/validate.tsv.gz" },
      labels: "intent",
      split: { evaluation: 0.05 },
      limit: { train: 4000, evaluation: 300 },
    },
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
      limit: { train: 4000, evaluation: 300 },
    },
  },
};

const FORMS: Readonly<Record<string, { readonly about: string; readonly fields: (task: string) => object }>> = {
  dense: {
    about: "dense, with the layer adapter of CoDA",
    fields: (task) => ({ adapters: { [task]: LIGHT } }),
  },
  coda: {
    about: "CoDA, r = 3, from the routers of the CoDA phase",
    fields: (task) => ({ adapters: { [task]: LIGHT }, routing: { reduction: REDUCTION, vectors: ROUTERS } }),
  },
  random: {
    about: "r = 3, tokens at random",
    fields: (task) => ({ adapters: { [task]: LIGHT }, routing: { reduction: REDUCTION, router: "random" } }),
  },
};

function taskRun(task: string, form: string, seed: number): Run {
  const { data, about } = TASKS[task] as (typeof TASKS)[string];
  const { about: how, fields } = FORMS[form] as (typeof FORMS)[string];
  const config = {
    model: { folder: BASE },
    data: { ...data, long: "cut", length: LENGTH },
    schedule: { kind: "linear", learningRate: 2e-3, warmup: 0.06 },
    batch: { sequences: 32 },
    epochs: 4,
    checkpoint: { every: 50 },
    seed,
    ...fields(task),
  };
  return { id: `${task}-${form}-seed${seed}`, about: `${about}: ${how}`, minutes: 6, config };
}

function pretraining(id: string, about: string, minutes: number, fields: Readonly<Record<string, unknown>>): Run {
  const config = {
    objective: "masked-language-modelling",
    head: "default",
    batch: { tokens: 2048 },
    epochs: 1,
    evaluation: { every: 250 },
    checkpoint: { every: 50 },
    log: 10,
    seed: SEED,
    ...fields,
  };
  return { id, about, minutes, config };
}

/** The suite. */
export const language: Suite = {
  title: "A small English BERT",
  measure: "accuracy",
  runs: [
    pretraining("pretraining", "4 layers of width 128 from scratch on 4 million tokens of books", 110, {
      model: { folder: "{root}scripts/training/small-bert", fresh: SEED },
      data: { ...BOOKS, limit: { train: PRETRAINING, evaluation: 200 } },
      train: { host: "all" },
      schedule: { kind: "cosine", learningRate: 1e-3, warmup: 0.05, final: 0.05 },
    }),
    pretraining("coda-phase", "layer adapters and routers, r = 3, on a million tokens", 15, {
      model: { folder: BASE },
      data: { ...BOOKS, limit: { train: CODA_PHASE, evaluation: 200 } },
      adapters: { light: "coda" },
      routing: { reduction: REDUCTION },
      train: { head: false },
      schedule: { kind: "linear", learningRate: 1e-3, warmup: 0.05 },
    }),
    ...Object.keys(TASKS).flatMap((task) =>
      Object.keys(FORMS).flatMap((form) =>
        (form === "dense" ? [1] : [1, 2, 3]).map((seed) => taskRun(task, form, seed)),
      ),
    ),
  ],
};
