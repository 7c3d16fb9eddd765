/**
 * @file A gradient rule against central differences in float64, and the graph that it builds, optimised, on the device against the same
 * graph in float64.
 */

import { expect } from "vitest";
import { GraphBuilder, ORDER } from "../../src/graph/builder.ts";
import { backpropagate } from "../../src/graph/differentiate.ts";
import type { Leaf } from "../../src/graph/differentiate.ts";
import { evaluate } from "../../src/graph/evaluate.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import { orderOf } from "../../src/graph/order.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { normal } from "../../src/random.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";
import { sharedGpu } from "../gpu-fixture.ts";

/** Data of a source of a graph. */
export interface Source {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint32Array;
  /** A run-time input, as a table of rows is; a parameter otherwise. Only parameters are differentiated. */
  readonly input?: boolean;
}

/** What is differentiated. */
export interface GradientCase {
  /** Sources by name; the builder is handed values of the same names. */
  readonly sources: Readonly<Record<string, Source>>;
  /** Builds the outputs that L = Σ gradient ⊙ output is made of. */
  readonly build: (b: GraphBuilder, values: Readonly<Record<string, Value>>) => readonly Value[];
  /** Parameters with respect to which it is done; all f32 ones when absent. */
  readonly leaves?: readonly Leaf[];
  /** Run-time sizes by symbol. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Largest difference to the central differences, relative to the largest gradient of a leaf; 1e-6 when absent. */
  readonly tolerance?: number;
  /** The same of the device to float64; 1e-5 when absent. */
  readonly deviceTolerance?: number;
  /** Half the distance of a central difference; 1e-5 when absent. */
  readonly step?: number;
}

/** Elements of a leaf that are moved at most. */
const MOST_MOVED = 48;

type Data = Readonly<Record<string, ReferenceTensor>>;

function sourcesOf(data: Data): (name: string) => ReferenceTensor {
  return (name) => {
    const found = data[name];
    if (found !== undefined) return found;
    const table = data[name.slice(ORDER.length)];
    if (!name.startsWith(ORDER) || table === undefined) throw new Error(`no source ${name}`);
    return { shape: table.shape, data: orderOf(table.data) };
  };
}

function float64(sources: GradientCase["sources"]): Record<string, ReferenceTensor> {
  return Object.fromEntries(
    Object.entries(sources).map(([name, { shape, data }]) => [
      name,
      { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) },
    ]),
  );
}

function run(graph: Graph, data: Data, sizes: Readonly<Record<string, number>>): Map<string, ReferenceTensor> {
  return interpret(graph, { references: references as Record<string, Reference>, sources: sourcesOf(data), sizes });
}

interface Built {
  readonly forward: Graph;
  readonly backward: Graph;
  readonly seeds: Readonly<Record<string, Source>>;
}

function build({ sources, build: outputsOf, sizes = {} }: GradientCase, leaves: readonly Leaf[]): Built {
  const b = new GraphBuilder({ differentiable: true });
  const values = Object.fromEntries(
    Object.entries(sources).map(([name, { shape, data, input }]) => {
      const element = data instanceof Uint32Array ? "u32" : "f32";
      return [name, input === true ? b.input(name, shape, element) : b.parameter(name, shape, element)];
    }),
  );
  const outputs = outputsOf(b, values);
  const seeds: Record<string, Source> = {};
  const pairs = outputs.map((value, index) => {
    const shape = value.type.shape.map((dim) =>
      typeof dim === "number" ? dim : (sizes[dim.symbol] as number) * dim.times,
    );
    const count = shape.reduce((product, dim) => product * dim, 1);
    seeds[`seed${index}`] = { shape, data: normal(1000 + index, count) };
    return { value, gradient: b.parameter(`seed${index}`, value.type.shape) };
  });
  const gradients = backpropagate(b, pairs, leaves);
  const results = [...gradients].flatMap(([name, parts]) =>
    parts.map(({ at, value }): [string, Value] => [`${name} ${at}`, value]),
  );
  return {
    forward: b.finish(Object.fromEntries(outputs.map((value, index) => [`seed${index}`, value]))),
    backward: b.finish(new Map(results)),
    seeds,
  };
}

/** L of these sources. */
function lossOf({ forward }: Built, data: Data, sizes: Readonly<Record<string, number>>): number {
  let loss = 0;
  for (const [name, { data: output }] of run(forward, data, sizes))
    output.forEach((value: number, i: number) => {
      loss += value * (data[name]?.data[i] as number);
    });
  return loss;
}

