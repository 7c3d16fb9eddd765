/** @file A small training on the tiny model of the command line: its files, and what its folder holds. */

import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generator } from "../../src/random.ts";
import { writeTinyModel } from "./fixture.ts";

/** Sentences in which the animal is the label; a model of any size can learn it. */
export function sentences(count: number, seed: number): { text: string; label: string }[] {
  const random = generator(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  return Array.from({ length: count }, (_, index) => {
    const label = index % 2 === 0 ? "cat" : "dog";
    const words = [
      pick(["the", "a"]),
      label,
      "sat on",
      pick(["the", "a"]),
      pick(["mat", "mat and the mat", "mat on a mat"]),
    ];
    return { text: words.join(" "), label };
  });
}

function table(rows: readonly { text: string; label: string }[]): string {
  return ["text\tlabel", ...rows.map(({ text, label }) => `${text}\t${label}`), ""].join("\n");
}

/** The configuration of a small training, whose paths are relative to its folder. */
export function trainConfig(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    model: { folder: "model" },
    data: { kind: "table", train: { table: "train.tsv" }, evaluation: { table: "evaluation.tsv" } },
    adapters: { animal: { preset: "seq_bn", reduction_factor: 4 } },
    schedule: { learningRate: 0.01, warmup: 2 },
    batch: { sequences: 4 },
    steps: 12,
    dropout: 0.1,
    evaluation: { every: 4 },
    checkpoint: { every: 2 },
    ...changes,
  };
}

/** Writes model, data and a configuration into a folder. @returns the path of the configuration */
export async function writeTraining(
  folder: string,
  changes: Readonly<Record<string, unknown>> = {},
  name = "train.json",
): Promise<string> {
  await writeTinyModel(join(folder, "model"));
  await writeFile(join(folder, "train.tsv"), table(sentences(18, 1)));
  await writeFile(join(folder, "evaluation.tsv"), table(sentences(10, 2)));
  const path = join(folder, name);
  await writeFile(path, JSON.stringify(trainConfig(changes)));
  return path;
}

/** The lines of a training's metrics without times. */
export async function metricsOf(out: string): Promise<unknown[]> {
  const text = await readFile(join(out, "metrics.jsonl"), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const { milliseconds: _, ...rest } = JSON.parse(line) as Record<string, unknown>;
      return rest;
    });
}

/** Every file that holds weights, by its path in the folder; checkpoints are left out, which hold times. */
export async function weightsOf(out: string): Promise<Map<string, string>> {
  const names = (await readdir(out, { recursive: true })).filter(
    (name) => name.endsWith(".safetensors") && !name.startsWith("checkpoints"),
  );
  const files = await Promise.all(
    names
      .sort()
      .map(async (name): Promise<[string, string]> => [name, (await readFile(join(out, name))).toString("base64")]),
  );
  return new Map(files);
}
