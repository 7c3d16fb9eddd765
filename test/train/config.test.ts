/** @file Configurations of trainings: defaults, every refusal, what a checkpoint's hash depends on, and the documented fields. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { codaFromJson } from "../../src/routing/coda-json.ts";
import { scheduleOf } from "../../src/train/config/run.ts";
import { configIdentity, readTrainConfig } from "../../src/train/config/config.ts";
import type { TrainConfig } from "../../src/train/config/config.ts";

const base = {
  model: { folder: "model" },
  data: { kind: "table", train: { table: "a.csv" } },
  adapters: { task: "seq_bn" },
};

function read(changes: Readonly<Record<string, unknown>> = {}): TrainConfig {
  return readTrainConfig({ ...base, ...changes }, "name");
}

function data(changes: Readonly<Record<string, unknown>>): TrainConfig {
  return read({ data: { ...base.data, ...changes } });
}

describe("defaults", () => {
  test("are all there", () => {
    expect(read()).toEqual({
      name: "name",
      model: { folder: "model", config: null, weights: null, tokenizer: null, precision: "f32", fresh: null },
      data: {
        kind: "table",
        sets: { train: { files: { table: "a.csv" }, lists: [] } },
        text: ["text"],
        labels: ["label"],
        classes: null,
        groups: null,
        emptyClasses: "refuse",
        split: null,
        limit: {},
        length: null,
        long: "refuse",
        sampleRate: null,
        crop: "center",
        masked: 0.15,
      },
      adapters: { task: "seq_bn" },
      fusions: [],
      active: "task",
      head: { name: "task", place: {} },
      train: { head: true, adapters: ["task"], fusions: [], routers: false, host: null },
      routing: null,
      objective: { kind: "cross-entropy", labelSmoothing: 0 },
      optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 },
      schedule: { kind: "linear", learningRate: 1e-4, warmup: 0, final: 0 },
      batch: { sequences: 16, tokens: null, accumulate: 1 },
      length: { epochs: 10 },
      dropout: null,
      hostDropout: 0,
      fusionDropout: null,
      adapterDrop: null,
      recompute: false,
      cache: true,
      seed: 0,
      evaluation: { every: null, metric: "accuracy", patience: null, dropped: [], pruned: [] },
      checkpoint: { every: 100 },
      log: 1,
      output: null,
    });
  });

  test("follow from what else is said", () => {
    expect(read({ objective: "binary-cross-entropy" }).evaluation.metric).toBe("roc-auc");
    expect(read({ optimizer: { kind: "sgd" } }).optimizer).toEqual({
      kind: "sgd",
      momentum: 0.9,
      weightDecay: 0,
      clip: 1,
    });
    expect(read({ optimizer: { clip: null } }).optimizer.clip).toBeNull();
    expect(read({ batch: { tokens: 512 } }).batch).toEqual({ sequences: null, tokens: 512, accumulate: 1 });
    expect(read({ routing: { reduction: 3 } }).train.routers).toBe(true);
    expect(read({ routing: { reduction: 3, router: "norm" } }).train.routers).toBe(false);
    const fused = read({ adapters: { a: "seq_bn", b: "x" }, fusions: { "a,b": "dynamic" } });
    expect(fused).toMatchObject({
      active: "fuse(a,b)",
      train: { adapters: [], fusions: ["a,b"] },
      head: { name: "task" },
    });
    expect(read({ adapters: {}, train: { host: "all" } })).toMatchObject({ active: null, head: { name: "task" } });
    expect(read({ head: "default" }).head).toEqual({ name: "default", place: null });
  });

  test("of fusion dropout", () => {
    const fusions = { adapters: { a: "seq_bn", b: "x" }, fusions: { "a,b": "dynamic" } };
    const { fusionDropout } = read({ ...fusions, fusionDropout: { rate: 0.5 } });
    expect(fusionDropout).toEqual({ rate: 0.5, reading: "each", by: "batch" });
  });

  test("of masked language modelling", () => {
    const corpus = { kind: "corpus", train: { text: "a.txt" }, length: 64 };
    expect(
      read({ objective: "masked-language-modelling", data: corpus, adapters: {}, train: { host: "all" } }),
    ).toMatchObject({
      head: { name: "default", place: null },
      train: { head: false, host: "all" },
      evaluation: { metric: "loss" },
    });
  });

  test("warm-up is a number of steps, or a share of them", () => {
    const { schedule } = read({ schedule: { warmup: 0.1 } });
    expect(scheduleOf(schedule, 50).warmup).toBe(5);
    expect(scheduleOf({ ...schedule, warmup: 7 }, 50).warmup).toBe(7);
    expect(() => scheduleOf({ ...schedule, warmup: 51 }, 50)).toThrow("schedule.warmup is 51");
  });

  test("settings of routers stand beside the options of coda", () => {
    const { routing } = read({ routing: { reduction: 2, router: "threshold", threshold: 0.5 } });
    expect(codaFromJson(routing?.options ?? {}).router).toMatchObject({
      name: "threshold",
      settings: { threshold: 0.5 },
    });
  });
});

describe("what is refused", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["an unknown field", { learningRate: 1 }, 'the training has the unknown field "learningRate"; known: name, model'],
    ["no model", { model: undefined }, "model is missing, expected an object"],
    ["an unknown field of the model", { model: { folder: "m", path: "x" } }, "model has the unknown field"],
    ["an unknown preset of precision", { model: { folder: "m", precision: "f64" } }, "model.precision is"],
    ["epochs and steps", { epochs: 1, steps: 2 }, "epochs is 1, expected nothing beside steps"],
    ["no steps", { steps: 0 }, "steps is 0, expected a whole number from 1"],
    ["an unknown objective", { objective: "hinge" }, "objective.kind is"],
    [
      "smoothing without classes",
      { objective: { kind: "squared-error", labelSmoothing: 0.1 } },
      "objective.labelSmoothing is 0.1",
    ],
    ["a metric of another objective", { evaluation: { metric: "spearman" } }, "evaluation.metric is"],
    ["momentum of AdamW", { optimizer: { momentum: 0.5 } }, 'optimizer has the unknown field "momentum"'],
    ["a beta of 1", { optimizer: { beta1: 1 } }, "optimizer.beta1 is 1"],
    ["a clip of 0", { optimizer: { clip: 0 } }, "optimizer.clip is 0"],
    ["a rate of 0", { schedule: { learningRate: 0 } }, "schedule.learningRate is 0"],
    ["half a step of warm-up", { schedule: { warmup: 2.5 } }, "schedule.warmup is 2.5"],
    ["a dropout of 1", { dropout: 1 }, "dropout is 1"],
    ["a dropout of 1 in the host", { hostDropout: 1 }, "hostDropout is 1"],
    ["pruning without a fusion", { evaluation: { pruned: [1] } }, "evaluation.pruned is"],
    [
      "keeping more adapters than there are",
      { adapters: { a: "seq_bn", b: "x" }, fusions: { "a,b": "dynamic" }, evaluation: { pruned: [1, 3] } },
      "evaluation.pruned is 3, expected at most 2",
    ],
    ["fusion dropout without a fusion", { fusionDropout: { rate: 0.5 } }, "fusionDropout is"],
    [
      "fusion dropout of everything",
      { adapters: { a: "seq_bn", b: "x" }, fusions: { "a,b": "dynamic" }, fusionDropout: { rate: 1 } },
      "fusionDropout.rate is 1",
    ],
    ["a seed below 0", { seed: -1 }, "seed is -1"],
    ["a seed of more than 32 bits", { seed: 2 ** 32 }, "seed is 4294967296"],
    ["several adapters without a composition", { adapters: { a: "seq_bn", b: "seq_bn" } }, "active is missing"],
    ["an adapter that leaves its folder", { adapters: { "../a": "seq_bn" } }, 'adapters is "../a"'],
    [
      "a fusion of strangers",
      { fusions: { "task,x": "dynamic" } },
      'fusions["task,x"] is "task,x", expected names of adapters, not x',
    ],
    ["training a stranger", { train: { adapters: ["x"] } }, 'train.adapters[0] is "x", expected one of task'],
    ["training routers that are not there", { train: { routers: true } }, "train.routers is true"],
    ["router vectors in the file", { routing: { reduction: 2, weights: [] } }, "routing.weights is"],
    ["an unknown option of routing", { routing: { reduction: 2, r: 3 } }, "coda: r is 3"],
    ["a setting of another router", { routing: { reduction: 2, threshold: 1 } }, "coda: threshold is 1"],
    ["specialised AdapterDrop of no number", { adapterDrop: { kind: "specialised" } }, "adapterDrop.layers is missing"],
    ["a head called default", { head: { name: "default" } }, 'head.name is "default"'],
    ["a head in two places", { head: { folder: "x", config: {} } }, "head.config is"],
  ])("%s", (_, changes, message) => {
    expect(() => read(changes)).toThrow(message);
    try {
      read(changes);
    } catch (error) {
      expect(error).toBeInstanceOf(EngineError);
      expect(error).toMatchObject({ code: "BAD_CONFIG" });
    }
  });

  test.each<[string, Record<string, unknown>, string]>([
    ["an unknown kind", { kind: "parquet" }, "data.kind is"],
    ["files of another kind", { train: { lines: "x" } }, 'data.train has the unknown field "lines"'],
    ["a missing file", { train: {} }, "data.train.table is missing"],
    ["three texts", { text: ["a", "b", "c"] }, "data.text is"],
    ["several labels of one class", { labels: ["a", "b"] }, "data.labels is"],
    ["a split beside files", { evaluation: { table: "b" }, split: { evaluation: 0.1 } }, "data.split.evaluation is"],
    ["shares of nothing", { split: { evaluation: 0 } }, "data.split is"],
    ["shares of everything", { split: { evaluation: 0.5, test: 0.5 } }, "data.split is"],
    ["a limit of no set", { limit: { valid: 3 } }, 'data.limit has the unknown field "valid"'],
    ["no masks", { masked: 0 }, "data.masked is 0"],
    ["a corpus with labels", { kind: "corpus", train: { text: "x" } }, "data.kind is"],
  ])("%s", (_, changes, message) => {
    expect(() => data(changes)).toThrow(message);
  });

  test("a split by column needs a table", () => {
    expect(() => data({ kind: "labelled-lines", train: { lines: "x" }, split: { column: "s" } })).toThrow(
      "data.split.column is",
    );
  });

  test("names the page that has every field", () => {
    expect(() => read({ steps: 0 })).toThrow(expect.objectContaining({ fix: "see docs/training.md for every field" }));
  });
});

describe("the identity of a configuration", () => {
  test("does not depend on names, paths, the order of fields or defaults that are written out", () => {
    const own = configIdentity(read());
    expect(
      configIdentity(
        readTrainConfig({ ...base, name: "x", output: "y", log: 7, recompute: true, model: { folder: "z" } }, "b"),
      ),
    ).toBe(own);
    expect(configIdentity(data({ train: { table: "elsewhere.csv" } }))).toBe(own);
    expect(
      configIdentity(readTrainConfig(Object.fromEntries(Object.entries({ ...base, seed: 0 }).reverse()), "n")),
    ).toBe(own);
  });

  test.each([
    { seed: 1 },
    { steps: 10 },
    { batch: { sequences: 8 } },
    { dropout: 0.1 },
    { adapters: { task: "double_seq_bn" } },
    { schedule: { learningRate: 2e-4 } },
    { evaluation: { every: 5 } },
  ])("depends on %j", (changes) => {
    expect(configIdentity(read(changes))).not.toBe(configIdentity(read()));
  });
});

describe("docs/training.md", () => {
  const text = readFileSync(fileURLToPath(new URL("../../docs/training.md", import.meta.url)), "utf8");

  test("its examples are valid", () => {
    const examples = [...text.matchAll(/```json\n([\s\S]*?)```/g)].map(
      ([, json]) => JSON.parse(json as string) as unknown,
    );
    expect(examples.length).toBeGreaterThan(3);
    for (const example of examples) readTrainConfig(example, "example");
  });

  test("names every field", () => {
    const paths = (value: unknown, at: string): string[] => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return [at];
      const inner = Object.entries(value).flatMap(([name, one]) => paths(one, at === "" ? name : `${at}.${name}`));
      return at === "" ? inner : [at, ...inner];
    };
    // What is called otherwise in the file, or is named by the user.
    const skipped = /^(length|data\.sets|adapters\.\w+|head\.place|fusions$)/;
    const fused = { adapters: { a: "seq_bn", task: "x" }, fusions: { "a,task": "dynamic" } };
    const own = [
      ...paths(read({ ...fused, adapterDrop: { kind: "robust" }, fusionDropout: { rate: 0.5 } }), ""),
      "epochs",
      "steps",
      "fusions",
      "head.name",
      "head.folder",
      "head.config",
    ];
    const missing = own.filter((path) => !skipped.test(path) && !text.includes(`\`${path}\``));
    expect(missing).toEqual([]);
  });
});
