/** @file Prediction heads: configurations, tensors, and logits against a plain float64 pass, on the CPU and on the GPU. */

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { buildHead, expectedHeadTensors, headRows, initialHeadTensors } from "../../src/adapters/heads.ts";
import type { HeadParts } from "../../src/adapters/heads.ts";
import { readHeadConfig } from "../../src/adapters/heads-config.ts";
import type { HeadConfig } from "../../src/adapters/heads-config.ts";
import type { AdapterTensor } from "../../src/adapters/tensors.ts";
import { readTensorFile } from "../../src/formats/checkpoint.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import type { Graph } from "../../src/graph/value.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { normal } from "../../src/random.ts";
import { references } from "../../src/reference/index.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { relativeError } from "../model/truth.ts";

const WIDTH = 20;
const LENGTHS = [3, 1, 5];
const ROWS = LENGTHS.reduce((sum, length) => sum + length, 0);
const OFFSETS = Uint32Array.from([0, 3, 4, 9]);
const SIZES = { rows: ROWS, sequences: LENGTHS.length, offsets: OFFSETS.length };

const HIDDEN = normal(5, ROWS * WIDTH);
const POOLED = normal(6, LENGTHS.length * WIDTH);

type Tensors = ReadonlyMap<string, AdapterTensor>;

/** Weights large enough that no activation stays in its straight part, biases that are not zero. */
function livelyTensors(config: HeadConfig, seed: number): Tensors {
  const shapes = [...expectedHeadTensors(config, WIDTH)];
  return new Map(
    shapes.map(([tail, shape], i) => {
      const size = shape.reduce((product, dim) => product * dim, 1);
      return [tail, { shape, data: normal(seed + i, size, tail.endsWith("bias") ? 1 : 0.4) }] as const;
    }),
  );
}

const functions: Readonly<Record<string, (x: number) => number>> = {
  tanh: Math.tanh,
  relu: (x) => Math.max(x, 0),
  silu: (x) => x / (1 + Math.exp(-x)),
};

/** The head by its definition: rows in, logits out. `keys` are the module numbers of the linear maps. */
function plainHead(rows: number[][], tensors: Tensors, keys: readonly string[], kind: string | null): number[] {
  return rows.flatMap((row) => {
    let x = row;
    keys.forEach((key, layer) => {
      const { data, shape } = tensors.get(`${key}.weight`) as AdapterTensor;
      const bias = tensors.get(`${key}.bias`)?.data;
      const [out = 0, inputs = 0] = shape;
      const y = Array.from({ length: out }, (_, o) =>
        x.reduce((sum, value, i) => sum + value * (data[o * inputs + i] as number), (bias?.[o] as number) ?? 0),
      );
      x = layer < keys.length - 1 && kind !== null ? y.map(functions[kind] as (v: number) => number) : y;
    });
    return x;
  });
}

function matrixRows(data: Float32Array): number[][] {
  return Array.from({ length: data.length / WIDTH }, (_, row) => [...data.subarray(row * WIDTH, (row + 1) * WIDTH)]);
}

/** Which rows a head reads. */
const picked = {
  first: [0, 3, 4].map((row) => matrixRows(HIDDEN)[row] as number[]),
  last: [2, 3, 8].map((row) => matrixRows(HIDDEN)[row] as number[]),
  every: matrixRows(HIDDEN),
  pooled: matrixRows(POOLED),
};

interface Run {
  readonly config: HeadConfig;
  readonly tensors: Tensors;
  readonly pick?: HeadParts["pick"];
  readonly pooler?: boolean;
  /** Which of the stacked heads runs; the others hold NaN. */
  readonly slot?: number;
}

const SLOTS = 3;

/** The tensor of one slot of three, between slots of NaN. */
function stacked(data: Float32Array, slot: number): Float32Array {
  const stack = new Float32Array(data.length * SLOTS).fill(Number.NaN);
  stack.set(data, slot * data.length);
  return stack;
}

