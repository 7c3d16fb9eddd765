/** @file `train` from a configuration to what it leaves behind, on a tiny model. */

import { mkdir, readFile, readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { commandLine, useFolder } from "./fixture.ts";
import type { Ran } from "./fixture.ts";
import { metricsOf, sentences, trainConfig, weightsOf, writeTraining } from "./train-fixture.ts";

const folder = useFolder();

beforeAll(async () => {
  await writeTraining(folder.path);
});

async function train(changes: Readonly<Record<string, unknown>>, out: string, ...more: string[]): Promise<Ran> {
  const config = await writeTraining(folder.path, changes, `${out}.json`);
  return commandLine(["train", "--config", config, "--out", folder.file(out), ...more]);
}

async function results(out: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(folder.file(out), "results.json"), "utf8")) as Record<string, unknown>;
}

interface Loss {
  readonly loss: number;
}

describe("what lies below everything that is trained", () => {
  const test12 = { ...trainConfig(), steps: 12, dropout: 0 };
  const data = { kind: "table", train: { table: "train.tsv" }, test: { table: "evaluation.tsv" } };

  test("is computed once, and the scores are those of a training that computes it in every step", async () => {
    const head = { ...test12, adapters: {}, data, head: { name: "animal" } };
    const cached = await train(head, "cached");
    expect(cached.code, cached.err).toBe(0);
    expect(cached.err).toMatch(/nothing below layer \d+ is trained: computed once/);
    const plain = await train({ ...head, cache: false }, "uncached");
    expect(plain.err).not.toContain("computed once");
    const [a, b] = [await metricsOf(folder.file("cached")), await metricsOf(folder.file("uncached"))];
    const losses = (lines: readonly unknown[]): number[] => lines.map((line) => (line as { loss: number }).loss);
    losses(a).forEach((loss, at) => expect(loss).toBeCloseTo(losses(b)[at] as number, 4));
    expect(losses(a)).toHaveLength(12);
    const loss = async (out: string): Promise<number> => ((await results(out)).test as { loss: number }).loss;
    expect(await loss("cached")).toBeCloseTo(await loss("uncached"), 4);
  });

  test("begins above the layers that specialised AdapterDrop leaves out; other depths are tested whole", async () => {
    const dropped = { adapterDrop: { kind: "specialised", layers: 1 }, evaluation: { dropped: [0, 1, 2] } };
    const { code, err } = await train({ ...test12, data, ...dropped }, "dropped");
    expect(code, err).toBe(0);
    expect(err).toContain("nothing below layer 1 is trained");
    const found = await results("dropped");
    const scores = found.dropped as Record<string, { loss: number }>;
    expect(Object.keys(scores)).toEqual(["0", "1", "2"]);
    expect(scores[1]?.loss).toBeCloseTo((found.test as { loss: number }).loss, 4);
    const refused = await train({ ...test12, data, evaluation: { dropped: [9] } }, "too-many");
    expect(refused.code).toBe(2);
    expect(refused.err).toContain("evaluation.dropped is 9");
  });
});

