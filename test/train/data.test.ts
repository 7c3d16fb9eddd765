/** @file Data sets from their files to parts of a step: every kind, and what is wrong with rows. */

import { describe, expect, test } from "vitest";
import { partOf } from "../../src/train/data/part.ts";
import { audioHost, imageHost, read, targets } from "./data-fixture.ts";

describe("kinds of files", () => {
  test("tables: CSV and TSV, text pairs, classes by the alphabet", async () => {
    const sets = await read(
      { "a.csv": 'x,y,l\na b,"c,d",no\ne,f,yes\n' },
      { kind: "table", train: { table: "a.csv" }, text: ["x", "y"], labels: "l" },
    );
    expect(sets.labels).toMatchObject({ names: ["no", "yes"], count: 2 });
    expect(targets(sets)).toEqual([[0], [1]]);
    const [first] = sets.sets.train;
    expect(first).toMatchObject({ place: "a.csv:2", length: 8 });
    // [CLS] a b [SEP] c [UNK] d [SEP]
    expect(first?.input).toEqual({
      kind: "ids",
      ids: Uint32Array.of(2, 5, 6, 3, 7, 1, 8, 3),
      types: Uint32Array.of(0, 0, 0, 0, 1, 1, 1, 1),
    });
    const tabs = await read(
      { "a.tsv": 'l\tx\n1\ta "b\n0\tc\n' },
      { kind: "table", train: { table: "a.tsv" }, text: "x", labels: "l" },
    );
    expect(targets(tabs)).toEqual([[1], [0]]);
  });

  test("several labels with gaps; rows without any are left out and counted", async () => {
    const table = { "t.csv": "smiles,p,q\na,0,1\nb,,0\nc,1,\nd,,\n" };
    const data = { kind: "table", train: { table: "t.csv" }, text: "smiles", labels: ["p", "q"] };
    const sets = await read(table, data, "binary-cross-entropy");
    expect(targets(sets)).toEqual([
      [0, 1],
      [Number.NaN, 0],
      [1, Number.NaN],
    ]);
    expect(sets.notes).toEqual(["data.train: 1 rows have no label and are left out"]);
    const part = partOf(sets.sets.train, [2, 0], "binary-cross-entropy", null, 0);
    expect(part.targets).toEqual(Float32Array.of(1, Number.NaN, 0, 1));
    expect(part.input.ids).toEqual([Uint32Array.of(2, 7, 3), Uint32Array.of(2, 5, 3)]);
    const values = await read(
      { "t.csv": "text,v\na,-1.5\nb,2e3\n" },
      { kind: "table", train: { table: "t.csv" }, labels: "v" },
      "squared-error",
    );
    expect(targets(values)).toEqual([[-1.5], [2000]]);
  });

  test("a label, a space and a text a line", async () => {
    const sets = await read({ l: "1 a b\n0 c\n\n1\td\n" }, { kind: "labelled-lines", train: { lines: "l" } });
    expect(targets(sets)).toEqual([[1], [0], [1]]);
    expect(sets.sets.train.map(({ place }) => place)).toEqual(["l:1", "l:2", "l:4"]);
  });

  test("texts and labels in two files, classes of a third", async () => {
    const files = { t: "a\nb\nc\n", l: "yes\n0\nyes\n", classes: "no\nyes\n" };
    const sets = await read(files, { kind: "lines", train: { lines: "t", labels: "l" }, classes: "classes" });
    expect(targets(sets)).toEqual([[1], [0], [1]]);
  });

  test("JSON lines, with labels in fields or in a list", async () => {
    const sets = await read(
      { j: '{"text":"a","label":"x"}\n{"text":"b","label":"y"}\n' },
      { kind: "json-lines", train: { lines: "j" } },
    );
    expect(targets(sets)).toEqual([[0], [1]]);
    const listed = '{"text":"a","label":[1,0]}\n{"text":"b","label":[null,true]}\n{"text":"c","label":[0,0]}\n';
    const several = await read({ j: listed }, { kind: "json-lines", train: { lines: "j" } }, "binary-cross-entropy");
    expect(targets(several)).toEqual([
      [1, 0],
      [Number.NaN, 1],
      [0, 0],
    ]);
  });

  test("lists of JSON, labels that stand for groups", async () => {
    const files = {
      j: '{"train":[["a","pay"],["b","fly"]],"val":[["c","land"]]}',
      g: '{"bank":["pay"],"travel":["fly","land"]}',
    };
    const data = {
      kind: "json-lists",
      train: { lists: "j", names: ["train"] },
      evaluation: { lists: "j", names: "val" },
      groups: "g",
    };
    const sets = await read(files, data);
    expect(sets.labels.names).toEqual(["bank", "travel"]);
    expect(sets.sets.evaluation.map((example) => example.targets)).toEqual([[1]]);
    await expect(read(files, { ...data, evaluation: { lists: "j", names: "test" } })).rejects.toThrow(
      'j has no list "test"',
    );
  });

  test("clips: cut by a table, split by its column, resampled to the model's rate and length", async () => {
    const samples = Int16Array.from({ length: 24 }, (_, index) => (index < 8 ? 16384 : -16384));
    const files = {
      c: new Uint8Array(samples.buffer),
      t: "offset_samples\tsamples\tdigit\tsplit\n0\t8\t0\ttest\n8\t4\t1\ttrain\n12\t12\t0\ttrain\n",
    };
    const data = {
      kind: "clips",
      train: { clips: "c", table: "t" },
      labels: "digit",
      sampleRate: 8,
      split: { column: "split", test: "test" },
    };
    const sets = await read(files, data, "cross-entropy", audioHost);
    expect([sets.sets.train.length, sets.sets.test.length]).toEqual([2, 1]);
    const [short, long] = sets.sets.train.map(({ input }) => input as { samples: Float32Array; sampleRate: number });
    expect(short).toMatchObject({ sampleRate: 16 });
    expect([short?.samples.length, long?.samples.length]).toEqual([16, 16]);
    // Four samples of 8 Hz are eight of 16 Hz, then silence; in the middle the value stays what it was.
    expect(Array.from(short?.samples.slice(8) ?? [])).toEqual(Array.from({ length: 8 }, () => 0));
    expect(long?.samples[8]).toBeCloseTo(-0.5, 1);
    expect(sets.sets.test[0]?.length).toBe(5);
    const part = partOf(sets.sets.train, [1, 0], "cross-entropy", null, 0);
    expect(part.input.sampleRate).toBe(16);
    expect(part.targets).toEqual([0, 1]);
  });

  test("images of two IDX files", async () => {
    const header = (...extents: number[]): number[] => extents.flatMap((extent) => [0, 0, 0, extent]);
    const files = {
      i: Uint8Array.of(0, 0, 8, 3, ...header(2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8),
      l: Uint8Array.of(0, 0, 8, 1, ...header(2), 1, 0),
      short: Uint8Array.of(0, 0, 8, 1, ...header(1), 1),
    };
    const data = { kind: "images", train: { images: "i", labels: "l" } };
    const sets = await read(files, data, "cross-entropy", imageHost);
    expect(targets(sets)).toEqual([[1], [0]]);
    const part = partOf(sets.sets.train, [1], "cross-entropy", null, 0);
    expect(part.input.images).toEqual([{ data: Uint8Array.of(5, 6, 7, 8), shape: [1, 2, 2] }]);
    expect(sets.sets.train[0]?.length).toBe(5);
    const other = { ...data, train: { images: "i", labels: "short" } };
    await expect(read(files, other, "cross-entropy", imageHost)).rejects.toThrow("short holds 1 labels, i 2 images");
  });
});

describe("what is wrong with rows", () => {
  test.each<[string, Record<string, string>, Record<string, unknown>, string, string]>([
    [
      "rows of another length",
      { f: "text,label\na,0\nb\nc\nd,e,1\ng,1\nh\n" },
      { kind: "table", train: { table: "f" } },
      "BAD_FILE",
      "line 3: 1 fields, line 4: 1 fields, line 5: 3 fields under 2 columns, and 1 more",
    ],
    [
      "an unknown column",
      { f: "x,label\na,0\n" },
      { kind: "table", train: { table: "f" } },
      "UNKNOWN_NAME",
      'there is no column "text"',
    ],
    [
      "empty texts",
      { f: "text,label\na,0\n ,1\n" },
      { kind: "table", train: { table: "f" } },
      "BAD_FILE",
      "f has 1 broken row: line 3: the text is empty",
    ],
    [
      "lines without a text",
      { f: "0 a\n1\n1 b\n0\n0\n1\n" },
      { kind: "labelled-lines", train: { lines: "f" } },
      "BAD_FILE",
      "f has 4 broken rows: line 2: expected a label, a space and a text; line 4: expected a label, a space and a text; line 5: expected a label, a space and a text; and 1 more",
    ],
    [
      "two files of different length",
      { f: "a\nb\n", l: "0\n" },
      { kind: "lines", train: { lines: "f", labels: "l" } },
      "BAD_FILE",
      "l has 1 lines, f has 2",
    ],
    [
      "lines that are no JSON",
      { f: '{"text":"a","label":0}\n{"text":\n[1]\n{"text":4,"label":1}\n' },
      { kind: "json-lines", train: { lines: "f" } },
      "BAD_FILE",
      'f has 3 broken rows: line 2: it is no JSON object; line 3: it is no JSON object; line 4: the field "text" is no text',
    ],
    [
      "labels out of range",
      { f: "text,label\na,0\nb,1\nc,2\nd,7\n" },
      { kind: "table", train: { table: "f" }, classes: 2 },
      "BAD_FILE",
      'f has 2 broken rows: line 4: the label "2" is none of 0, 1; line 5: the label "7" is none of 0, 1',
    ],
    [
      "labels of the evaluation set that nobody is trained on",
      { f: "text,label\na,x\nb,y\n", e: "text,label\na,x\nb,z\n" },
      { kind: "table", train: { table: "f" }, evaluation: { table: "e" } },
      "BAD_FILE",
      'e has 1 broken row: line 3: the label "z" is none of x, y',
    ],
    [
      "a missing label",
      { f: "text,label\na,0\nb,1\nc,\n" },
      { kind: "table", train: { table: "f" } },
      "BAD_FILE",
      "line 4: there is no label",
    ],
    [
      "a class without an example",
      { f: "text,label\na,0\nb,2\n" },
      { kind: "table", train: { table: "f" } },
      "BAD_INPUT",
      'no example of data.train has the class "1"',
    ],
    [
      "one class",
      { f: "text,label\na,0\n" },
      { kind: "table", train: { table: "f" } },
      "BAD_INPUT",
      "there is one class: nothing can be told apart",
    ],
    ["an empty file", { f: "text,label\n" }, { kind: "table", train: { table: "f" } }, "BAD_FILE", "f is empty"],
    [
      "an empty file of lines",
      { f: "\n\n" },
      { kind: "labelled-lines", train: { lines: "f" } },
      "BAD_FILE",
      "f is empty",
    ],
    [
      "sequences that are too long",
      { f: "text,label\na b c d e f g h i j k l,0\nb,1\n" },
      { kind: "table", train: { table: "f" } },
      "BAD_INPUT",
      "1 sequences have more than 12 tokens: f:2 (14)",
    ],
    [
      "a length over the model's",
      { f: "text,label\na,0\nb,1\n" },
      { kind: "table", train: { table: "f" }, length: 13 },
      "BAD_CONFIG",
      "data.length is 13, this bert takes at most 12 tokens",
    ],
  ])("%s", async (_, files, data, code, message) => {
    await expect(read(files, data)).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  test("binary labels that are neither 0 nor 1, or always the same", async () => {
    const data = { kind: "table", train: { table: "f" }, labels: ["p", "q"] };
    await expect(read({ f: "text,p,q\na,0,2\nb,1,0\n" }, data, "binary-cross-entropy")).rejects.toThrow(
      'line 2: q is "2", expected 0, 1 or nothing',
    );
    await expect(read({ f: "text,p,q\na,0,1\nb,1,\n" }, data, "binary-cross-entropy")).rejects.toThrow(
      "no example of data.train has q = 0",
    );
    expect(
      targets(await read({ f: "text,p,q\na,0,1\nb,1,\n" }, { ...data, emptyClasses: "allow" }, "binary-cross-entropy")),
    ).toHaveLength(2);
  });

  test("values that are no numbers", async () => {
    const data = { kind: "table", train: { table: "f" } };
    for (const bad of ["x", "NaN", "1e999", "0x10", "1,5"])
      await expect(read({ f: `text\tlabel\na\t${bad}\nb\t1\n` }, data, "squared-error")).rejects.toThrow(
        `label is ${JSON.stringify(bad)}, expected a number`,
      );
  });

  test("what the model does not read", async () => {
    const data = { kind: "labelled-lines", train: { lines: "f" } };
    await expect(read({ f: "0 a\n1 b\n" }, data, "cross-entropy", imageHost)).rejects.toMatchObject({
      code: "BAD_INPUT",
      message: /which this model reads/,
    });
  });
});

describe("long sequences", () => {
  const files = { f: "text,label\na b c d e f,0\nb,1\nc,0\n" };
  const data = { kind: "table", train: { table: "f" }, length: 5 };

  test("are cut before their last token", async () => {
    const { sets } = await read(files, { ...data, long: "cut" });
    expect(sets.train[0]?.input).toMatchObject({ ids: Uint32Array.of(2, 5, 6, 7, 3) });
  });

  test("or left out, and counted", async () => {
    const { sets, notes } = await read(files, { ...data, long: "leave-out" });
    expect(sets.train.map(({ place }) => place)).toEqual(["f:3", "f:4"]);
    expect(notes).toEqual(["data.train: 1 sequences are longer than 5 tokens and left out"]);
  });
});