function headGraph({ config, tensors, pick = "first", pooler = false, slot }: Run): {
  graph: Graph;
  inputs: Record<string, Float32Array | Uint32Array>;
  sizes: Record<string, number>;
} {
  const b = new GraphBuilder();
  const inputs: Record<string, Float32Array | Uint32Array> = { hidden: HIDDEN, segments: OFFSETS };
  const hidden = b.input("hidden", [runtimeDim("rows"), WIDTH]);
  const segments = b.input("segments", [runtimeDim("offsets")], "u32");
  if (pooler) inputs.pooled = POOLED;
  const give = (name: string): ReturnType<GraphBuilder["input"]> | undefined => {
    const tensor = tensors.get(name);
    if (tensor === undefined) return undefined;
    inputs[name] = slot === undefined ? tensor.data : stacked(tensor.data, slot);
    const [out = 0, ...rest] = tensor.shape;
    return b.input(name, [out * (slot === undefined ? 1 : SLOTS), ...rest]);
  };
  const weight: HeadParts["weight"] = (key) => {
    const bias = give(`${key}.bias`);
    const w = give(`${key}.weight`);
    if (w === undefined) throw new Error(`the head asks for a module ${key}`);
    return { w, ...(bias === undefined ? {} : { bias }), ...(slot === undefined ? {} : { slot: "head" }) };
  };
  const pooled = pooler ? { pooled: b.input("pooled", [runtimeDim("sequences"), WIDTH]) } : {};
  const logits = buildHead(b, config, hidden, segments, { pick, count: "sequences", weight, ...pooled });
  const sizes = slot === undefined ? SIZES : { ...SIZES, head: slot };
  return { graph: b.finish({ logits }), inputs, sizes };
}

/** Runs a head in float64 and on the GPU; compares both with the plain pass. */
async function check(run: Run, rows: number[][], keys: readonly string[]): Promise<void> {
  const expected = plainHead(rows, run.tensors, keys, run.config.activation_function);
  const { graph, inputs, sizes } = headGraph(run);
  const gpu = await evaluate(await sharedGpu(), graph, inputs, sizes);
  expect(gpu.logits?.shape).toEqual([rows.length, run.config.num_labels]);
  // Two sums of 20 terms, rounded to f32 each, through a function of slope at most 1.1.
  expect(relativeError(gpu.logits?.data ?? [], expected)).toBeLessThan(2 * WIDTH * 1.1 * 2 ** -23);
  if (run.slot !== undefined) return; // the interpreter has no run-time slots
  const sources = (name: string): { shape: number[]; data: Float64Array | Uint32Array } => {
    const data = inputs[name] as Float32Array | Uint32Array;
    const tensor = run.tensors.get(name);
    const shape =
      tensor === undefined ? (name === "segments" ? [OFFSETS.length] : [data.length / WIDTH, WIDTH]) : tensor.shape;
    return { shape: [...shape], data: data instanceof Uint32Array ? data : Float64Array.from(data) };
  };
  const truth = interpret(graph, { references: references as Record<string, Reference>, sources, sizes });
  // float64 throughout; only the order of sums may differ.
  expect(relativeError(truth.get("logits")?.data ?? [], expected)).toBeLessThan(1e-13);
}

