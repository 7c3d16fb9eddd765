/** @file The shared data sets read by the configurations that docs/training.md describes: how many examples, which classes. */

import { readFile } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { HostShape } from "../../src/hosts/host.ts";
import { parseVocabulary } from "../../src/inputs/vocabulary.ts";
import { wordpieceTokenizer } from "../../src/inputs/wordpiece.ts";
import { readTrainConfig } from "../../src/train/config/config.ts";
import { readSets } from "../../src/train/data/sets.ts";
import type { TrainSets } from "../../src/train/data/sets.ts";
import type { DataSource } from "../../src/train/data/data.ts";
import { dataPath, missing } from "../data.ts";

/** Every character is a token: nothing of a vocabulary is needed to count examples. */
const letters = Array.from({ length: 94 }, (_, index) => String.fromCharCode(33 + index));
const tokenizer = wordpieceTokenizer(
  parseVocabulary(
    ["[UNK]", "[CLS]", "[SEP]", "[MASK]", ...letters, ...letters.map((letter) => `##${letter}`)].join("\n"),
  ),
);

async function unpacked(path: string): Promise<Uint8Array> {
  const bytes = await readFile(path);
  return path.endsWith(".gz") ? gunzipSync(bytes) : bytes;
}

function source(set: string): DataSource {
  const place = (path: string): string => `${dataPath(set)}/${path}`;
  return {
    bytes: (path) => unpacked(place(path)),
    text: async (path) => new TextDecoder().decode(await unpacked(place(path))),
  };
}

const texts = {
  family: "bert",
  maxTokens: 512,
  input: { kind: "ids", vocabulary: 192, types: 2 },
} as unknown as HostShape;
const clips = {
  family: "kwt",
  maxTokens: 99,
  input: { kind: "audio", samples: 16000, sampleRate: 16000, frames: 98 },
} as unknown as HostShape;
const images = {
  family: "vit",
  maxTokens: 16,
  input: { kind: "image", patches: 16, classToken: false },
} as unknown as HostShape;

async function read(
  set: string,
  data: Readonly<Record<string, unknown>>,
  { objective = "cross-entropy", shape = texts }: { objective?: string; shape?: HostShape } = {},
): Promise<TrainSets> {
  const config = readTrainConfig(
    { model: { folder: "m" }, data: { long: "cut", ...data }, objective, adapters: { a: "seq_bn" } },
    "n",
  );
  const context = { shape, tokenizer: shape === texts ? () => tokenizer : null };
  return readSets(config.data, config.objective.kind, source(set), context);
}

const counts = ({ sets }: TrainSets): number[] => [sets.train.length, sets.evaluation.length, sets.test.length];

describe.skipIf(missing("text-sentence-classification"))("sentences", () => {
  test("TREC and SST-2", async () => {
    const trec = await read("text-sentence-classification", {
      kind: "labelled-lines",
      train: { lines: "trec.train.txt.gz" },
      test: { lines: "trec.test.txt.gz" },
    });
    expect([counts(trec), trec.labels.count]).toEqual([[5452, 0, 500], 6]);
    const sst2 = await read("text-sentence-classification", {
      kind: "labelled-lines",
      train: { lines: "sst2.train.txt.gz" },
      evaluation: { lines: "sst2.dev.txt.gz" },
      test: { lines: "sst2.test.txt.gz" },
    });
    expect([counts(sst2), sst2.labels.count]).toEqual([[6920, 872, 1821], 2]);
  });

  test("SUBJ, split by a hash", async () => {
    const subj = await read("text-sentence-classification", {
      kind: "labelled-lines",
      train: { lines: "subj.all.txt.gz" },
      split: { evaluation: 0.1, test: 0.1 },
    });
    const [trained = 0, ...others] = counts(subj);
    expect(others.reduce((sum, count) => sum + count, trained)).toBe(10_000);
    for (const count of others) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(subj.labels.count).toBe(2);
  });
});

describe.skipIf(missing("text-snips-intents"))("intents", () => {
  test("Snips", async () => {
    const snips = await read("text-snips-intents", {
      kind: "table",
      train: { table: "train.tsv.gz" },
      evaluation: { table: "validate.tsv.gz" },
      labels: "intent",
    });
    expect([counts(snips), snips.labels.count, snips.labels.names[0]]).toEqual([[13_784, 700, 0], 7, "AddToPlaylist"]);
  });
});

