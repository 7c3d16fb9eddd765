/** @file A published adapter on a host of its shape: loaded with its head, every layer against float64; refused on another. */

import { describe, expect, test } from "vitest";
import { AdapterBank } from "../../src/adapters/bank.ts";
import { defineAdapter, packDefinition } from "../../src/adapters/define.ts";
import type { EngineError } from "../../src/errors.ts";
import { readAdapterFolder } from "../../src/formats/adapter-hub/read-adapter.ts";
import { readHeadFolder } from "../../src/formats/adapter-hub/read-head.ts";
import type { PlainTensor } from "../../src/formats/adapter-hub/types.ts";
import { Arena } from "../../src/graph/arena.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Value } from "../../src/graph/value.ts";
import { folderFromPath } from "../../src/node/folder.ts";
import { loadModel } from "../../src/node.ts";
import { adapter } from "../../src/ops/adapter.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { normal } from "../../src/random.ts";
import { dataPath, missing } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { idsOf, hiddenOf } from "./lively.ts";
import { relativeError } from "./truth.ts";

const DATA = "adapter-pfeiffer-mbert-metaphor";
const LAYERS = 12;
const WIDTH = 768;
const BOTTLENECK = 48;
const ROWS = 5;
/** Sums of 768 terms of size about 1 in f32: √768 · 2⁻²⁴ = 1.7e-6, twice over. */
const TOLERANCE = 1e-5;

/** A host of the adapter's shape: 12 layers of width 768, with few words and small feed-forwards to save time. */
const shape = { hidden_size: WIDTH, num_hidden_layers: LAYERS, num_attention_heads: 12, intermediate_size: 64 };

/** W x + c in float64. */
function linear(tensors: ReadonlyMap<string, PlainTensor>, name: string, x: ArrayLike<number>): Float64Array {
  const weight = (tensors.get(`${name}.weight`) as PlainTensor).data;
  const bias = (tensors.get(`${name}.bias`) as PlainTensor).data;
  return Float64Array.from(bias, (start, row) => {
    let sum = start;
    for (let i = 0; i < x.length; i += 1) sum += (weight[row * x.length + i] as number) * (x[i] as number);
    return sum;
  });
}

