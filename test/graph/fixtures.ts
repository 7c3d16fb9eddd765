/** @file Graphs in the naive style of hosts, with data for them, to check passes and plans on. */

import { evaluate } from "../../src/graph/evaluate.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { InterpretOptions, Reference } from "../../src/graph/interpret.ts";
import type { HostTensor } from "../../src/graph/plan.ts";
import { sizeLookup } from "../../src/graph/schedule.ts";
import type { Sizes } from "../../src/graph/schedule.ts";
import type { Graph, Node, Value } from "../../src/graph/value.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { elementwise } from "../../src/ops/elementwise.ts";
import type { ElementwiseOperation } from "../../src/ops/elementwise.ts";
import { gatherRows } from "../../src/ops/gather-rows.ts";
import { layerNorm } from "../../src/ops/layer-norm.ts";
import { matmul } from "../../src/ops/matmul.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { scatterAddRows } from "../../src/ops/scatter-add-rows.ts";
import { normal } from "../../src/random.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";

export const ROWS: ReturnType<typeof runtimeDim> = runtimeDim("rows");
export const PICKED: ReturnType<typeof runtimeDim> = runtimeDim("picked");

/** Short spellings of ops for test graphs. */
export class Sketch extends GraphBuilder {
  mm(x: Value, w: string, out: number): Value {
    return this.op(matmul, { x, w: this.input(w, [out, x.type.shape[1] as number]) }, {}).y as Value;
  }
  ew(operation: ElementwiseOperation, a: Value, b: Value): Value {
    return this.op(elementwise, { a, b }, { operation }).y as Value;
  }
  take(x: Value, rows: Value): Value {
    return this.op(gatherRows, { x, rows }, {}).y as Value;
  }
  norm(x: Value): Value {
    const width = x.type.shape[1] as number;
    return this.op(
      layerNorm,
      { x, gamma: this.input("gamma", [width]), beta: this.input("beta", [width]) },
      { eps: 1e-5 },
    ).y as Value;
  }
  put(base: Value, x: Value, rows: Value, weight?: Value): Value {
    return this.op(scatterAddRows, { base, x, rows, weight }, {}).y as Value;
  }
}

/** Random inputs for every input of a graph; u32 inputs are the rows 1, 3, 5, … */
export function randomInputs(
  graph: Graph,
  sizes: Readonly<Record<string, number>>,
): Record<string, Float32Array | Uint32Array> {
  const inputs: Record<string, Float32Array | Uint32Array> = {};
  graph.nodes.forEach((node, index) => {
    if (node.kind !== "input") return;
    const { shape, element } = (node.outputs.value as Value).type;
    const count = shape.reduce<number>(
      (product, dim) => product * (typeof dim === "number" ? dim : (sizes[dim.symbol] as number) * dim.times),
      1,
    );
    inputs[node.label] =
      element === "u32" ? Uint32Array.from({ length: count }, (_, i) => 2 * i + 1) : normal(index + 1, count);
  });
  return inputs;
}

/** Inputs of a graph as its references take them. */
export function sourcesOf(
  graph: Graph,
  inputs: Readonly<Record<string, Float32Array | Uint32Array>>,
  sizes: Sizes,
): InterpretOptions["sources"] {
  return (name) => {
    const node = graph.nodes.find(({ label, kind }) => kind === "input" && label === name) as Node;
    const shape = (node.outputs.value as Value).type.shape.map(sizeLookup(sizes));
    const data = inputs[name] as Float32Array | Uint32Array;
    return { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) };
  };
}

/** The float64 values of a graph's outputs. */
export function truth(
  graph: Graph,
  inputs: Record<string, Float32Array | Uint32Array>,
  sizes: Record<string, number>,
): Map<string, ReferenceTensor> {
  const sources = sourcesOf(graph, inputs, sizes);
  return interpret(graph, { references: references as Record<string, Reference>, sources, sizes });
}

/** Largest difference between a GPU run of `graph` and the float64 values of `original`, relative to the largest value. */
export async function errorAgainst(
  gpu: Gpu,
  graph: Graph,
  original: Graph,
  sizes: Record<string, number>,
): Promise<{ error: number; outputs: Record<string, HostTensor> }> {
  const inputs = randomInputs(original, sizes);
  const outputs = await evaluate(gpu, graph, inputs, sizes);
  let error = 0;
  for (const [name, expected] of truth(original, inputs, sizes)) {
    const actual = outputs[name] as HostTensor;
    const values = Array.from(expected.data);
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
    values.forEach((value, i) => {
      error = Math.max(error, Math.abs(value - (actual.data[i] as number)) / scale);
    });
  }
  return { error, outputs };
}
