/** @file `run` from a folder and a file to JSON, report and trace, on a tiny model. */

import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import type { Sequence } from "../../src/cli/run/inputs.ts";
import { openGpu } from "../../src/node/open.ts";
import { loadModel, saveRouters } from "../../src/node.ts";
import { coda } from "../../src/routing/coda.ts";
import { parseTrace } from "../../src/routing/trace.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { commandLine, tiny, useFolder, writeTinyModel } from "./fixture.ts";
import type { Ran } from "./fixture.ts";
import { inputsOf } from "./inputs-fixture.ts";

const folder = useFolder();
const texts = ["the cat sat on the mat", "a dog", "the dog and the cat sat", "and", "on a mat the dog sat and the cat"];

interface Result {
  readonly settings: { readonly route: Record<string, unknown> | null };
  readonly layers: ({ readonly rows: number; readonly selected: number } | null)[] | null;
  readonly timing: { readonly batches: readonly { readonly sequences: number }[] };
  readonly sequences: {
    readonly text?: string;
    readonly tokens: string[];
    readonly selected?: (number | null)[];
    readonly hidden?: number[];
    readonly heads?: Record<string, { logits?: number[] }>;
    readonly captures?: Record<string, { shape: number[]; data: number[] }>;
  }[];
}

async function run(input: string, ...more: string[]): Promise<Ran & { readonly result: Result }> {
  const ran = await commandLine([
    "run",
    "--model",
    folder.file("model"),
    "--input",
    folder.file(input),
    "--json",
    "-",
    ...more,
  ]);
  return { ...ran, result: (ran.code === 0 ? JSON.parse(ran.out) : {}) as Result };
}

beforeAll(async () => {
  await writeTinyModel(folder.file("model"));
  await writeFile(folder.file("in.txt"), `${texts.join("\n")}\n`);
  const table = ["id,text,label", ...texts.map((text, index) => `${index},"${text}",x`)];
  await writeFile(folder.file("in.csv.gz"), gzipSync(table.join("\r\n")));
  await writeFile(folder.file("in.jsonl"), texts.map((text) => `${JSON.stringify({ text })}\n`).join(""));
  await writeFile(folder.file("ids.jsonl"), '{"ids":[2,4,5,3]}\n{"ids":[2,8,3],"types":[0,0,1]}\n');
  await writeFile(folder.file("mixed.jsonl"), '{"ids":[2,4,5,3]}\n{"text":"a cat"}\n');
  await writeFile(folder.file("long.txt"), `a cat\n${"the cat ".repeat(20)}\n`);
  await writeFile(folder.file("bad.txt"), Buffer.from([0x61, 0xff, 0x0a]));
  await writeFile(folder.file("bad.csv.gz"), Buffer.from([0x1f, 0x8b, 1, 2, 3]));
  await writeFile(folder.file("range.jsonl"), '{"ids":[2,3]}\n{"ids":[2,99,3]}\n');
  await mkdir(folder.file("out"));
});

describe("a dense run", () => {
  test("pools and reads heads as the library does, whatever the batches", async () => {
    const { code, err, result } = await run("in.txt", "--outputs", "hidden,heads.default", "--batch", "2");
    expect({ code, notes: err.split("\n").filter((line) => line.includes("WRONG")) }).toEqual({ code: 0, notes: [] });
    expect(result.timing.batches.map(({ sequences }) => sequences)).toEqual([2, 2, 1]);
    expect(result.layers).toBeNull();
    const gpu = await openGpu({ quiet: true });
    try {
      const model = await loadModel(gpu, folder.file("model"));
      const { hidden, heads } = await model.run({ texts });
      result.sequences.forEach(({ text, tokens, hidden: pooled, heads: own }, index) => {
        expect(text).toBe(texts[index]);
        const [from, to] = [hidden?.segments?.[index] as number, hidden?.segments?.[index + 1] as number];
        expect(tokens).toHaveLength(to - from);
        const expected = Array.from({ length: tiny.width }, (_, column) => {
          let sum = 0;
          for (let row = from; row < to; row += 1) sum += hidden?.data[row * tiny.width + column] as number;
          return sum / (to - from);
        });
        // A mean of f32 values printed with nine digits; values are of order 1.
        expected.forEach((value, column) => expect(pooled?.[column]).toBeCloseTo(value, 5));
        const logits = heads.default?.data.subarray(index * tiny.labels, (index + 1) * tiny.labels) ?? [];
        Array.from(logits).forEach((value, label) => expect(own?.default?.logits?.[label]).toBeCloseTo(value, 5));
      });
      await model.dispose();
    } finally {
      await gpu.dispose();
    }
  });

  test("runs ids with types, up to the limit", async () => {
    const { code, result } = await run("ids.jsonl", "--limit", "2");
    expect(code).toBe(0);
    expect(result.sequences.map(({ tokens }) => tokens)).toEqual([
      ["2", "4", "5", "3"],
      ["2", "8", "3"],
    ]);
  });
});

