/** @file Tables that costs may read: those of the host, of the bank, and the bound of those that only the GPU has. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Encoder } from "../../src/bench/encoder.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { costOf, sizeLookup } from "../../src/graph/schedule.ts";
import type { Value } from "../../src/graph/value.ts";
import { knownTables } from "../../src/model/known-tables.ts";
import { attention } from "../../src/ops/attention.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { thresholdRows } from "../../src/ops/threshold-rows.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const [ROWS, OFFSETS] = [runtimeDim("rows"), runtimeDim("offsets")];
const segments = Uint32Array.of(0, 6, 10);
const room = Uint32Array.of(0, 3, 5);

let encoder: Encoder;

beforeAll(async () => {
  const sizes = { layers: 1, width: 8, heads: 2, ffnWidth: 8, bottleneck: 8 };
  encoder = new Encoder(await sharedGpu(), sizes, 1, { slots: 3 });
  for (const b of [5, 2]) await encoder.add(`b${b}`, { layer_adapter: true, bottleneck_width: b }, b);
});

afterAll(() => encoder.dispose());

describe("known tables", () => {
  test("are integer inputs of the run, never floats or what is not given", () => {
    const b = new GraphBuilder();
    const tables = knownTables({ inputs: { segments, mask: Float32Array.of(1) }, source: encoder.store });
    expect(tables(b.input("segments", [OFFSETS], "u32"))).toBe(segments);
    for (const name of ["mask", "ids"]) expect(tables(b.input(name, [ROWS]))).toBeUndefined();
  });

  test("are the slots of the bank as they stand on the GPU", async () => {
    const { store, gpu, parameters } = encoder;
    const b = new GraphBuilder();
    const { bank, slots } = store.bank.values(b, "layers.0.layer");
    const tables = knownTables({ inputs: {}, source: store });
    const found = tables(slots as Value) as Uint32Array;
    const [bytes] = await gpu.read([{ ...parameters.slice((slots as Value).node.label), size: 48 }]);
    expect(found).toEqual(new Uint32Array(bytes as ArrayBuffer));
    const widths = ["b5", "b2"].map((name) => found[4 * store.bank.slotOf(store.get(name).resident)]);
    expect(widths).toEqual([5, 2]);
    expect(tables(bank)).toBeUndefined();
  });

  test("bound the cost of attention over rows that only the GPU counts", () => {
    const b = new GraphBuilder();
    const inputs = {
      scores: b.input("scores", [ROWS]),
      segments: b.input("segments", [OFFSETS], "u32"),
      capacity_segments: b.input("room", [OFFSETS], "u32"),
    };
    const chosen = b.op(thresholdRows, inputs, { threshold: 0, count: "picked" }).selected_segments as Value;
    const x = b.input("x", [runtimeDim("picked"), 24]);
    const all = b.input("all", [ROWS, 16]);
    const attributes = { heads: 2, headWidth: 4, scale: 1 };
    const mix = (kv: Value, kvSegments: Value, at: { kAt: number; vAt: number }): Value =>
      b.op(attention, { q: x, kv, q_segments: chosen, kv_segments: kvSegments }, { ...attributes, ...at }).y as Value;
    const kToK = mix(x, chosen, { kAt: 8, vAt: 16 });
    const kToAll = mix(all, inputs.segments, { kAt: 0, vAt: 8 });
    const size = sizeLookup({ rows: 10, offsets: 3, picked: 5 });
    const tables = knownTables({ inputs: { segments, room }, source: encoder.store });
    expect(costOf(kToK.node, size, tables).parts?.attention).toBe(4 * 8 * (9 + 4));
    expect(costOf(kToAll.node, size, tables).parts?.attention).toBe(4 * 8 * (3 * 6 + 2 * 4));
    // What a row reads and writes is counted at capacity whether the tables are known or not.
    expect(costOf(kToK.node, size).bytes).toBe(costOf(kToK.node, size, tables).bytes);
  });
});
