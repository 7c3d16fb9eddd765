/** @file `run` with adapters: folders, fusions, heads, compositions and per-sequence lists give what the library gives. */

import { readFile, readdir, writeFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { fuse, loadModel } from "../../src/node.ts";
import type { Model, RunOptions } from "../../src/node.ts";
import { parseTrace } from "../../src/routing/trace.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { commandLine, tiny, useFolder, writeTinyModel } from "./fixture.ts";
import type { Ran } from "./fixture.ts";
import { writeTinyAdapter, writeTinyFusion, writeTinyHead } from "./adapter-fixture.ts";

const folder = useFolder();
const texts = ["the cat sat on the mat", "a dog", "the dog and the cat sat", "and"];

interface Part {
  readonly hidden?: number[];
  readonly heads?: Record<string, { logits?: number[]; labels?: number[] }>;
  readonly selected?: (number | null)[];
  readonly captures?: Record<string, { shape: number[]; data: number[] }>;
}

interface Result {
  readonly settings: Record<string, unknown>;
  readonly timing: { readonly batches: readonly { readonly sequences: number }[] };
  readonly sequences: readonly (Part & {
    readonly adapter?: string | null;
    readonly tokens: string[];
    readonly copies?: readonly Part[];
  })[];
}

/** `--adapter a=…` for every name, each of them written once. */
function adapters(...names: string[]): string[] {
  return names.flatMap((name) => ["--adapter", `${name}=${folder.file(name)}`]);
}

async function run(...more: string[]): Promise<Ran & { readonly result: Result }> {
  const args = ["run", "--model", folder.file("model"), "--input", folder.file("in.txt"), "--json", "-", ...more];
  const ran = await commandLine(args);
  return { ...ran, result: (ran.code === 0 ? JSON.parse(ran.out) : { sequences: [] }) as Result };
}

/** A model with both adapters; the library's answers. */
async function withModel<T>(use: (model: Model) => Promise<T>): Promise<T> {
  const model = await loadModel(await sharedGpu(), folder.file("model"));
  try {
    for (const name of ["a", "b"]) await model.addAdapter(name, folder.file(name));
    return await use(model);
  } finally {
    await model.dispose();
  }
}

/** Mean of the hidden state of every sequence. */
async function means(model: Model, options: RunOptions = {}): Promise<number[][]> {
  const { hidden } = await model.run({ texts }, { ...options, outputs: ["hidden"] });
  const { data, segments } = hidden as { data: Float32Array; segments: Uint32Array };
  return Array.from(segments.subarray(1), (end, index) => {
    const from = segments[index] as number;
    return Array.from({ length: tiny.width }, (_, column) => {
      let sum = 0;
      for (let row = from; row < end; row += 1) sum += data[row * tiny.width + column] as number;
      return sum / (end - from);
    });
  });
}

/** Means of f32 values of order 1 that were printed with nine digits; batches of other lengths give the same bits. */
function expectClose(found: readonly number[] | undefined, expected: readonly number[]): void {
  expect(found).toHaveLength(expected.length);
  expected.forEach((value, index) => expect(found?.[index]).toBeCloseTo(value, 5));
}

beforeAll(async () => {
  await writeTinyModel(folder.file("model"));
  await writeTinyAdapter(folder.file("a"), "seq_bn", { seed: 1 });
  await writeTinyHead(folder.file("a"), "classification", 4);
  await writeTinyAdapter(folder.file("b"), "double_seq_bn", { seed: 2 });
  await writeTinyAdapter(folder.file("wide"), "seq_bn", { seed: 3, shape: { width: 32 } });
  await writeTinyFusion(folder.file("a+b"), ["a", "b"]);
  await writeTinyHead(folder.file("tags"), "tagging", 3, 7);
  await writeFile(folder.file("in.txt"), `${texts.join("\n")}\n`);
  await writeFile(folder.file("per.txt"), "a\n-\n\nb\n");
  await writeFile(folder.file("short.txt"), "a\nb\n");
  await writeFile(folder.file("strange.txt"), "a\nb\nc\n-\n");
});

describe("what the command line says is what the library does", () => {
  test("one adapter runs without being named again, with the head that lies beside it", async () => {
    const { code, err, result } = await run(...adapters("a"), "--outputs", "hidden");
    expect(code).toBe(0);
    expect(err).toMatch(/^adapter a: 12 tensors matched, 0 missing, 0 unexpected, \d+ bytes on disk/m);
    expect(err).toMatch(/^head +a: .*label \d on \d/m);
    await withModel(async (model) => {
      model.setActive("a");
      const expected = await means(model);
      const { heads } = await model.run({ texts }, { outputs: ["heads.a"] });
      result.sequences.forEach(({ hidden, heads: own }, index) => {
        expectClose(hidden, expected[index] as number[]);
        expectClose(own?.["a"]?.logits, Array.from(heads["a"]?.data.subarray(4 * index, 4 * index + 4) ?? []));
      });
    });
    expect(result.settings).toMatchObject({ active: "a", adapters: [{ name: "a", place: folder.file("a") }] });
  });

  test("every sequence has its own adapter, whatever the batches; a head only where its adapter ran", async () => {
    const args = ["--per-sequence", folder.file("per.txt"), "--outputs", "hidden", "--batch", "3"];
    const { code, result } = await run(...adapters("a", "b"), ...args);
    expect(code).toBe(0);
    expect(result.timing.batches.map(({ sequences }) => sequences)).toEqual([3, 1]);
    const own = ["a", null, null, "b"];
    expect(result.sequences.map(({ adapter }) => adapter)).toEqual(own);
    expect(result.sequences.map(({ heads }) => Object.keys(heads ?? {}))).toEqual([["a"], [], [], []]);
    await withModel(async (model) => {
      const expected = await means(model, { adapters: own });
      const bare = await means(model);
      result.sequences.forEach(({ hidden }, index) => expectClose(hidden, expected[index] as number[]));
      // The list did something: the last sequence is not that of the bare model.
      const last = result.sequences.at(-1)?.hidden as number[];
      expect(Math.max(...last.map((value, at) => Math.abs(value - (bare.at(-1)?.[at] as number))))).toBeGreaterThan(
        1e-3,
      );
    });
  });

  test("--limit takes the first lines of both files", async () => {
    const { code, result } = await run(...adapters("a", "b"), "--per-sequence", folder.file("per.txt"), "--limit", "1");
    expect(code).toBe(0);
    expect(result.sequences.map(({ adapter }) => adapter)).toEqual(["a"]);
  });

  test("a fusion runs, its weights can be captured, and dropped layers have none", async () => {
    const fused = ["--fusion", `a,b=${folder.file("a+b")}`, "--active", "fuse(a,b)", "--outputs", "hidden"];
    const { code, result, err } = await run(
      ...adapters("a", "b"),
      ...fused,
      "--drop-adapters",
      "1",
      "--capture",
      "layers.2.fusion.weights",
    );
    expect(code).toBe(0);
    expect(err).toMatch(/^active +fuse\(a,b\)$/m);
    expect(err).toMatch(/^dropped .*the lowest 1$/m);
    await withModel(async (model) => {
      await model.addFusion(["a", "b"], folder.file("a+b"));
      model.setActive(fuse("a", "b"));
      model.dropAdapters({ layers: [0] });
      const expected = await means(model);
      result.sequences.forEach(({ hidden, tokens, captures }, index) => {
        expectClose(hidden, expected[index] as number[]);
        const weights = captures?.["layers.2.fusion.weights"];
        expect(weights?.shape).toEqual([tokens.length, 2]);
        // Two weights of a softmax, printed with nine digits.
        weights?.data.forEach((weight, at, all) => {
          if (at % 2 === 0) expect(weight + (all[at + 1] as number)).toBeCloseTo(1, 6);
        });
      });
    });
    const dropped = await run(
      ...adapters("a", "b"),
      ...fused,
      "--drop-adapters",
      "0,",
      "--capture",
      "layers.0.fusion.weights",
    );
    expect(dropped.code).toBe(2);
    expect(dropped.err).toContain("layers.0.fusion.weights");
  });

  test("copies of a parallel composition stand side by side, heads of their own among them", async () => {
    const { code, result } = await run(...adapters("a", "b"), "--active", "parallel(a,b)", "--outputs", "hidden");
    expect(code).toBe(0);
    await withModel(async (model) => {
      for (const [copy, name] of ["a", "b"].entries()) {
        model.setActive(name);
        const expected = await means(model);
        result.sequences.forEach(({ copies }, index) => {
          expectClose(copies?.[copy]?.hidden, expected[index] as number[]);
          expect(Object.keys(copies?.[copy]?.heads ?? {})).toEqual(name === "a" ? ["a"] : []);
        });
      }
    });
  });

  test("a head by itself and a route go together with adapters", async () => {
    const args = ["--head", `tags=${folder.file("tags")}`, "--route", "r=2", "--active", "stack(a,b)"];
    const { code, result } = await run(...adapters("a", "b"), ...args);
    expect(code).toBe(0);
    for (const { tokens, heads, selected } of result.sequences) {
      expect(heads?.["tags"]?.labels).toHaveLength(tokens.length);
      expect(selected).toEqual(Array.from({ length: tiny.layers }, () => Math.ceil(tokens.length / 2)));
    }
  });

  test("prompt rows belong to their sequence under a route", async () => {
    const trace = folder.file("trace.json");
    const { code, result } = await run(
      "--adapter",
      "p=prompt_tuning",
      "--route",
      "r=2",
      "--trace",
      trace,
      "--limit",
      "2",
    );
    expect(code).toBe(0);
    const { sequences } = parseTrace(await readFile(trace, "utf8"));
    // Ten rows of the prompt and the tokens.
    expect(sequences.map((sequence) => sequence.tokens.length)).toEqual(
      result.sequences.map(({ tokens }) => tokens.length + 10),
    );
    for (const { tokens, selected } of result.sequences)
      expect(selected?.[0]).toBe(Math.ceil((tokens.length + 10) / 2));
  });

  test("a split of the batch makes batches of its size", async () => {
    const { code, result } = await run(...adapters("a", "b"), "--active", "batchSplit(a,b;1,1)", "--outputs", "hidden");
    expect(code).toBe(0);
    expect(result.timing.batches.map(({ sequences }) => sequences)).toEqual([2, 2]);
    await withModel(async (model) => {
      const expected = await means(model, { adapters: ["a", "b", "a", "b"] });
      result.sequences.forEach(({ hidden }, index) => expectClose(hidden, expected[index] as number[]));
    });
  });
});

describe("bad input ends with code 2 and one sentence", () => {
  const two = ["a", "b"];
  test.each([
    ["an adapter without a place", ["--adapter", "task"], /expected NAME=PRESET or NAME=FOLDER/],
    ["a word that is no preset", ["--adapter", "task=lorra"], /lorra is neither a preset nor a folder/],
    ["no folder", ["--adapter", "task=no/such"], /no\/such/],
    ["one name twice", ["--adapter", "a=lora", "--adapter", "a=ia3"], /two adapters are called a/],
    ["another width", ["--adapter", "a=WIDE"], /does not fit the host[^]*width: made for 32, the host has 16/],
    ["several adapters and no composition", adaptersLater(...two), /2 adapters are given, but not which of them run/],
    [
      "an unknown leaf",
      [...adaptersLater("a"), "--active", "stack(a,c)"],
      /there is no adapter c; given with --adapter: a/,
    ],
    ["broken text", [...adaptersLater("a"), "--active", "stack(a"], /expected "," or "\)" at character 8/],
    ["nesting", [...adaptersLater(...two), "--active", "fuse(a,parallel(b))"], /fuse cannot hold parallel/],
    ["no fusion", [...adaptersLater(...two), "--active", "fuse(a,b)"], /there are no fusion weights/],
    ["a stranger in a fusion", [...adaptersLater("a"), "--fusion", "a,z=dynamic"], /no adapter z/],
    ["a bad head", [...adaptersLater("a"), "--head", "h"], /--head is "h", expected NAME=FOLDER/],
    ["both lists", [...adaptersLater("a"), "--active", "a", "--per-sequence", "PER"], /exclude each other/],
    [
      "too few lines",
      [...adaptersLater(...two), "--per-sequence", "SHORT"],
      /has 2 lines, .*in\.txt holds 4 sequences/,
    ],
    [
      "an unknown line",
      [...adaptersLater(...two), "--per-sequence", "STRANGE"],
      /strange\.txt:3: there is no adapter c/,
    ],
    ["nothing to drop", ["--drop-adapters", "1"], /--drop-adapters needs --adapter/],
    ["layers that are not there", [...adaptersLater("a"), "--drop-adapters", "9"], /dropAdapters: layers is 9/],
    ["no number", [...adaptersLater("a"), "--drop-adapters", "low"], /--drop-adapters is "low"/],
    ["no library", [...adaptersLater("a"), "--compat", "adapters-9"], /--compat is "adapters-9"/],
    ["too few slots", [...adaptersLater(...two), "--slots", "1", "--active", "a"], /slot/],
    ["too wide a bottleneck", ["--adapter", "a=par_bn", "--slot-width", "4"], /width|wide/],
    [
      "another batch",
      [...adaptersLater(...two), "--active", "batchSplit(a,b;1,2)", "--batch", "2"],
      /splits batches of 3/,
    ],
    [
      "a part of a batch",
      [...adaptersLater(...two), "--active", "batchSplit(a,b;1,2)"],
      /batches of 3 sequences, the input has 4/,
    ],
  ])("%s", async (_, args, message) => {
    const before = await readdir(folder.path);
    const { code, out, err } = await run(...args.map(placed));
    expect(err).toMatch(message);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).not.toMatch(/^\s+at /m);
    expect(await readdir(folder.path)).toEqual(before);
  });
});

/** Paths are known when the tests run, tables are made before. */
function adaptersLater(...names: string[]): string[] {
  return names.flatMap((name) => ["--adapter", `${name}=HERE/${name}`]);
}

function placed(word: string): string {
  const files: Readonly<Record<string, string>> = { PER: "per.txt", SHORT: "short.txt", STRANGE: "strange.txt" };
  const file = files[word];
  if (file !== undefined) return folder.file(file);
  return word.replace("HERE/", `${folder.path}/`).replace("WIDE", folder.file("wide"));
}
