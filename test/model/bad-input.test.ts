/** @file Bad input: one EngineError with a code and a fix, nothing left behind, and the model still runs. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { LoadOptions } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { RunInput, RunOptions } from "../../src/model/types.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { checkpointBytes, memoryFolder, tinyModel } from "../tiny-models.ts";
import type { TinyModel } from "../tiny-models.ts";

const VOCABULARY = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "[MASK]",
  ...Array.from("abcdefghij"),
  ...Array.from("0123456789"),
  "##a",
  "##b",
  "##c",
  "x",
  "y",
];

let gpu: Gpu;
let tiny: TinyModel;

beforeAll(async () => {
  gpu = await sharedGpu();
  tiny = tinyModel("bert");
});

/** Expects an EngineError with a code and a text that matches, and no byte left on the GPU. */
async function refused(code: string, pattern: RegExp, act: () => Promise<unknown> | unknown): Promise<EngineError> {
  const before = gpu.memory;
  let caught: unknown;
  try {
    await act();
  } catch (error) {
    caught = error;
  }
  expect(caught).toBeInstanceOf(EngineError);
  const error = caught as EngineError;
  expect(`${error.code}: ${error.message}`).toMatch(pattern);
  expect(error.code).toBe(code);
  expect(gpu.memory).toEqual(before);
  return error;
}

describe("loading", () => {
  const folder = (tensors: TinyModel["tensors"], config: unknown = tiny.config): ReturnType<typeof memoryFolder> =>
    memoryFolder({ "config.json": JSON.stringify(config), "model.safetensors": checkpointBytes(tensors) });
  const load = (tensors: TinyModel["tensors"], config?: unknown, options?: LoadOptions): Promise<Model> =>
    loadFolder(gpu, folder(tensors, config), options);

  test("missing, unexpected and wrongly shaped tensors are all listed at once", async () => {
    const { "embeddings.LayerNorm.weight": _, ...rest } = tiny.tensors;
    const tensors = {
      ...rest,
      "encoder.layer.7.extra": { shape: [3], data: new Float32Array(3) },
      "embeddings.LayerNorm.bias": { shape: [31], data: new Float32Array(31) },
    };
    const error = await refused("BAD_WEIGHTS", /3 problems/, () => load(tensors));
    expect(error.message).toMatch(/missing: embeddings\.LayerNorm\.weight \[32\]/);
    expect(error.message).toMatch(/wrong shape: embeddings\.LayerNorm\.bias is \[31\], expected \[32\]/);
    expect(error.message).toMatch(/unexpected: encoder\.layer\.7\.extra \[3\]/);
    expect(error.fix).not.toBe("");
  });

  test("NaN and infinite weights are refused by name and element", async () => {
    const bad = Float32Array.from(tiny.tensors["embeddings.LayerNorm.weight"]?.data ?? []);
    bad[5] = NaN;
    const tensors = { ...tiny.tensors, "embeddings.LayerNorm.weight": { shape: [32], data: bad } };
    await refused("BAD_WEIGHTS", /embeddings\.LayerNorm\.weight holds NaN at element 5/, () => load(tensors));
  });

  test("buffers and heads of other tasks are no error", async () => {
    const extra = {
      "embeddings.position_ids": { shape: [1, 40], data: new Float32Array(40) },
      "cls.seq_relationship.weight": { shape: [2, 32], data: new Float32Array(64) },
    };
    const model = await load({ ...tiny.tensors, ...extra });
    expect(model.report.ignored.map(({ reason }) => reason).sort()).toEqual(["buffer", "head of another task"]);
    await model.dispose();
  });

  test("unknown model_type, missing and wrong fields, settings that are not built", async () => {
    await refused("BAD_CONFIG", /unknown model_type "llama"; known: albert, bert, distilbert, gpt2, kwt, roberta/, () =>
      load(tiny.tensors, { ...tiny.config, model_type: "llama" }),
    );
    await refused("BAD_CONFIG", /hidden_size is missing/, () =>
      load(tiny.tensors, { ...tiny.config, hidden_size: undefined }),
    );
    await refused("BAD_CONFIG", /num_hidden_layers is -1/, () =>
      load(tiny.tensors, { ...tiny.config, num_hidden_layers: -1 }),
    );
    await refused("BAD_CONFIG", /hidden_act is "mish"/, () =>
      load(tiny.tensors, { ...tiny.config, hidden_act: "mish" }),
    );
    await refused("UNSUPPORTED", /position_embedding_type/, () =>
      load(tiny.tensors, { ...tiny.config, position_embedding_type: "relative_key" }),
    );
    await refused("UNSUPPORTED", /head width of 32 \/ 16/, () =>
      load(tiny.tensors, { ...tiny.config, num_attention_heads: 16 }),
    );
  });

  test("damaged files and unknown options", async () => {
    const whole = checkpointBytes(tiny.tensors);
    const cut = memoryFolder({
      "config.json": JSON.stringify(tiny.config),
      "model.safetensors": whole.slice(0, whole.length - 7),
    });
    await refused("BAD_FILE", /model\.safetensors/, () => loadFolder(gpu, cut));
    const claims = new Uint8Array(16);
    new DataView(claims.buffer).setBigUint64(0, 2n ** 53n, true);
    await refused("BAD_FILE", /./, () =>
      loadFolder(gpu, memoryFolder({ "config.json": "{}", "model.safetensors": claims })),
    );
    await refused("BAD_CONFIG", /option dtype/, () => load(tiny.tensors, tiny.config, { dtype: "f16" } as LoadOptions));
    await refused("BAD_CONFIG", /maxRows is 0/, () => load(tiny.tensors, tiny.config, { maxRows: 0 }));
  });
});

