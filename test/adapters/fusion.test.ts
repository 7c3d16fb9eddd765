/** @file AdapterFusion on the device, folded and unfolded, against the unfolded float64 of MATHS §2.4. */

import { describe, expect, test } from "vitest";
import {
  allocateUnfolded,
  buildFoldedFusion,
  buildUnfoldedFusion,
  freeUnfolded,
  writeUnfolded,
} from "../../src/adapters/fusion-build.ts";
import type { UnfoldedForm } from "../../src/adapters/fusion-build.ts";
import { FusionFolder, allocateFolded, freeFolded, fusionRoom } from "../../src/adapters/fusion-fold.ts";
import type { FusionShape } from "../../src/adapters/fusion-fold.ts";
import { multiply, transpose } from "../../src/adapters/tensors.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import { sizeLookup } from "../../src/graph/schedule.ts";
import type { Graph } from "../../src/graph/value.ts";
import { activationCodes } from "../../src/ops/activation.ts";
import { fusionColumns, fusionRecord } from "../../src/ops/fusion.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import type { Shape } from "../../src/ops/op.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { distance, draw, truthOf } from "./fusion-float64.ts";
import type { Material, Setting, Truth } from "./fusion-float64.ts";

const { relu, gelu, tanh, sigmoid } = activationCodes;
const ROWS = runtimeDim("rows");

type Adapter = Setting["adapters"][number];
const plain = (count: number, width: number): Adapter[] =>
  Array.from({ length: count }, () => ({ width, activation: relu, scale: 1 }));