describe("logits", () => {
  const cases: readonly [string, Record<string, unknown>, keyof typeof picked, readonly string[], Partial<Run>][] = [
    ["one layer, first token", { head_type: "classification", num_labels: 3, layers: 1 }, "first", ["1"], {}],
    ["two layers, first token", { head_type: "classification", num_labels: 5 }, "first", ["1", "4"], {}],
    ["two layers, last token", { head_type: "classification", num_labels: 5 }, "last", ["1", "4"], { pick: "last" }],
    [
      "regression, three layers",
      { head_type: "classification", num_labels: 1, layers: 3 },
      "first",
      ["1", "4", "7"],
      {},
    ],
    [
      "no activation: two modules per layer",
      { head_type: "classification", num_labels: 4, layers: 3, activation_function: null },
      "first",
      ["1", "3", "5"],
      {},
    ],
    [
      "another activation, no last bias",
      { head_type: "multilabel_classification", num_labels: 4, activation_function: "swish", bias: false },
      "first",
      ["1", "4"],
      {},
    ],
    [
      "the pooler",
      { head_type: "classification", num_labels: 3, use_pooler: true },
      "pooled",
      ["1", "4"],
      { pooler: true },
    ],
    [
      "the last token of a causal host, use_pooler or not",
      { head_type: "classification", num_labels: 3, use_pooler: true },
      "last",
      ["1", "4"],
      { pick: "last", pooler: true },
    ],
    ["a tagger: every token", { head_type: "tagging", num_labels: 7 }, "every", ["1"], {}],
    [
      "a tagger of two layers",
      { head_type: "tagging", num_labels: 7, layers: 2 },
      "every",
      ["1", "4"],
      { pick: "last" },
    ],
    [
      "multiple choice: a score per sequence",
      { head_type: "multiple_choice", num_choices: 3 },
      "first",
      ["1", "4"],
      {},
    ],
    ["images", { head_type: "image_classification", num_labels: 10, multilabel: true }, "first", ["1"], {}],
    ["the middle one of three slots", { head_type: "classification", num_labels: 3 }, "first", ["1", "4"], { slot: 1 }],
    ["the last one of three slots", { head_type: "tagging", num_labels: 2 }, "every", ["1"], { slot: 2 }],
  ];
  test.each(cases)("%s", async (_, raw, rows, keys, extra) => {
    const config = readHeadConfig(raw, WIDTH);
    await check({ config, tensors: livelyTensors(config, 40), ...extra }, picked[rows], keys);
  });

  test("a head with use_pooler is refused where there is no pooler", () => {
    const config = readHeadConfig({ head_type: "classification", num_labels: 2, use_pooler: true }, WIDTH);
    const refused = expect.objectContaining({ code: "UNSUPPORTED", where: "use_pooler" }) as Error;
    expect(() => headGraph({ config, tensors: livelyTensors(config, 1) })).toThrow(refused);
  });
});

describe("configurations", () => {
  test("defaults follow the type", () => {
    expect(readHeadConfig({ head_type: "classification", num_labels: 3 }, WIDTH)).toEqual({
      head_type: "classification",
      num_labels: 3,
      num_choices: null,
      layers: 2,
      activation_function: "tanh",
      label2id: null,
      use_pooler: false,
      bias: true,
      dropout_prob: null,
      multilabel: false,
    });
    expect(readHeadConfig({ head_type: "tagging", num_labels: 3 }, WIDTH).layers).toBe(1);
    expect(readHeadConfig({ head_type: "multilabel_classification", num_labels: 3 }, WIDTH).multilabel).toBe(true);
    const choice = readHeadConfig({ head_type: "multiple_choice", num_choices: 4, num_labels: 1 }, WIDTH);
    expect(choice).toMatchObject({ num_labels: 1, num_choices: 4 });
  });

  test("a row of logits per token is what a tagger gives, and only a tagger", () => {
    const rows = (head_type: string): string => headRows(readHeadConfig({ head_type, num_labels: 2 }, WIDTH));
    expect(rows("tagging")).toBe("token");
    expect(rows("classification")).toBe("sequence");
    expect(rows("image_classification")).toBe("sequence");
  });

  test.each<[string, Record<string, unknown>, string, string]>([
    ["a type that is not built", { head_type: "question_answering", num_labels: 2 }, "UNSUPPORTED", "head_type"],
    ["a name of Object", { head_type: "constructor", num_labels: 2 }, "UNSUPPORTED", "head_type"],
    ["the head of a model class", { num_labels: 2, label2id: { a: 0, b: 1 } }, "UNSUPPORTED", "head_type"],
    ["no labels", { head_type: "tagging" }, "BAD_CONFIG", "head.num_labels"],
    ["half a label", { head_type: "tagging", num_labels: 1.5 }, "BAD_CONFIG", "head.num_labels"],
    ["no choices", { head_type: "multiple_choice" }, "BAD_CONFIG", "head.num_choices"],
    [
      "two labels per choice",
      { head_type: "multiple_choice", num_choices: 2, num_labels: 2 },
      "BAD_CONFIG",
      "head.num_labels",
    ],
    ["choices of a tagger", { head_type: "tagging", num_labels: 2, num_choices: 2 }, "BAD_CONFIG", "head.num_choices"],
    ["no layer", { head_type: "tagging", num_labels: 2, layers: 0 }, "BAD_CONFIG", "head.layers"],
    ["a billion layers", { head_type: "tagging", num_labels: 2, layers: 1e9 }, "BAD_CONFIG", "head.layers"],
    [
      "an unknown function",
      { head_type: "tagging", num_labels: 2, activation_function: "mish" },
      "BAD_CONFIG",
      "head.activation_function",
    ],
    ["an unknown field", { head_type: "tagging", num_labels: 2, layer_norm: true }, "BAD_CONFIG", "head.layer_norm"],
    [
      "labels without numbers",
      { head_type: "tagging", num_labels: 2, label2id: { a: "0" } },
      "BAD_CONFIG",
      "head.label2id",
    ],
    [
      "several labels at once in one class",
      { head_type: "classification", num_labels: 2, multilabel: true },
      "BAD_CONFIG",
      "head.multilabel",
    ],
    [
      "another width",
      { hidden_size: 768, config: { head_type: "tagging", num_labels: 2 } },
      "BAD_CONFIG",
      "hidden_size",
    ],
  ])("%s is refused", (_, raw, code, where) => {
    expect(() => readHeadConfig(raw, WIDTH)).toThrow(expect.objectContaining({ code, where }) as Error);
  });
});

