/** @file A command line in a test: captured streams, a folder for files, and a tiny random BERT with a classifier. */

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import type { Io } from "../../src/cli/command.ts";
import { runCommandLine } from "../../src/cli/dispatch.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { fromFloat32 } from "../../src/formats/tensor.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import { gaussian, generator } from "../../src/random.ts";

/** What a command line printed, and how it ended. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Streams that collect text. */
export function captureIo(options: { readonly isTerminal?: boolean; readonly signal?: AbortSignal } = {}): {
  io: Io;
  out: string[];
  err: string[];
} {
  const out: string[] = [];
  const err: string[] = [];
  const io: Io = {
    stdout: { write: (text) => out.push(text) },
    stderr: { write: (text) => err.push(text) },
    isTerminal: options.isTerminal ?? false,
    columns: 80,
    signal: options.signal ?? new AbortController().signal,
  };
  return { io, out, err };
}

/** Runs a command line in this process. */
export async function commandLine(args: readonly string[], signal?: AbortSignal): Promise<Ran> {
  const { io, out, err } = captureIo(signal === undefined ? {} : { signal });
  const code = await runCommandLine(args, io);
  return { code, out: out.join(""), err: err.join("") };
}

/** A folder that lives as long as the tests of a file. */
export function useFolder(): { readonly path: string; file(name: string): string } {
  const folder = { path: "", file: (name: string): string => join(folder.path, name) };
  beforeAll(async () => {
    folder.path = await mkdtemp(join(tmpdir(), "cli-"));
  });
  afterAll(async () => {
    await rm(folder.path, { recursive: true, force: true });
  });
  return folder;
}

/** Numbers of the tiny model. */
export const tiny = { width: 16, heads: 2, layers: 3, ffn: 32, positions: 24, labels: 3 } as const;

const vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "a", "mat", "and", "dog"];

const config = {
  model_type: "bert",
  hidden_size: tiny.width,
  num_attention_heads: tiny.heads,
  num_hidden_layers: tiny.layers,
  intermediate_size: tiny.ffn,
  max_position_embeddings: tiny.positions,
  vocab_size: vocabulary.length,
  num_labels: tiny.labels,
};

function tensors(): StoredTensor[] {
  const random = generator(1);
  const make = (name: string, ...shape: number[]): StoredTensor => {
    const norm = name.includes("LayerNorm.weight");
    const length = shape.reduce((product, extent) => product * extent, 1);
    return fromFloat32(
      name,
      shape,
      Float32Array.from({ length }, () => (norm ? 1 : 0) + 0.2 * gaussian(random)),
    );
  };
  const linear = (name: string, out: number, inputs: number): StoredTensor[] => [
    make(`${name}.weight`, out, inputs),
    make(`${name}.bias`, out),
  ];
  const norm = (name: string): StoredTensor[] => [make(`${name}.weight`, tiny.width), make(`${name}.bias`, tiny.width)];
  const { width, ffn } = tiny;
  const layer = (index: number): StoredTensor[] => {
    const at = `bert.encoder.layer.${index}`;
    return [
      ...["query", "key", "value"].flatMap((part) => linear(`${at}.attention.self.${part}`, width, width)),
      ...linear(`${at}.attention.output.dense`, width, width),
      ...norm(`${at}.attention.output.LayerNorm`),
      ...linear(`${at}.intermediate.dense`, ffn, width),
      ...linear(`${at}.output.dense`, width, ffn),
      ...norm(`${at}.output.LayerNorm`),
    ];
  };
  return [
    make("bert.embeddings.word_embeddings.weight", vocabulary.length, width),
    make("bert.embeddings.position_embeddings.weight", tiny.positions, width),
    make("bert.embeddings.token_type_embeddings.weight", 2, width),
    ...norm("bert.embeddings.LayerNorm"),
    ...Array.from({ length: tiny.layers }, (_, index) => layer(index)).flat(),
    ...linear("bert.pooler.dense", width, width),
    ...linear("classifier", tiny.labels, width),
    make("cls.predictions.bias", vocabulary.length),
  ];
}

/** Writes the tiny model; `change` may spoil its tensors. */
export async function writeTinyModel(
  folder: string,
  change: (all: StoredTensor[]) => StoredTensor[] = (all) => all,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "vocab.txt"), vocabulary.join("\n"));
  await writeFile(join(folder, "model.safetensors"), writeSafetensors(change(tensors())));
}