describe("running", () => {
  let model: Model;
  let expected: Float32Array;
  const good: RunInput = { ids: [[1, 2, 3]] };

  beforeAll(async () => {
    const vocabulary = tinyModel("bert", { vocab_size: VOCABULARY.length });
    const folder = memoryFolder({
      "config.json": JSON.stringify(vocabulary.config),
      "model.safetensors": checkpointBytes(vocabulary.tensors),
      "vocab.txt": VOCABULARY.join("\n"),
    });
    model = await loadFolder(gpu, folder);
    expected = ((await model.run(good)).hidden as { data: Float32Array }).data;
  });
  afterAll(async () => model.dispose());

  const still = async (): Promise<void> =>
    expect(((await model.run(good)).hidden as { data: Float32Array }).data).toEqual(expected);

  test.each<[string, string, RegExp, RunInput, RunOptions]>([
    ["an id out of range", "BAD_INPUT", /ids\[1\]\[2\] is 30/, { ids: [[1], [0, 1, 30]] }, {}],
    ["a negative id", "BAD_INPUT", /ids\[0\]\[0\] is -1/, { ids: [[-1]] }, {}],
    ["a fractional id", "BAD_INPUT", /ids\[0\]\[0\] is 1\.5/, { ids: [[1.5]] }, {}],
    ["an empty sequence", "BAD_INPUT", /ids\[1\] is empty/, { ids: [[1], []] }, {}],
    [
      "a sequence over the position table",
      "BAD_INPUT",
      /ids\[0\] has 41 tokens; .* holds 40/,
      { ids: [Array.from({ length: 41 }, () => 1)] },
      {},
    ],
    ["types of another length", "BAD_INPUT", /types\[0\] has 1 tokens/, { ids: [[1, 2]], types: [[0]] }, {}],
    ["a type out of range", "BAD_INPUT", /types\[0\]\[1\] is 2/, { ids: [[1, 2]], types: [[0, 2]] }, {}],
    ["two kinds of input", "BAD_INPUT", /exactly one of/, { ids: [[1]], texts: ["a"] }, {}],
    ["no input", "BAD_INPUT", /given: none/, {}, {}],
    ["audio for a text model", "BAD_INPUT", /does not take audio/, { audio: [new Float32Array(4)] }, {}],
    [
      "an unknown capture lists the known ones",
      "UNKNOWN_NAME",
      /no value named layers\.9\.output; known: .*layers\.1\.output/,
      good,
      { capture: ["layers.9.output"] },
    ],
    ["an unknown output", "UNKNOWN_NAME", /no output heads\.other; known: hidden/, good, { outputs: ["heads.other"] }],
    [
      "one adapter per sequence, for another number of sequences",
      "BAD_INPUT",
      /names 2 adapters, the batch has 1 sequences/,
      good,
      { adapters: [null, null] },
    ],
    ["an adapter that nobody added", "UNKNOWN_NAME", /no adapter a; resident: none/, good, { adapters: ["a"] }],
  ])("%s", async (_, code, pattern, input, options) => {
    await refused(code, pattern, () => model.run(input, options));
    await still();
  });

  test("texts run, an empty batch gives empty tensors", async () => {
    expect((await model.run({ texts: ["abc x"] })).hidden?.shape[1]).toBe(32);
    const out = await model.run({ ids: [] }, { capture: ["layers.0.output", "layers.0.attention.probabilities"] });
    expect(out.hidden).toEqual({ data: new Float32Array(0), shape: [0, 32], segments: new Uint32Array(1) });
    expect(out.captures["layers.0.attention.probabilities"]).toEqual([]);
    expect(out.captures["layers.0.output"]).toMatchObject({ shape: [0, 32] });
  });

  test.each<[string, string, RegExp, CodaOptions]>([
    ["r below 1", "BAD_CONFIG", /reduction is 0\.5/, { reduction: 0.5 }],
    ["r not a number", "BAD_CONFIG", /reduction is NaN/, { reduction: NaN }],
    ["a list of another length", "BAD_CONFIG", /lists 3 layers, the host has 2/, { reduction: [1, 2, 3] }],
    [
      "a router of another width",
      "BAD_CONFIG",
      /expected 2 of 32/,
      { reduction: 2, weights: [new Float32Array(5), new Float32Array(32)] },
    ],
    ["an unknown field", "BAD_CONFIG", /coda: ratio is 3/, { reduction: 2, ratio: 3 } as CodaOptions],
    ["an unknown adapter", "UNKNOWN_NAME", /no adapter nobody; resident: none/, { reduction: 2, adapter: "nobody" }],
    [
      "an unknown router",
      "UNKNOWN_NAME",
      /no router "best"; known: learned, .*separate/,
      { reduction: 2, router: "best" },
    ],
  ])("routing: %s", async (_, code, pattern, options) => {
    await refused(code, pattern, () => model.setRouting(coda(options)));
    await still();
  });
});