describe("a training", () => {
  const changes = {
    data: {
      kind: "table",
      train: { table: "train.tsv" },
      evaluation: { table: "evaluation.tsv" },
      test: { table: "evaluation.tsv" },
    },
    steps: 120,
    dropout: 0,
    schedule: { learningRate: 0.01, warmup: 5 },
    evaluation: { every: 15 },
    checkpoint: { every: 50 },
  };

  test("learns, measures, and leaves an adapter with its head that run takes", async () => {
    const { code, out, err } = await train(changes, "plain");
    expect(code, err).toBe(0);
    expect(out).toMatch(/best +step \d+, accuracy 1\.0000/);
    const found = await results("plain");
    expect(found).toMatchObject({
      steps: 120,
      ended: "steps",
      labels: ["cat", "dog"],
      seed: 0,
      saved: ["adapters/animal"],
    });
    // The best weights are tested, not the last ones: on the same set they give the same scores.
    expect(found.test).toEqual(found.evaluation);
    const lines = (await metricsOf(folder.file("plain"))) as { kind: string; loss: number }[];
    expect(lines.filter(({ kind }) => kind === "step")).toHaveLength(120);
    expect(lines.filter(({ kind }) => kind === "evaluation")).toHaveLength(8);
    // Those that it was measured on: all of them right.
    const tests = sentences(10, 2);
    await writeFile(folder.file("in.txt"), `${tests.map(({ text }) => text).join("\n")}\n`);
    const adapter = `animal=${folder.file("plain")}/adapters/animal`;
    const files = ["--model", folder.file("model"), "--adapter", adapter, "--input", folder.file("in.txt")];
    const ran = await commandLine(["run", ...files, "--json", folder.file("run.json")]);
    expect(ran.code, ran.err).toBe(0);
    const text = await readFile(folder.file("run.json"), "utf8");
    const logits = [...text.matchAll(/\[\s*(-?[\d.e-]+),\s*(-?[\d.e-]+)\s*\]/g)].map(([, a, b]) =>
      Number(b) > Number(a) ? "dog" : "cat",
    );
    expect(logits).toEqual(tests.map(({ label }) => label));
  });

  test("that is over does nothing again, and gives the same", async () => {
    const before = await weightsOf(folder.file("plain"));
    const old = await results("plain");
    const { code, err } = await train(changes, "plain", "--json");
    expect(code, err).toBe(0);
    expect(err).toContain("going on from step 120 of 120");
    expect(await weightsOf(folder.file("plain"))).toEqual(before);
    expect(await results("plain")).toMatchObject({ best: old.best, test: old.test, milliseconds: old.milliseconds });
  });

  test("goes on from the checkpoint before a broken one, to the same bits", async () => {
    const before = await weightsOf(folder.file("plain"));
    const lines = await metricsOf(folder.file("plain"));
    const files = (await readdir(join(folder.file("plain"), "checkpoints"))).sort();
    await truncate(join(folder.file("plain"), "checkpoints", files.at(-1) as string), 1000);
    const { code, err } = await train(changes, "plain");
    expect(code, err).toBe(0);
    expect(err).toMatch(/step-000000120\.safetensors is no whole checkpoint: .*; going on from .*step-000000\d+/);
    expect(await weightsOf(folder.file("plain"))).toEqual(before);
    expect(await metricsOf(folder.file("plain"))).toEqual(lines);
  });

  test("refuses the checkpoints of another configuration or of other data, and any where it is to begin anew", async () => {
    const other = await train({ ...changes, seed: 1 }, "plain");
    expect(other.code).toBe(2);
    expect(other.err).toMatch(
      /is of another configuration: its config has the hash [0-9a-f]{16}, this one's [0-9a-f]{16}/,
    );
    const changed = { ...changes, data: { ...changes.data, test: { table: "train.tsv" } } };
    expect((await train(changed, "plain")).err).toMatch(/is of other data: its data has the hash/);
    const never = await train(changes, "plain", "--resume", "never");
    expect([never.code, never.err.includes("holds the checkpoints of a training")]).toEqual([2, true]);
    expect((await readdir(folder.file("plain"))).sort()).toContain("results.json");
  });
});

test("a training that diverges ends with 2, the step, the value and the last good checkpoint", async () => {
  const { code, err } = await train(
    { schedule: { kind: "constant", learningRate: 1e30 }, optimizer: { clip: null }, checkpoint: { every: 1 } },
    "diverged",
  );
  expect(code).toBe(2);
  expect(err).toMatch(/step \d+: .* is (NaN|-?Infinity).*; the last good checkpoint is .*step-\d+\.safetensors/);
  const names = await readdir(join(folder.file("diverged"), "checkpoints"));
  expect(names.length).toBeGreaterThan(0);
  expect(names.every((name) => name.endsWith(".safetensors"))).toBe(true);
});

test("several labels with gaps, robust AdapterDrop and an early end", async () => {
  const rows = sentences(24, 5).map(({ text, label }, index) => [
    text,
    label === "cat" ? 1 : 0,
    index % 3 === 0 ? "" : index % 2,
  ]);
  await writeFile(folder.file("labels.csv"), `text,cat,even\n${rows.map((row) => row.join(",")).join("\n")}\n`);
  const { code, err } = await train(
    {
      data: { kind: "table", train: { table: "labels.csv" }, labels: ["cat", "even"], split: { evaluation: 0.3 } },
      objective: "binary-cross-entropy",
      adapterDrop: { kind: "robust", layers: 2 },
      evaluation: { every: 1, metric: "loss", patience: 2 },
      schedule: { kind: "constant", learningRate: 0.05 },
      steps: 200,
    },
    "several",
  );
  expect(code, err).toBe(0);
  const found = await results("several");
  const { steps, best, ended } = found as { steps: number; best: { step: number }; ended: string };
  expect(ended).toBe("patience");
  expect(steps).toBe(best.step + 2);
  const dropped = (await metricsOf(folder.file("several"))).flatMap((line) => {
    const { dropped: count } = line as { dropped?: number };
    return count === undefined ? [] : [count];
  });
  expect(dropped).toHaveLength(steps);
  expect(dropped.every((count) => count === 0 || count === 1)).toBe(true);
});

