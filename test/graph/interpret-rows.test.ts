/** @file Some rows in float64 are the rows of the whole, bit for bit, on graphs as models build them and as passes leave them. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Encoder } from "../../src/bench/encoder.ts";
import type { EncoderSizes } from "../../src/bench/encoder.ts";
import { allForms } from "../../src/bench/encoder-table.ts";
import { lengthsOf, plainGraph, prepareForm } from "../../src/bench/encoder-forms.ts";
import type { EncoderForm } from "../../src/bench/encoder-forms.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { InterpretOptions, Reference } from "../../src/graph/interpret.ts";
import { interpretRows } from "../../src/graph/interpret-rows.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { attention } from "../../src/ops/attention.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { pool } from "../../src/ops/pool.ts";
import { generator, normal } from "../../src/random.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { CountedSketch, feeds } from "./counted-graph.ts";
import { PICKED, ROWS, Sketch, randomInputs, sourcesOf } from "./fixtures.ts";

const allReferences = references as Readonly<Record<string, Reference>>;

/** Counts the rows that the references compute, to see that less is done. */
function counting(): { readonly references: Readonly<Record<string, Reference>>; readonly rows: () => number } {
  let rows = 0;
  const counted = Object.entries(allReferences).map(([stem, reference]): [string, Reference] => [
    stem,
    (...call) => {
      const computed = reference(...call);
      for (const { shape } of Object.values(computed)) rows += shape[0] as number;
      return computed;
    },
  ]);
  return { references: Object.fromEntries(counted), rows: () => rows };
}

function rowsOf({ shape, data }: ReferenceTensor, rows: Uint32Array): number[] {
  const width = (shape as readonly number[]).slice(1).reduce((product, axis) => product * axis, 1);
  return Array.from(rows).flatMap((row) => [...data.subarray(row * width, (row + 1) * width)]);
}

/** Compares wanted rows with the same rows of the whole. @returns rows computed for the part and for the whole */
function expectSameRows(
  graph: Graph,
  options: Omit<InterpretOptions, "references">,
  wanted: Readonly<Record<string, Uint32Array>>,
): { readonly part: number; readonly whole: number } {
  const [part, whole] = [counting(), counting()];
  const expected = interpret(graph, { ...options, references: whole.references });
  const found = interpretRows(graph, { ...options, references: part.references, wanted });
  expect([...found.keys()]).toEqual([...expected.keys()]);
  for (const [name, tensor] of expected) {
    const rows = wanted[name] ?? Uint32Array.from({ length: tensor.shape[0] as number }, (_, row) => row);
    const { shape, data } = found.get(name) as ReferenceTensor;
    expect(shape, name).toEqual([rows.length, ...tensor.shape.slice(1)]);
    expect([...data], name).toEqual(rowsOf(tensor, rows));
  }
  return { part: part.rows(), whole: whole.rows() };
}

/** Some of `count` rows, ascending, drawn from a seed. */
function someRows(seed: number, count: number, share: number): Uint32Array {
  const random = generator(seed);
  return Uint32Array.from(Array(count).keys()).filter(() => random() < share);
}

const LENGTHS = [19, 1, 40, 7];
const TOKENS = 67;

describe.each(["bert", "t5"] as const)("encoders of two layers, %s", (style) => {
  const sizes: EncoderSizes = { layers: 2, width: 16, heads: 2, ffnWidth: 24, bottleneck: 4, style };
  let encoder: Encoder;
  beforeAll(async () => {
    encoder = await Encoder.create(await sharedGpu(), sizes, 3);
  });
  afterAll(() => encoder.dispose());

  async function optionsOf(form: EncoderForm, graph: Graph): Promise<Omit<InterpretOptions, "references">> {
    const prepared = await prepareForm(encoder, form);
    const batch = lengthsOf(plainGraph(prepared), prepared.parts, LENGTHS);
    const truths = await encoder.truths(graph);
    const inputs: Record<string, ReferenceTensor> = {
      x: { shape: [TOKENS, sizes.width], data: Float64Array.from(normal(5, TOKENS * sizes.width)) },
    };
    for (const [name, data] of Object.entries(batch.inputs)) {
      inputs[name] = { shape: [data.length], data: data as Uint32Array };
    }
    const sources = (name: string, kind: string): ReferenceTensor =>
      (kind === "input" ? inputs[name] : truths.get(name)) as ReferenceTensor;
    return { sources, sizes: batch.sizes };
  }

  test.each(allForms([1, 2, 5]))("$kind $reduction $attention, as built and optimised", async (form) => {
    const plain = plainGraph(await prepareForm(encoder, form)).graph;
    for (const graph of [plain, optimize(plain)]) {
      const options = await optionsOf(form, graph);
      for (const [seed, share] of [0.05, 0.2, 0.7, 1].entries()) {
        expectSameRows(graph, options, { hidden: someRows(seed, TOKENS, share) });
      }
      expectSameRows(graph, options, { hidden: Uint32Array.of() });
      expectSameRows(graph, options, { hidden: Uint32Array.of(0) });
      expectSameRows(graph, options, { hidden: Uint32Array.of(TOKENS - 1) });
    }
  });

  test("computes fewer rows for fewer wanted ones", async () => {
    const form: EncoderForm = { kind: "routed", reduction: 2, attention: "k-to-all" };
    const { graph } = plainGraph(await prepareForm(encoder, form));
    const options = await optionsOf(form, graph);
    const few = expectSameRows(graph, options, { hidden: Uint32Array.of(3, 60) });
    expect(few.part).toBeLessThan(0.75 * few.whole);
    const { part, whole } = expectSameRows(graph, options, {});
    expect(part).toBe(whole);
  });

  test("what is wanted in full is seen whole, and what was put in its place is used", async () => {
    const form: EncoderForm = { kind: "routed", reduction: 2, attention: "k-to-k" };
    const { graph } = plainGraph(await prepareForm(encoder, form));
    const options = await optionsOf(form, graph);
    const seen: string[] = [];
    const override: InterpretOptions["override"] = (node, computed) => {
      if (node.label !== "soft-top-k") return computed;
      const { shape } = computed.weights as ReferenceTensor;
      seen.push(`${node.scope} ${shape.join()}`);
      return { weights: { shape, data: new Float64Array(shape[0] as number).fill(0.25) } };
    };
    const changed = { ...options, references: allReferences, override };
    const wanted = { hidden: Uint32Array.of(2, 30) };
    const whole = interpret(graph, changed).get("hidden") as ReferenceTensor;
    const part = interpretRows(graph, { ...changed, wanted });
    expect([...(part.get("hidden") as ReferenceTensor).data]).toEqual(rowsOf(whole, wanted.hidden));
    expect(seen).toEqual(["layers.0 67", "layers.1 67", "layers.0 67", "layers.1 67"]);
  });
});