describe("life cycle", () => {
  test("calls are queued; a run sees what was set when it was called; dispose waits and gives every byte back", async () => {
    const before = gpu.memory;
    const model = await loadFolder(gpu, tiny.folder);
    await model.addAdapter("a", { config: { layer_adapter: true, reduction_factor: 4, init_weights: "bert" } });
    const input: RunInput = { ids: [[1, 2, 3, 4, 5, 6]] };
    const bare = model.run(input);
    model.setActive("a");
    const adapted = model.run(input);
    model.setRouting(coda({ reduction: 3 }));
    const routed = model.run(input);
    model.setActive(null);
    const gone = model.dispose();
    const [one, two, three] = await Promise.all([bare, adapted, routed]);
    await gone;
    expect(one.hidden).not.toEqual(two.hidden);
    expect(one.routing).toBeNull();
    expect(three.routing?.[0]?.selected).toHaveLength(2);
    expect(three.routing?.[0]?.trained).toBe(false);
    expect(gpu.memory).toEqual(before);
    await expect(model.run(input)).rejects.toMatchObject({ code: "DISPOSED" });
    expect(() => model.setActive(null)).toThrow(expect.objectContaining({ code: "DISPOSED" }) as Error);
    await model.dispose();
  });

  test("an aborted run rejects with the signal's reason and leaves the model usable", async () => {
    const model = await loadFolder(gpu, tiny.folder);
    const input: RunInput = { ids: [[1, 2, 3]] };
    const reason = new Error("changed my mind");
    await expect(model.run(input, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const running = model.run(input, { signal: controller.signal });
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect((await model.run(input)).hidden?.shape).toEqual([3, 32]);
    await model.dispose();
  });

  test("a warm run creates nothing, and another length that fits compiles nothing", async () => {
    const model = await loadFolder(gpu, tiny.folder, { maxRows: 64 });
    await model.addAdapter("a", "coda");
    model.setActive("a");
    model.setRouting(coda({ reduction: [2, 3], attention: "k-to-all" }));
    await model.run({ ids: [[1, 2, 3, 4]] });
    const before = { ...gpu.counters, ...gpu.memory };
    for (const lengths of [[4], [1, 1, 1], [40], [7, 13, 21]])
      await model.run({ ids: lengths.map((n) => Array.from({ length: n }, () => 1)) });
    model.setActive(null);
    model.setActive("a");
    await model.addAdapter("b", { config: { layer_adapter: true, reduction_factor: 8, non_linearity: "gelu" } });
    model.setActive("b");
    await model.run({ ids: [[1, 2, 3, 4]] });
    expect({ ...gpu.counters, ...gpu.memory, submits: 0 }).toEqual({ ...before, submits: 0 });
    await model.dispose();
  });
});