test("tables, JSON lines and plain lines hold the same texts; every sequence knows its line", async () => {
  const host = { kind: "ids", vocabulary: 12, types: 2 } as const;
  const read = async (name: string, column?: string, limit?: number): Promise<readonly Sequence[]> =>
    (await inputsOf(folder.file(name), host, { column, limit })).sequences;
  const plain = await read("in.txt");
  expect(plain.map(({ data }) => data)).toEqual(texts.map((text) => ({ kind: "text", text })));
  expect(plain.map(({ place }) => place)).toEqual(texts.map((_, index) => `${folder.file("in.txt")}:${index + 1}`));
  expect((await read("in.jsonl")).map(({ data }) => data)).toEqual(plain.map(({ data }) => data));
  const table = await read("in.csv.gz", "text");
  expect(table.map(({ data }) => data)).toEqual(plain.map(({ data }) => data));
  expect(table[0]?.place).toBe(`${folder.file("in.csv.gz")}:2`);
  expect(await read("in.txt", undefined, 3)).toHaveLength(3);
  expect((await read("ids.jsonl"))[1]?.data).toEqual({ kind: "ids", ids: [2, 8, 3], types: [0, 0, 1] });
});

describe("a routed run", () => {
  test("writes JSON, report and trace that agree, and nothing else", async () => {
    const target = (name: string): string => folder.file(`out/${name}`);
    const args = [
      "--model",
      folder.file("model"),
      "--input",
      folder.file("in.txt"),
      "--route",
      "r=2/null/3",
      "--adapter",
      "task=coda",
    ];
    const files = ["--json", target("run.json"), "--report", target("run.html"), "--trace", target("run-trace.json")];
    const { code, out, err } = await commandLine(["run", ...args, ...files]);
    expect(code).toBe(0);
    expect(out).toContain("routers are random (seed 0), not trained");
    expect(out).toContain("fresh weights");
    expect(err).toContain("wrote ");
    expect((await readdir(folder.file("out"))).sort()).toEqual(["run-trace.json", "run.html", "run.json"]);
    const result = JSON.parse(await readFile(target("run.json"), "utf8")) as Result;
    const trace = parseTrace(await readFile(target("run-trace.json"), "utf8"));
    expect(trace.sequences.map(({ tokens }) => tokens)).toEqual(result.sequences.map(({ tokens }) => tokens));
    result.sequences.forEach(({ tokens, selected }, index) => {
      const n = tokens.length;
      expect(selected).toEqual([Math.ceil(n / 2), null, Math.ceil(n / 3)]);
      expect(trace.sequences[index]?.layers.map((layer) => layer?.selected.length ?? null)).toEqual(selected);
    });
    const heavy = result.sequences.reduce((sum, { selected }) => sum + (selected?.[0] as number), 0);
    const rows = result.sequences.reduce((sum, { tokens }) => sum + tokens.length, 0);
    expect(result.layers).toMatchObject([{ rows, selected: heavy }, null, { rows }]);
    const html = await readFile(target("run.html"), "utf8");
    expect(html).toContain("the cat sat on the mat");
    // One coloured item per token of the run, besides the legend.
    expect(html.match(/<li class="h\d+" tabindex/g)).toHaveLength(rows);
  });

  test("with trained routers takes their options too, but for what --route says", async () => {
    const model = await loadModel(await sharedGpu(), folder.file("model"));
    model.setRouting(coda({ reduction: 2, attention: "k-to-all", seed: 3 }));
    await saveRouters(model, folder.file("routers.safetensors"));
    await model.dispose();
    const trained = ["--adapter", "task=coda", "--routers", folder.file("routers.safetensors")];
    const { code, err, result } = await run("in.txt", ...trained);
    expect(code, err).toBe(0);
    expect(result.settings.route).toMatchObject({ reduction: 2, attention: "k-to-all", seed: 3, trained: true });
    expect(err).toContain("adapter  task (coda, fresh weights");
    expect(err).not.toContain("routers are random");
    const other = await run("in.txt", ...trained, "--route", "r=1/null/3");
    expect(other.err).toMatch(/holds 3 vectors of 16, expected 2 of 16/);
    const fewer = (await run("in.txt", ...trained, "--route", "r=3")).result;
    expect(fewer.settings.route).toMatchObject({ reduction: 3, attention: "k-to-all", trained: true });
    fewer.sequences.forEach(({ tokens, selected }) => expect(selected?.[1]).toBe(Math.ceil(tokens.length / 3)));
  });

  test("captures go into the JSON, sequence by sequence", async () => {
    const names = ["layers.0.output", "layers.2.attention.probabilities"];
    const { code, result } = await run("in.txt", "--route", "r=2,attention=k-to-all", "--capture", names.join(","));
    expect(code).toBe(0);
    for (const { tokens, captures, selected } of result.sequences) {
      expect(captures?.[names[0] as string]?.shape).toEqual([tokens.length, tiny.width]);
      const probabilities = captures?.[names[1] as string];
      expect(probabilities?.shape).toEqual([tiny.heads, selected?.[2], tokens.length]);
      const sum = probabilities?.data.reduce((total, value) => total + value, 0) as number;
      expect(sum / (tiny.heads * (selected?.[2] as number))).toBeCloseTo(1, 5);
    }
  });
});

