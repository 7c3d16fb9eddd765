/** @file The layer in adapters-webgpu: the post-LN layer that its BERT host is made of, as a graph of its own. */

import { readFileSync } from "node:fs";
import {
  adapterName,
  Arena,
  GraphBuilder,
  openGpu,
  optimize,
  Parameters,
  Plan,
  postNormLayer,
  ROWS,
  segmentsInput,
  WeightLookup,
} from "./engine.mjs";
import { serve } from "./serve.mjs";
import { layer } from "./weights.mjs";

const { tokens, width, heads, headWidth, ffnWidth, eps } = layer;

/** Parts of the engine's parameters, in its own order: queries, keys and values lie in one matrix. */
const LINEARS = { qkv: ["query", "key", "value"], proj: ["proj"], up: ["up"], down: ["down"] };

function joined(arrays) {
  const all = new Float32Array(arrays.reduce((sum, array) => sum + array.length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

/** @returns one entry per parameter: name, shape, kind and data. */
function parametersOf(weights) {
  const linears = Object.entries(LINEARS).flatMap(([name, parts]) => {
    const bias = joined(parts.map((part) => weights[`${part}.bias`]));
    const matrix = joined(parts.map((part) => weights[`${part}.weight`]));
    return [
      { name: `layer.${name}.weight`, kind: "matrix", shape: [bias.length, matrix.length / bias.length], data: matrix },
      { name: `layer.${name}.bias`, kind: "vector", shape: [bias.length], data: bias },
    ];
  });
  const norms = ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"];
  return [
    ...linears,
    ...norms.map((name) => ({ name: `layer.${name}`, kind: "vector", shape: [width], data: weights[name] })),
  ];
}

function layerGraph(entries) {
  const b = new GraphBuilder();
  const shape = {
    family: "bert",
    width,
    layers: 1,
    heads,
    headWidth,
    ffnWidth,
    normPosition: "post",
    causal: false,
    maxTokens: tokens,
  };
  const lookup = new WeightLookup(
    entries.map((entry) => ({ ...entry, parts: [] })),
    false,
  );
  const settings = { shape, weights: lookup, activation: "gelu", eps };
  const built = postNormLayer(b, b.input("x", [ROWS, width]), segmentsInput(b), settings, "layer");
  return optimize(b.finish({ y: built.heavy({ selection: null }).output }));
}

await serve(async (weights) => {
  const gpu = await openGpu({ adapter: "auto", quiet: true });
  const entries = parametersOf(weights);
  const parameters = new Parameters(gpu);
  for (const { name, shape, data } of entries) parameters.set(name, { shape, element: "f32" }, data);
  const sizes = { rows: tokens, sequences: 1, offsets: 2 };
  const plan = await Plan.create({
    gpu,
    graph: layerGraph(entries),
    parameters,
    arena: new Arena(gpu),
    capacities: sizes,
  });
  const segments = Uint32Array.of(0, tokens);
  return {
    name: "adapters-webgpu",
    version: JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version,
    adapter: adapterName(gpu.info),
    run: async (x) => (await plan.run({ x, segments }, sizes)).outputs.y.data,
  };
});
