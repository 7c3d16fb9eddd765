/**
 * @file A frozen post-LN encoder with an adapter and routers, all weights drawn from a seed. It is a host like any other
 * and is built by `model/build`, so what is timed is exactly what models run.
 */

import { AdapterBank } from "../adapters/bank.ts";
import { readBottleneck } from "../adapters/bottleneck.ts";
import type { BottleneckWeights } from "../adapters/bottleneck.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Arena } from "../graph/arena.ts";
import { Parameters } from "../graph/parameters.ts";
import type { Graph } from "../graph/value.ts";
import type { Host, HostShape, WeightSpec } from "../hosts/host.ts";
import { ROWS, segmentsInput } from "../hosts/symbols.ts";
import { postNormLayer, transformerMap } from "../hosts/transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights } from "../hosts/weights.ts";
import { normal } from "../random.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import { routerName } from "../routing/route.ts";

/** Sizes of a synthetic encoder. */
export interface EncoderSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  readonly ffnWidth: number;
  /** Units of the adapter's bottleneck. */
  readonly bottleneck: number;
}

/** BERT-base's layer with the adapter of CoDA. */
export const bertBaseLayer: EncoderSizes = { layers: 1, width: 768, heads: 12, ffnWidth: 3072, bottleneck: 64 };

const LONGEST = 65_536;
const EPSILON = 1e-12;

function layerWeights(index: number, { width, ffnWidth }: EncoderSizes): WeightSpec[] {
  const name = `layers.${index}`;
  const linear = (part: string, inputs: number, out: number): WeightSpec[] =>
    linearWeights({ name: `${name}.${part}`, parts: [{ tensor: `${name}.${part}`, out }], inputs, bias: true });
  return [
    ...linear("qkv", width, 3 * width),
    ...linear("proj", width, width),
    ...normWeights(`${name}.norm1`, `${name}.norm1`, width),
    ...linear("up", width, ffnWidth),
    ...linear("down", ffnWidth, width),
    ...normWeights(`${name}.norm2`, `${name}.norm2`, width),
  ];
}

/** Builds the host: rows come in as they are, as the run-time input `x`. */
export function syntheticHost(sizes: EncoderSizes): Host {
  const { layers, width, heads, ffnWidth } = sizes;
  const shape: HostShape = {
    family: "synthetic",
    width,
    layers,
    heads,
    headWidth: width / heads,
    ffnWidth,
    normPosition: "post",
    causal: false,
    maxTokens: LONGEST,
    input: { kind: "ids", vocabulary: 0, types: 0 },
  };
  const specs = Array.from({ length: layers }, (_, index) => layerWeights(index, sizes)).flat();
  const settings = { shape, weights: new WeightLookup(specs, false), activation: "gelu" as const, eps: EPSILON };
  return {
    shape,
    weights: specs,
    ignored: [],
    embed: (b) => ({ hidden: b.input("x", [ROWS, width]), segments: segmentsInput(b) }),
    layer: (b, index, stream, sites) => postNormLayer(b, stream, { settings, sites, prefix: `layers.${index}` }),
    map: (index, map) => transformerMap(shape, `layers.${index}`, map),
    finish: (_, x) => x,
    head: null,
  };
}

/**
 * Draws a parameter so that activations keep their size: matrices from N(0, 1/inputs), tables and biases small, norms
 * around the identity.
 */
export function drawWeight({ name, shape, kind }: WeightSpec, seed: number): Float32Array {
  const count = shape.reduce((product, axis) => product * axis, 1);
  if (kind === "matrix") return normal(seed, count, 1 / Math.sqrt(shape[1] as number));
  if (kind === "table") return normal(seed, count);
  return name.includes("norm") && name.endsWith(".weight") ? normal(seed, count, 0.1, 1) : normal(seed, count, 0.1);
}

/** An adapter that does something: trained ones are no zeros either. */
function drawAdapter({ width, bottleneck }: EncoderSizes, seed: number): BottleneckWeights {
  return {
    down: normal(seed, bottleneck * width, 1 / Math.sqrt(width)),
    downBias: normal(seed + 1, bottleneck, 0.1),
    up: normal(seed + 2, width * bottleneck, 0.5 / Math.sqrt(bottleneck)),
    upBias: normal(seed + 3, width, 0.1),
  };
}

/** A synthetic encoder on a device: its host, its weights, one adapter in a bank, a router per layer. */
export class Encoder {
  readonly gpu: Gpu;
  readonly sizes: EncoderSizes;
  readonly host: Host;
  readonly bank: AdapterBank;
  readonly parameters: Parameters;
  /** One arena for all plans: they run one after another. */
  readonly arena: Arena;
  readonly #truths = new Map<string, ReferenceTensor>();

  constructor(gpu: Gpu, sizes: EncoderSizes, seed: number) {
    this.gpu = gpu;
    this.sizes = sizes;
    this.host = syntheticHost(sizes);
    this.parameters = new Parameters(gpu);
    this.arena = new Arena(gpu);
    this.host.weights.forEach((spec, index) => {
      this.parameters.set(spec.name, { shape: spec.shape, element: "f32" }, drawWeight(spec, seed + index));
    });
    const { layers, width, bottleneck } = sizes;
    this.bank = new AdapterBank(this.parameters, { layers, width }, { count: 1, width: bottleneck });
    const config = readBottleneck({ reduction_factor: width / bottleneck });
    const adapters = Array.from({ length: layers }, (_, layer) => drawAdapter(sizes, seed + 10_000 + 4 * layer));
    this.bank.write(this.bank.claim("bench", bottleneck), config, adapters);
    for (let layer = 0; layer < layers; layer += 1) {
      const vector = normal(seed + 20_000 + layer, width, 1 / Math.sqrt(width));
      this.parameters.set(routerName(layer), { shape: [width], element: "f32" }, vector);
    }
  }

  /** The parameters of a graph in float64, read back from the device: exactly the f32 numbers that kernels see. */
  async truths(graph: Graph): Promise<ReadonlyMap<string, ReferenceTensor>> {
    for (const { kind, label } of graph.nodes) {
      if (kind !== "parameter" || this.#truths.has(label)) continue;
      const { shape, element } = this.parameters.typeOf(label);
      const size = 4 * (shape as readonly number[]).reduce((product, axis) => product * axis, 1);
      const [bytes] = await this.gpu.read([{ buffer: this.parameters.get(label), offset: 0, size }]);
      const data =
        element === "u32"
          ? new Uint32Array(bytes as ArrayBuffer)
          : Float64Array.from(new Float32Array(bytes as ArrayBuffer));
      this.#truths.set(label, { shape: shape as readonly number[], data });
    }
    return this.#truths;
  }

  /** Frees weights and arena. */
  async dispose(): Promise<void> {
    await this.arena.dispose();
    this.parameters.dispose();
  }
}