describe("fresh tensors", () => {
  const config = readHeadConfig({ head_type: "classification", num_labels: 3 }, 64);

  test("have the shapes that are expected, small weights and no bias", () => {
    const tensors = initialHeadTensors(config, 64, 1);
    const shapes = [...tensors].map(([tail, { shape }]) => [tail, shape] as const);
    expect(shapes).toEqual([...expectedHeadTensors(config, 64)]);
    expect(shapes).toEqual([
      ["1.weight", [64, 64]],
      ["1.bias", [64]],
      ["4.weight", [3, 64]],
      ["4.bias", [3]],
    ]);
    const { data } = tensors.get("1.weight") as AdapterTensor;
    const square = data.reduce((sum, value) => sum + value * value, 0) / data.length;
    // The deviation of 4,096 draws is off by 1.1 % at one sigma.
    expect(Math.abs(Math.sqrt(square) / 0.02 - 1)).toBeLessThan(0.05);
    expect(tensors.get("1.bias")?.data).toEqual(new Float32Array(64));
  });

  test("the last map alone may go without a bias; without an activation its number moves", () => {
    const plain = { head_type: "tagging", num_labels: 2, layers: 2, bias: false, activation_function: null };
    expect([...expectedHeadTensors(readHeadConfig(plain, 8), 8)]).toEqual([
      ["1.weight", [8, 8]],
      ["1.bias", [8]],
      ["3.weight", [2, 8]],
    ]);
  });

  test("follow the seed, and differ from layer to layer", () => {
    const deep = readHeadConfig({ head_type: "classification", num_labels: 64, layers: 2 }, 64);
    const data = (seed: number, tail: string): Float32Array | undefined =>
      initialHeadTensors(deep, 64, seed).get(tail)?.data;
    expect(data(1, "1.weight")).toEqual(data(1, "1.weight"));
    expect(data(1, "1.weight")).not.toEqual(data(2, "1.weight"));
    expect(data(1, "1.weight")).not.toEqual(data(1, "4.weight"));
  });
});

/** Folders with a head, below a folder of cases. */
function savedHeads(): [folder: string, width: number][] {
  const at = dataPath("adapters-golden/bert/cases");
  const cases = missing("adapters-golden") ? [] : readdirSync(at).filter((name) => name.startsWith("head_"));
  const golden = cases.flatMap((name) =>
    ["adapters", "adapters_safetensors"].map((form): [string, number] => [`${at}/${name}/${form}/a`, 64]),
  );
  const published = dataPath("adapter-pfeiffer-mbert-metaphor");
  return missing("adapter-pfeiffer-mbert-metaphor") ? golden : [...golden, [published, 768]];
}

describe.skipIf(savedHeads().length === 0)("heads that the library saved", () => {
  test("hold the tensors that are expected", () => {
    for (const [folder, width] of savedHeads()) {
      const raw = JSON.parse(readFileSync(`${folder}/head_config.json`, "utf8")) as Record<string, unknown>;
      const file = readdirSync(folder).find((name) => name.includes("head") && !name.endsWith(".json")) as string;
      const { tensors } = readTensorFile(readFileSync(`${folder}/${file}`), file);
      const found = [...tensors].map(([name, { shape }]) => [name.split(".").slice(2).join("."), shape] as const);
      const expected = expectedHeadTensors(readHeadConfig(raw, width), width);
      expect(Object.fromEntries(found), folder).toEqual(Object.fromEntries(expected));
    }
  });
});
