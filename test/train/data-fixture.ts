/** @file Data sets in memory: a tokenizer of letters, hosts of every kind of input, and files by name. */

import { EngineError } from "../../src/errors.ts";
import type { HostShape } from "../../src/hosts/host.ts";
import type { Tokenizer } from "../../src/inputs/tokenizer.ts";
import { parseVocabulary } from "../../src/inputs/vocabulary.ts";
import { wordpieceTokenizer } from "../../src/inputs/wordpiece.ts";
import { readTrainConfig } from "../../src/train/config/config.ts";
import { readSets } from "../../src/train/data/sets.ts";
import type { TrainSets } from "../../src/train/data/sets.ts";
import type { DataSource } from "../../src/train/data/data.ts";

/** Words of the vocabulary, ids 5 to 30. */
export const words: readonly string[] = "abcdefghijklmnopqrstuvwxyz".split("");
const vocabulary = parseVocabulary(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words].join("\n"));
/** Ids 0 to 4 are [PAD], [UNK], [CLS], [SEP], [MASK]. */
export const tokenizer: Tokenizer = wordpieceTokenizer(vocabulary);
/** Takes 12 tokens. */
export const textHost: HostShape = {
  family: "bert",
  maxTokens: 12,
  input: { kind: "ids", vocabulary: 31, types: 2 },
} as unknown as HostShape;
/** Takes 16 samples at 16 Hz. */
export const audioHost: HostShape = {
  family: "kwt",
  maxTokens: 99,
  input: { kind: "audio", samples: 16, sampleRate: 16, frames: 4 },
} as unknown as HostShape;
/** Takes four patches. */
export const imageHost: HostShape = {
  family: "vit",
  maxTokens: 5,
  input: { kind: "image", patches: 4, classToken: true },
} as unknown as HostShape;

function sourceOf(files: Readonly<Record<string, string | Uint8Array>>): DataSource {
  const get = (path: string): string | Uint8Array => {
    const file = files[path];
    if (file === undefined) throw new EngineError("NOT_FOUND", `${path} is not there`);
    return file;
  };
  return {
    bytes: async (path) => get(path) as Uint8Array,
    text: async (path) => get(path) as string,
  };
}

/** Reads sets as a training does. */
export async function read(
  files: Readonly<Record<string, string | Uint8Array>>,
  data: Readonly<Record<string, unknown>>,
  objective = "cross-entropy",
  shape: HostShape = textHost,
): Promise<TrainSets> {
  const config = readTrainConfig({ model: { folder: "m" }, data, objective, adapters: { a: "seq_bn" } }, "n");
  const context = { shape, tokenizer: shape.input.kind === "ids" ? () => tokenizer : null };
  return readSets(config.data, config.objective.kind, sourceOf(files), context);
}

/** Targets of the examples that are trained on. */
export const targets = ({ sets }: TrainSets): (readonly number[])[] => sets.train.map((example) => example.targets);