describe("single ops", () => {
  const SIZES = { rows: 12, picked: 5, sequences: 2, offsets: 3 };

  function check(
    build: (b: Sketch) => Value,
    rows: readonly number[],
  ): { readonly part: number; readonly whole: number } {
    const b = new Sketch();
    const graph = b.finish({ y: build(b) });
    const inputs: Record<string, Float32Array | Uint32Array> = randomInputs(graph, SIZES);
    inputs.segments = Uint32Array.of(0, 4, 12);
    const options = { sources: sourcesOf(graph, inputs, SIZES), sizes: SIZES };
    return expectSameRows(graph, options, { y: Uint32Array.from(rows) });
  }

  const x = (b: Sketch): Value => b.input("x", [ROWS, 8]);
  const picked = (b: Sketch): Value => b.input("picked", [PICKED], "u32");

  test("a row of weights under the scatter, one beside it, and a gathered row past the end", () => {
    const scatter = (b: Sketch): Value =>
      b.put(x(b), b.mm(b.take(x(b), picked(b)), "w", 8), picked(b), b.input("weight", [ROWS]));
    // The rows 1, 3, 5, 7, 9 are picked.
    for (const rows of [[3], [2], [1, 2, 9], [0, 11], []]) check(scatter, rows);
  });

  test("a vector that repeats is not cut", () => {
    const { part, whole } = check((b) => b.ew("mul", b.mm(x(b), "w", 8), b.input("vector", [8])), [1, 7]);
    expect(part).toBeLessThan(whole);
  });

  test("rows under another shape, and elements that are no rows any more", () => {
    const wide = check((b) => b.reshape(b.mm(x(b), "w", 6), [ROWS, 2, 3]), [1, 7]);
    expect(wide.part).toBeLessThan(wide.whole);
    const turned = check((b) => b.reshape(b.mm(x(b), "w", 6), [runtimeDim("rows", 2), 3]), [1, 7]);
    expect(turned.part).toBe(turned.whole);
  });

  test("the causal order is that of the places before rows were left out", () => {
    const causal = (b: Sketch): Value => {
      const segments = b.input("segments", [runtimeDim("offsets")], "u32");
      const qkv = b.mm(x(b), "w", 24);
      const inputs = { q: qkv, kv: qkv, q_segments: segments, kv_segments: segments };
      const attributes = { heads: 2, headWidth: 4, scale: 0.5, causal: true, kAt: 8, vAt: 16 };
      return b.op(attention, inputs, attributes).y as Value;
    };
    for (const rows of [[1, 6], [3], [4], [0, 11]]) check(causal, rows);
    // Keys of the first sequence, four rows, are enough for its last row.
    const { part, whole } = check(causal, [3]);
    expect([part, whole]).toEqual([5, 24]);
  });

  test("rows that an op has counted, under another shape", () => {
    const b = new CountedSketch();
    const { rows, positions } = b.above(0);
    const taken = b.reshape(b.take(b.input("x", [ROWS, 6]), rows), [PICKED, 2, 3]);
    const graph = b.finish({ taken, positions });
    const { inputs, sizes } = feeds(graph, { lengths: [4, 0, 8], room: [3, 0, 8] });
    const options = { sources: sourcesOf(graph, inputs, sizes), sizes };
    const { shape } = interpret(graph, { ...options, references: allReferences }).get("taken") as ReferenceTensor;
    expect(shape[0]).toBeGreaterThan(2);
    expect(shape[0]).toBeLessThan(sizes.picked as number);
    expectSameRows(graph, options, {});
    expectSameRows(graph, options, { taken: Uint32Array.of(0, 2) });
  });

  test("an op without a rule is computed in full", () => {
    const segments = (b: Sketch): Value => b.input("segments", [runtimeDim("offsets")], "u32");
    const mean = (b: Sketch): Value =>
      b.op(pool, { x: b.mm(x(b), "w", 8), segments: segments(b) }, { mode: "mean", count: "sequences" }).y as Value;
    const { part, whole } = check(mean, [1]);
    expect(part).toBe(whole);
  });
});