describe.skipIf(missing("text-banking77"))("bank questions", () => {
  test("Banking77, with the authors' list of classes", async () => {
    const banking = await read("text-banking77", {
      kind: "table",
      train: { table: "train.csv.gz" },
      test: { table: "test.csv.gz" },
      labels: "category",
      classes: "categories.json",
    });
    expect([counts(banking), banking.labels.count]).toEqual([[10_003, 0, 3080], 77]);
  });
});

describe.skipIf(missing("text-clinc150"))("CLINC150", () => {
  const files = { lists: "data_full.json.gz" };
  const data = {
    kind: "json-lists",
    train: { ...files, names: ["train"] },
    evaluation: { ...files, names: ["val"] },
    test: { ...files, names: ["test"] },
  };

  test("150 intents, or 10 domains", async () => {
    const intents = await read("text-clinc150", data);
    expect([counts(intents), intents.labels.count]).toEqual([[15_000, 3000, 4500], 150]);
    const domains = await read("text-clinc150", { ...data, groups: "domains.json" });
    expect(domains.labels.count).toBe(10);
  });
});

describe.skipIf(missing("chem-moleculenet"))("MoleculeNet", () => {
  test.each([
    ["bbbp", ["p_np"], 2039],
    ["tox21", ["NR-AR", "NR-AhR"], 7831],
    ["sider", ["Eye disorders", "Infections and infestations"], 1427],
  ])("%s", async (name, labels, rows) => {
    const data = { kind: "table", train: { table: `${name}.csv.gz` }, text: "smiles", labels };
    const { sets, notes } = await read("chem-moleculenet", data, { objective: "binary-cross-entropy" });
    const [, left = "0"] = /(\d+) rows have no label/.exec(notes.join()) ?? [];
    expect(sets.train.length + Number(left)).toBe(rows);
    if (name === "tox21") {
      expect(Number(left)).toBeGreaterThan(0);
      expect(sets.train.some(({ targets }) => targets.some(Number.isNaN))).toBe(true);
    }
  });

  test("values: freesolv", async () => {
    const text = new TextDecoder().decode(await source("chem-moleculenet").bytes("freesolv.csv.gz"));
    const [header = ""] = text.split("\n");
    const label = header.trim().split(",")[1] as string;
    const data = { kind: "table", train: { table: "freesolv.csv.gz" }, text: "smiles", labels: label };
    const { sets } = await read("chem-moleculenet", data, { objective: "squared-error" });
    expect(sets.train).toHaveLength(642);
  });
});

describe.skipIf(missing("audio-free-spoken-digits"))("spoken digits", () => {
  test("their own split, at 16 kHz, one second each", async () => {
    const digits = await read(
      "audio-free-spoken-digits",
      {
        kind: "clips",
        train: { clips: "clips.i16.gz", table: "clips.tsv" },
        labels: "digit",
        sampleRate: 8000,
        split: { column: "split", test: ["test"] },
      },
      { shape: clips },
    );
    expect([counts(digits), digits.labels.count]).toEqual([[600, 0, 300], 10]);
    const [first] = digits.sets.train;
    expect(first?.input).toMatchObject({ kind: "audio", sampleRate: 16000, samples: { length: 16000 } });
  });
});

describe.skipIf(missing("mnist-t10k"))("MNIST", () => {
  test("10,000 images, split by their pixels", async () => {
    const mnist = await read(
      "mnist-t10k",
      {
        kind: "images",
        train: { images: "t10k-images-idx3-ubyte.gz", labels: "t10k-labels-idx1-ubyte.gz" },
        split: { evaluation: 0.1, test: 0.1 },
      },
      { shape: images },
    );
    expect(counts(mnist).reduce((sum, count) => sum + count, 0)).toBe(10_000);
    expect(mnist.labels.count).toBe(10);
  });
});

describe.skipIf(missing("corpus-english-books"))("English books", () => {
  test("packed into sequences of one length", async () => {
    const books = await read(
      "corpus-english-books",
      { kind: "corpus", train: { text: "valid.txt.gz" }, length: 128, limit: { train: 1000 } },
      { objective: "masked-language-modelling" },
    );
    expect(books.sets.train).toHaveLength(1000);
    expect(new Set(books.sets.train.map(({ length }) => length))).toEqual(new Set([128]));
  });
});