describe.skipIf(missing(DATA))(DATA, () => {
  const folder = folderFromPath(dataPath(DATA));

  test("every layer gives residual + up(relu(down(x))) of float64 on random rows", async () => {
    const gpu = await sharedGpu();
    const before = gpu.memory;
    const host = {
      layers: LAYERS,
      width: WIDTH,
      heads: 12,
      headWidth: 64,
      ffnWidth: 64,
      normPosition: "post" as const,
    };
    const { format, config, tensors, unexpected } = await readAdapterFolder(folder);
    const packed = packDefinition(defineAdapter({ format, config, tensors, unexpected, where: DATA }, host), host);
    const parameters = new Parameters(gpu);
    const bank = new AdapterBank(parameters, { count: 2 });
    const resident = { name: "md", packed };
    bank.admit({ name: "other", packed });
    bank.admit(resident);
    const b = new GraphBuilder();
    const rows = runtimeDim("rows");
    const [x, residual] = [b.input("x", [rows, WIDTH]), b.input("residual", [rows, WIDTH])];
    const segments = b.input("segments", [2], "u32");
    const chosen = b.input("chosen", [1], "u32");
    const results: Record<string, Value> = {};
    for (let layer = 0; layer < LAYERS; layer += 1) {
      const table = `layers.${layer}.ffn`;
      const { bank: values, slots } = bank.values(b, table);
      const inputs = { x, residual, bank: values, slots, segments, segment_slots: chosen };
      results[layer] = b.op(adapter, inputs, { width: WIDTH, maxWidth: bank.room(table) }).y as Value;
    }
    const arena = new Arena(gpu);
    const plan = await Plan.create({ gpu, graph: b.finish(results), parameters, arena, capacities: { rows: ROWS } });
    const data = { x: normal(1, ROWS * WIDTH), residual: normal(2, ROWS * WIDTH) };
    const given = { ...data, segments: Uint32Array.of(0, ROWS), chosen: Uint32Array.of(bank.slotOf(resident)) };
    const { outputs } = await plan.run(given, { rows: ROWS });
    for (let layer = 0; layer < LAYERS; layer += 1) {
      const expected: number[] = [];
      for (let row = 0; row < ROWS; row += 1) {
        const own = data.x.slice(row * WIDTH, (row + 1) * WIDTH);
        const down = linear(tensors, `layers.${layer}.ffn.adapter_down.0`, own);
        expect(down).toHaveLength(BOTTLENECK);
        const up = linear(
          tensors,
          `layers.${layer}.ffn.adapter_up`,
          down.map((value) => Math.max(value, 0)),
        );
        up.forEach((value, i) => expected.push(value + (data.residual[row * WIDTH + i] as number)));
      }
      const found = outputs[layer]?.data as Float32Array;
      expect(relativeError(found, expected), `layer ${layer}`).toBeLessThan(TOLERANCE);
      expect(relativeError(found, data.residual), `layer ${layer} does something`).toBeGreaterThan(100 * TOLERANCE);
    }
    plan.dispose();
    parameters.dispose();
    await arena.dispose();
    expect(gpu.memory).toEqual(before);
  });

  test("loads with its head on a host of its shape, says so in one line, and runs", async () => {
    const model = await loadModel(await sharedGpu(), tinyModel("bert", shape).folder);
    const report = await model.addAdapter("md", dataPath(DATA));
    expect(report).toMatchObject({ matched: 48, missing: 0, unexpected: 0, bytes: 3_594_853, sites: LAYERS });
    expect(report.gpuBytes).toBe(4 * LAYERS * (2 * WIDTH * BOTTLENECK + WIDTH + BOTTLENECK));
    expect(report.summary).toBe(
      `adapter md: 48 tensors matched, 0 missing, 0 unexpected, 3594853 bytes on disk, ${report.gpuBytes} bytes on the GPU, 12 sites`,
    );
    expect(model.heads).toEqual(["md"]);
    const bare = hiddenOf(await model.run(idsOf([4, 3])));
    model.setActive("md");
    const out = await model.run(idsOf([4, 3]));
    expect(relativeError(hiddenOf(out), bare)).toBeGreaterThan(1e-3);
    const { tensors } = await readHeadFolder(folder);
    const expected = [0, 1].flatMap((sequence) => {
      const first = hiddenOf(out, sequence).slice(0, WIDTH);
      return [...linear(tensors, "4", linear(tensors, "1", first).map(Math.tanh))];
    });
    expect(out.heads.md?.shape).toEqual([2, 2]);
    expect(relativeError(out.heads.md?.data ?? [], expected)).toBeLessThan(TOLERANCE);
    await model.dispose();
  });

  test("is refused on a host of another width with the full list, and leaves no byte", async () => {
    const gpu = await sharedGpu();
    const model = await loadModel(gpu, tinyModel("bert").folder);
    const before = gpu.memory;
    const error = (await model.addAdapter("md", dataPath(DATA)).catch((caught: unknown) => caught)) as EngineError;
    expect(error).toMatchObject({ code: "BAD_WEIGHTS", where: "md" });
    expect(error.message).toMatch(/width: made for 768, the host has 32/);
    expect(error.message).toMatch(/layers: it names layer 11, the host has 2/);
    for (let layer = 0; layer < LAYERS; layer += 1) {
      expect(error.message).toContain(`wrong shape: layers.${layer}.ffn.adapter_down.0.weight [48, 768]`);
      expect(error.message).toContain(`wrong shape: layers.${layer}.ffn.adapter_up.weight [768, 48]`);
      expect(error.message).toContain(`wrong shape: layers.${layer}.ffn.adapter_up.bias [768]`);
    }
    expect(gpu.memory).toEqual(before);
    expect(model.adapters).toEqual([]);
    expect(model.heads).toEqual([]);
    await model.dispose();
  });
});