function settingOf(
  width: number,
  adapters: readonly Adapter[],
  more: Partial<FusionShape> & Partial<Omit<Setting, "shape" | "adapters">> = {},
): Setting {
  const { rows = 5, apart, temperature, seed, ...shape } = more;
  const bottleneck = fusionRoom(Math.max(...adapters.map((adapter) => adapter.width)));
  return {
    shape: {
      width,
      adapters: adapters.length,
      bottleneck,
      query: true,
      key: true,
      value: true,
      residualBefore: false,
      ...shape,
    },
    adapters,
    rows,
    ...(apart === undefined ? {} : { apart }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(seed === undefined ? {} : { seed }),
  };
}

type Outputs = Awaited<ReturnType<typeof evaluate>>;

async function runFolded(setting: Setting, material: Material): Promise<Outputs> {
  const gpu = await sharedGpu();
  const { shape, rows, apart = false, temperature = 1 } = setting;
  const parameters = new Parameters(gpu);
  const folder = await FusionFolder.create(gpu, shape);
  allocateFolded(parameters, "fused", shape);
  const target = { parameters, name: "fused", temperature };
  await folder.fold(material.adapters, material.weights, target);
  await folder.dispose();
  const inputs = { x: material.x, residual: material.residual, query: material.query };
  const outputs = await evaluate(gpu, foldedGraph(shape, apart), inputs, { rows }, { parameters });
  freeFolded(parameters, "fused", shape);
  return outputs;
}

async function runUnfolded(setting: Setting, material: Material, truth: Truth, form: UnfoldedForm): Promise<Outputs> {
  const gpu = await sharedGpu();
  const { shape, rows, temperature = 1 } = setting;
  const choice = { name: "fused", shape, form };
  const parameters = new Parameters(gpu);
  allocateUnfolded(parameters, choice);
  const forced = material.adapters.flatMap(({ state }, a) => (state === "forced" ? [a] : []));
  writeUnfolded(parameters, choice, material.weights, { temperature, forced });
  const b = new GraphBuilder();
  const input = (name: string) => b.input(name, [ROWS, shape.width]);
  const children = truth.children.map((_, a) => input(`child${a}`));
  const fused = buildUnfoldedFusion(b, { children, query: input("query"), residual: input("residual") }, choice);
  const inputs = {
    ...Object.fromEntries(truth.children.map((child, a) => [`child${a}`, Float32Array.from(child)])),
    query: material.query,
    residual: material.residual,
  };
  const outputs = await evaluate(gpu, optimize(b.finish({ ...fused })), inputs, { rows }, { parameters });
  freeUnfolded(parameters, choice);
  parameters.dispose();
  return outputs;
}

/** The folded graph through the float64 references, on matrices folded in float64. */
function foldInFloat64(setting: Setting, material: Material): Map<string, ReferenceTensor> {
  const { shape, rows, apart = false, temperature = 1 } = setting;
  const { width: d, adapters: count, bottleneck } = shape;
  const { adapters, weights } = material;
  const columns = fusionColumns(count, bottleneck);
  const units = new Float64Array(columns * d);
  const first = new Float64Array((count * bottleneck + columns) * d);
  const bias = new Float64Array(count * bottleneck + columns);
  adapters.forEach(({ width, down, downBias, up, upBias, scale }, a) => {
    first.set(down, a * bottleneck * d);
    bias.set(downBias, a * bottleneck);
    up.forEach((value, at) => {
      units[(a * bottleneck + (at % width)) * d + Math.floor(at / width)] = scale * value;
    });
    upBias.forEach((value, c) => (units[(count * bottleneck + a) * d + c] = scale * value));
  });
  const times = (x: Float64Array, w: ArrayLike<number>): Float64Array => multiply(x, w, x.length / d, d, w.length / d);
  const turned = (w: Float32Array): Float32Array => transpose(w, d, d);
  const keys = weights.key === undefined ? units : times(units, turned(weights.key.weight));
  first.set(weights.query === undefined ? keys : times(keys, weights.query.weight), count * bottleneck * d);
  if (weights.query !== undefined) bias.set(times(keys, weights.query.bias), count * bottleneck);
  const values = weights.value === undefined ? units : times(units, turned(weights.value.weight));
  const second = Float64Array.from({ length: values.length }, (_, at) => {
    return values[(at % columns) * d + Math.floor(at / columns)] as number;
  });
  const sources: Record<string, ReferenceTensor["data"]> = {
    "fused.first": first,
    "fused.first_bias": bias,
    "fused.second": second,
    "fused.table": fusionRecord(count, temperature, adapters),
    "fused.value": Float64Array.from(weights.value?.weight ?? []),
    x: Float64Array.from(material.x),
    query: Float64Array.from(material.query),
    residual: Float64Array.from(material.residual),
  };
  const graph = foldedGraph(shape, apart);
  const shapes = new Map(graph.nodes.map(({ label, outputs }) => [label, outputs.value?.type.shape ?? []]));
  return interpret(graph, {
    references: references as Readonly<Record<string, Reference>>,
    sources: (name) => ({
      shape: (shapes.get(name) as Shape).map(sizeLookup({ rows })),
      data: sources[name] as ReferenceTensor["data"],
    }),
    sizes: { rows },
  });
}

function foldedGraph(shape: FusionShape, apart: boolean): Graph {
  const b = new GraphBuilder();
  const [x, residual] = [b.input("x", [ROWS, shape.width]), b.input("residual", [ROWS, shape.width])];
  const query = apart ? b.input("query", [ROWS, shape.width]) : x;
  const fused = buildFoldedFusion(b, { x, query, residual }, { name: "fused", shape });
  return optimize(b.finish({ ...fused }));
}

function expectClose(outputs: Outputs, truth: Truth, what: string): void {
  expect(distance(outputs.y?.data, truth.y), `${what}: y`).toBeLessThanOrEqual(truth.tolerance.y);
  expect(distance(outputs.weights?.data, truth.weights), `${what}: weights`).toBeLessThanOrEqual(
    truth.tolerance.weights,
  );
}

const mixed: readonly Adapter[] = [
  { width: 7, activation: relu, scale: 1 },
  { width: 16, activation: gelu, scale: 4 },
  { width: 1, activation: tanh, scale: -0.5 },
  { width: 12, activation: sigmoid, scale: 1 },
];
const withState = (at: number, state: NonNullable<Adapter["state"]>): Adapter[] =>
  mixed.map((adapter, a) => (a === at ? { ...adapter, state } : adapter));

const variants: Readonly<Record<string, Setting>> = {
  dynamic: settingOf(64, plain(2, 16)),
  "dynamic, 8 adapters": settingOf(64, plain(8, 4)),
  "dynamic, 16 adapters": settingOf(64, plain(16, 4)),
  "one adapter": settingOf(64, plain(1, 16)),
  "one row": settingOf(64, plain(3, 8), { rows: 1 }),
  "widths, activations and scales side by side": settingOf(64, mixed),
  "a width that is no multiple of 4": settingOf(30, mixed),
  static: settingOf(64, mixed, { value: false }),
  "no query": settingOf(64, mixed, { query: false }),
  "no key": settingOf(64, mixed, { key: false }),
  "a query alone": settingOf(64, mixed, { key: false, value: false }),
  "none of the three": settingOf(64, mixed, { query: false, key: false, value: false }),
  "residual before": settingOf(64, mixed, { residualBefore: true }),
  "residual before, static": settingOf(64, mixed, { residualBefore: true, value: false }),
  "residual before, no key": settingOf(64, mixed, { residualBefore: true, key: false }),
  "query before the norm": settingOf(64, mixed, { apart: true }),
  "query before the norm, no key": settingOf(64, mixed, { apart: true, key: false }),
  "temperature 50": settingOf(64, mixed, { temperature: 50 }),
  "temperature 0.25": settingOf(64, mixed, { temperature: 0.25 }),
  "one forced to 0": settingOf(64, withState(1, "forced")),
  "one forced to 0, residual before": settingOf(64, withState(1, "forced"), { residualBefore: true }),
};

describe("a fusion against float64", () => {
  test.each(Object.entries(variants))("%s", async (_, setting) => {
    const material = draw(setting);
    const truth = truthOf(setting, material);
    expectClose(await runFolded(setting, material), truth, "folded");
    expectClose(await runUnfolded(setting, material, truth, "pulled"), truth, "pulled");
    expectClose(await runUnfolded(setting, material, truth, "literal"), truth, "literal");
  });

  test.each(Object.entries(variants))("the algebra alone, in float64: %s", (_, setting) => {
    const material = draw(setting);
    const truth = truthOf(setting, material);
    const outputs = foldInFloat64(setting, material);
    // A few thousand roundings of 1e-16 on numbers of order 1 to 10.
    expect(distance(outputs.get("y")?.data, truth.y)).toBeLessThan(1e-12);
    expect(distance(outputs.get("weights")?.data, truth.weights)).toBeLessThan(1e-12);
  });

  test.each([2, 8, 16])("width 768, %i adapters of 48, folded", async (count) => {
    const setting = settingOf(768, plain(count, 48), { rows: 2 });
    const material = draw(setting);
    expectClose(await runFolded(setting, material), truthOf(setting, material), "folded");
  });

  test("a pruned adapter leaves the fusion of the rest", async () => {
    const setting = settingOf(64, withState(1, "pruned"));
    const material = draw(setting);
    const folded = await runFolded(setting, material);
    expectClose(folded, truthOf(setting, material), "pruned");
    const rest = { ...setting, shape: { ...setting.shape, adapters: 3 }, adapters: mixed.filter((_, a) => a !== 1) };
    const survivors = { ...material, adapters: material.adapters.filter((_, a) => a !== 1) };
    const truth = truthOf(rest, survivors);
    expect(distance(folded.y?.data, truth.y)).toBeLessThanOrEqual(truth.tolerance.y);
    expectClose(await runFolded(rest, survivors), truth, "the rest");
  });

  test("upstream's keys with the residual in them give the same: it cancels in the softmax", () => {
    const setting = settingOf(64, mixed, { residualBefore: true });
    const material = draw(setting);
    const [sane, compat] = [truthOf(setting, material), truthOf(setting, material, true)];
    expect(distance(compat.y, sane.y)).toBeLessThan(1e-13);
    expect(distance(compat.weights, sane.weights)).toBeLessThan(1e-13);
  });

  test("the tolerance would notice a forgotten term", async () => {
    const setting = settingOf(64, mixed);
    const material = draw(setting);
    const truth = truthOf(setting, material);
    const forgetful = {
      ...material,
      adapters: material.adapters.map((one) => ({ ...one, upBias: new Float32Array(64) })),
    };
    const outputs = await runFolded(setting, forgetful);
    expect(distance(outputs.y?.data, truth.y)).toBeGreaterThan(100 * truth.tolerance.y);
    expect(distance(outputs.weights?.data, truth.weights)).toBeGreaterThan(100 * truth.tolerance.weights);
  });
});

describe("slots of folded fusions", () => {
  test("the run names the fusion; one plan, the bits of a fusion alone", async () => {
    const gpu = await sharedGpu();
    const settings = [1, 2, 3].map((seed) => settingOf(64, mixed, { seed, residualBefore: true }));
    const { shape } = settings[0] as Setting;
    const parameters = new Parameters(gpu);
    const folder = await FusionFolder.create(gpu, shape);
    allocateFolded(parameters, "fused", shape, 3);
    for (const [slot, setting] of settings.entries()) {
      const { adapters, weights } = draw(setting);
      await folder.fold(adapters, weights, { parameters, name: "fused", slot });
    }
    await folder.dispose();
    const b = new GraphBuilder();
    const [x, residual] = [b.input("x", [ROWS, 64]), b.input("residual", [ROWS, 64])];
    const fused = buildFoldedFusion(b, { x, residual }, { name: "fused", shape, slots: 3, slot: "fusion" });
    const graph = optimize(b.finish({ ...fused }));
    for (const [slot, setting] of settings.entries()) {
      const material = draw(setting);
      const { x: rows, residual: skip } = material;
      const sizes = { rows: setting.rows, fusion: slot };
      const outputs = await evaluate(gpu, graph, { x: rows, residual: skip }, sizes, { parameters });
      const alone = await runFolded(setting, material);
      expect(outputs.y?.data, `slot ${slot}`).toEqual(alone.y?.data);
      expect(outputs.weights?.data, `slot ${slot}`).toEqual(alone.weights?.data);
    }
    parameters.dispose();
  });
});

describe("folding", () => {
  test("leaves nothing behind but its results", async () => {
    const gpu = await sharedGpu();
    const before = gpu.memory;
    const setting = settingOf(64, mixed);
    await runFolded(setting, draw(setting));
    expect(gpu.memory).toEqual(before);
  });

  test("refuses arrays that do not fit, and names them all", async () => {
    const gpu = await sharedGpu();
    const { shape, ...setting } = settingOf(16, plain(2, 4));
    const { adapters, weights } = draw({ shape, ...setting });
    const folder = await FusionFolder.create(gpu, shape);
    const parameters = new Parameters(gpu);
    const target = { parameters, name: "fused" };
    const short = adapters.map((adapter) => ({ ...adapter, up: adapter.up.subarray(1) }));
    const { key: _, ...keyless } = weights;
    await expect(folder.fold(short, keyless, target)).rejects.toThrow(
      /up of adapter 0 has 63 elements, expected 64; up of adapter 1 .*; key has no elements, expected 256/,
    );
    await expect(folder.fold([...adapters, ...adapters], weights, target)).rejects.toThrow("there is room for 2");
    await expect(FusionFolder.create(gpu, { ...shape, bottleneck: 6 })).rejects.toThrow("multiple of 4");
    await folder.dispose();
    parameters.dispose();
  });
});