/** Elements of a slot: as the leaf says, or a row of axis 0. */
function slotElements({ slot, elements }: Leaf, { shape, data }: Source): number {
  return elements ?? (slot === undefined ? data.length : data.length / (shape[0] as number));
}

/** The gradient of a leaf as one array over the parameter: zeros where no part lies. */
function whole(results: ReadonlyMap<string, ReferenceTensor>, leaf: Leaf, source: Source): Float64Array {
  const gradient = new Float64Array(source.data.length);
  const start = (leaf.slot ?? 0) * slotElements(leaf, source);
  for (const [name, { data }] of results) {
    const [parameter, at] = name.split(" ") as [string, string];
    if (parameter !== leaf.parameter) continue;
    data.forEach((value: number, i: number) => {
      const place = start + Number(at) + i;
      gradient[place] = (gradient[place] as number) + value;
    });
  }
  return gradient;
}

function compare(found: number, expected: number, scale: number, tolerance: number, what: string): void {
  const error = Math.abs(found - expected) / scale;
  expect(error, `${what}: ${found}, expected ${expected} (scale ${scale})`).toBeLessThanOrEqual(tolerance);
}

/** Checks a case twice: the rule in float64, and what it builds on the device. */
export async function checkGradient(gradientCase: GradientCase): Promise<void> {
  const { sources, sizes = {}, tolerance = 1e-6, deviceTolerance = 1e-5, step = 1e-5 } = gradientCase;
  const floats = Object.entries(sources).filter(
    ([, { data, input }]) => data instanceof Float32Array && input !== true,
  );
  const leaves: readonly Leaf[] = gradientCase.leaves ?? floats.map(([parameter]) => ({ parameter }));
  const built = build(gradientCase, leaves);
  const data = { ...float64(sources), ...float64(built.seeds) };
  const results = run(built.backward, data, sizes);
  for (const leaf of leaves) {
    const source = sources[leaf.parameter] as Source;
    const gradient = whole(results, leaf, source);
    const scale = Math.max(1e-3, ...gradient.map(Math.abs));
    const stride = Math.max(1, Math.ceil(gradient.length / MOST_MOVED));
    for (let at = 0; at < gradient.length; at += stride) {
      const value = (data[leaf.parameter] as ReferenceTensor).data;
      const moved = (by: number): number => {
        const copy = Float64Array.from(value);
        copy[at] = (copy[at] as number) + by;
        return lossOf(built, { ...data, [leaf.parameter]: { shape: source.shape, data: copy } }, sizes);
      };
      const own = leaf.slot === undefined || Math.floor(at / slotElements(leaf, source)) === leaf.slot;
      const expected = own ? (moved(step) - moved(-step)) / (2 * step) : 0;
      compare(gradient[at] as number, expected, scale, tolerance, `∂${leaf.parameter}[${at}]`);
    }
  }
  await checkDevice(built, { ...sources, ...built.seeds }, results, sizes, deviceTolerance);
}

async function checkDevice(
  { backward }: Built,
  sources: GradientCase["sources"],
  expected: ReadonlyMap<string, ReferenceTensor>,
  sizes: Readonly<Record<string, number>>,
  tolerance: number,
): Promise<void> {
  const gpu = await sharedGpu();
  const graph = optimize(backward);
  const parameters = new Parameters(gpu);
  const inputs: Record<string, Float32Array | Uint32Array> = {};
  try {
    for (const { kind, label } of graph.nodes) {
      const source = sources[label];
      if (kind === "parameter" && source !== undefined) {
        const element = source.data instanceof Uint32Array ? "u32" : "f32";
        parameters.set(label, { shape: source.shape, element }, source.data);
      } else if (kind === "input") {
        inputs[label] = source?.data ?? orderOf((sources[label.slice(ORDER.length)] as Source).data as Uint32Array);
      }
    }
    const outputs = await evaluate(gpu, graph, inputs, sizes, { parameters });
    for (const [name, { data }] of expected) {
      const scale = Array.from(data).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
      data.forEach((value: number, i: number) =>
        compare(outputs[name]?.data[i] as number, value, scale, tolerance, `${name}[${i}] on the device`),
      );
    }
  } finally {
    parameters.dispose();
  }
}