test("a fusion with fusion dropout and robust AdapterDrop goes on from a checkpoint to the same bits", async () => {
  const bottleneck = { preset: "seq_bn", reduction_factor: 4 };
  const changes = {
    adapters: { a: bottleneck, b: bottleneck, c: bottleneck },
    fusions: { "a,b,c": "dynamic" },
    fusionDropout: { rate: 0.5, reading: "each", by: "sequence" },
    adapterDrop: { kind: "robust", layers: 2 },
    data: { kind: "table", train: { table: "train.tsv" }, test: { table: "evaluation.tsv" } },
    evaluation: { pruned: [3, 1] },
  };
  const { code, err } = await train(changes, "fusion");
  expect(code, err).toBe(0);
  const { test: whole, pruned } = (await results("fusion")) as { test: Loss; pruned: Record<number, Loss> };
  // All of its adapters are the model as it is.
  expect(pruned[3]).toEqual(whole);
  expect(pruned[1]?.loss).not.toBe(whole.loss);
  const [weights, lines] = [await weightsOf(folder.file("fusion")), await metricsOf(folder.file("fusion"))];
  expect([...weights.keys()].sort()).toEqual([
    "fusions/a,b,c/model_adapter_fusion.safetensors",
    "heads/task/model_head.safetensors",
  ]);
  const files = (await readdir(join(folder.file("fusion"), "checkpoints"))).sort();
  await truncate(join(folder.file("fusion"), "checkpoints", files.at(-1) as string), 1000);
  const again = await train(changes, "fusion");
  expect(again.err).toMatch(/going on from step (8|10) of 12/);
  expect(await weightsOf(folder.file("fusion"))).toEqual(weights);
  expect(await metricsOf(folder.file("fusion"))).toEqual(lines);
  // What is left out changes the steps: without it the losses are others.
  const { fusionDropout: _, ...plain } = changes;
  expect((await train(plain, "fusion-whole")).code).toBe(0);
  expect(await metricsOf(folder.file("fusion-whole"))).not.toEqual(lines);
});

test("an encoder from scratch learns a corpus, and is a folder that loads", async () => {
  const place = folder.file("scratch-model");
  await mkdir(place, { recursive: true });
  const vocabulary = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "dog",
  ];
  await writeFile(join(place, "vocab.txt"), vocabulary.join("\n"));
  const config = {
    model_type: "bert",
    architectures: ["BertForMaskedLM"],
    hidden_size: 16,
    num_attention_heads: 2,
    num_hidden_layers: 1,
    intermediate_size: 32,
    max_position_embeddings: 16,
    vocab_size: vocabulary.length,
  };
  await writeFile(join(place, "config.json"), JSON.stringify(config));
  // One sentence over and over: what is hidden follows from what stands beside it.
  await writeFile(folder.file("corpus.txt"), "the cat sat on a mat and the dog\n".repeat(60));
  await writeFile(folder.file("held-out.txt"), "the cat sat on a mat and the dog\n".repeat(20));
  const { code, err } = await train(
    {
      model: { folder: "scratch-model", fresh: 3 },
      data: { kind: "corpus", train: { text: "corpus.txt" }, evaluation: { text: "held-out.txt" }, length: 12 },
      adapters: {},
      objective: "masked-language-modelling",
      train: { host: "all" },
      schedule: { kind: "constant", learningRate: 0.01, warmup: 0.1 },
      batch: { tokens: 192 },
      steps: 300,
      log: 50,
      evaluation: { every: 100 },
    },
    "scratch",
  );
  expect(code, err).toBe(0);
  const found = (await results("scratch")) as { evaluation: { loss: number }; saved: string[] };
  // Guessing by the frequencies of the eight words costs 2.04.
  expect(found.evaluation.loss).toBeLessThan(1.6);
  expect(found.saved).toEqual(["model"]);
  await writeFile(folder.file("one.txt"), "the cat sat on a mat\n");
  const ran = await commandLine([
    "run",
    "--model",
    join(folder.file("scratch"), "model"),
    "--input",
    folder.file("one.txt"),
  ]);
  expect(ran.code, ran.err).toBe(0);
});