describe("bad input leaves no file behind and ends with code 2", () => {
  test.each([
    ["in.csv.gz", [], /which column holds the texts/],
    ["in.csv.gz", ["--column", "smiles"], /there is no column "smiles"/],
    ["in.txt", ["--column", "text"], /is not a table/],
    ["missing.txt", [], /missing.txt is not there/],
    ["mixed.jsonl", [], /some lines hold texts and some hold ids/],
    ["bad.txt", [], /is not UTF-8/],
    ["bad.csv.gz", [], /does not unpack/],
    ["long.txt", [], /long.txt:2 \(42\)/],
    ["range.jsonl", [], /range.jsonl:2: .*99/],
    ["in.txt", ["--outputs", "heads.other"], /there is no output heads.other/],
    ["in.txt", ["--capture", "layers.9.output"], /layers.9.output/],
    ["in.txt", ["--adapter", "task=loreft"], /loreft is neither a preset nor a folder/],
    ["in.txt", ["--routers", "nowhere.safetensors"], /nowhere.safetensors is not there/],
    ["in.txt", ["--routers", "package.json"], /package.json/],
    ["in.txt", ["--route", "r=2/3"], /lists 2 layers, the host has 3/],
  ])("%s %j", async (input, more, message) => {
    const before = await readdir(folder.path);
    const { code, out, err } = await run(input, ...more);
    expect(err).toMatch(message);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(await readdir(folder.path)).toEqual(before);
  });

  test("--skip-long leaves long sequences out and says so", async () => {
    const { code, err, result } = await run("long.txt", "--skip-long");
    expect(code).toBe(0);
    expect(result.sequences).toHaveLength(1);
    expect(err).toContain("1 sequences over the 24 tokens");
  });

  test("an interrupted run ends with code 130", async () => {
    const controller = new AbortController();
    controller.abort(new Error("interrupted"));
    const { code, err } = await commandLine(
      ["run", "--model", folder.file("model"), "--input", folder.file("in.txt")],
      controller.signal,
    );
    expect(code).toBe(130);
    expect(err).toMatch(/interrupted\n$/);
  });
});

const kwt = new URL("../../../shared/data/kwt1-speech-commands/", import.meta.url).pathname;

describe.skipIf(!existsSync(kwt))("published audio model", () => {
  test("labels raw clips as their table says", async () => {
    const args = [
      "run",
      "--model",
      kwt,
      "--input",
      `${kwt}clips.i16.gz`,
      "--tsv",
      `${kwt}clips.tsv`,
      "--limit",
      "4",
      "--json",
      "-",
    ];
    const { code, out } = await commandLine([...args, "--outputs", "heads.default"]);
    expect(code).toBe(0);
    const { sequences } = JSON.parse(out) as Result;
    const table = (await readFile(`${kwt}clips.tsv`, "utf8")).split("\n").map((line) => line.split("\t"));
    sequences.forEach(({ heads }, clip) => {
      const expected = (table[clip + 1] as string[]).slice(4).map(Number);
      // The table has six decimals of a float64 run; the goal for f32 is 1e-3.
      heads?.default?.logits?.forEach((value, label) =>
        expect(Math.abs(value - (expected[label] as number))).toBeLessThan(1e-3),
      );
      expect(heads?.default?.logits).toHaveLength(12);
    });
  });
});
