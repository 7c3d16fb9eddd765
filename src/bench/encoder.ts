/**
 * @file A frozen post-LN encoder with adapters, fusions and routers, all weights drawn from a seed. It is a host like any
 * other and is built by `model/build`, so what is timed is exactly what models run.
 */

import { readAdapterConfig } from "../adapters/config/read.ts";
import { expectedTensors } from "../adapters/config/shapes.ts";
import type { AdapterHost } from "../adapters/config/types.ts";
import { expectedFusionTensors, readFusion } from "../adapters/fusion-config.ts";
import type { AdapterTensor, AdapterTensors } from "../adapters/tensors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Arena } from "../graph/arena.ts";
import { Parameters } from "../graph/parameters.ts";
import type { Graph } from "../graph/value.ts";
import type { Host, HostShape, WeightSpec } from "../hosts/host.ts";
import { ROWS, segmentsInput } from "../hosts/symbols.ts";
import { postNormLayer, transformerMap } from "../hosts/transformer-layer.ts";
import { WeightLookup, linearWeights, normWeights } from "../hosts/weights.ts";
import { AdapterStore } from "../model/adapter-store.ts";
import { makeFusion } from "../model/make-fusion.ts";
import { normal } from "../random.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import { routerName } from "../routing/route.ts";
import type { SubLayer } from "../sites/site.ts";

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

/** Wq and Wk of a fusion make scores of √d times their squared size. */
const QUERY_KEY_SIZE = 0.3;

/** Fields of an adapter's configuration, or the name of a preset. */
export type AdapterFields = string | Readonly<Record<string, unknown>>;

/**
 * Draws an adapter that does something, as trained ones do: what a configuration owns, with up-projections of half the size
 * that would keep activations at theirs.
 */
export function drawAdapter(config: AdapterFields, host: AdapterHost, seed: number): Map<string, AdapterTensor> {
  const drawn = new Map<string, AdapterTensor>();
  for (const [name, shape] of expectedTensors(readAdapterConfig(config, host), host)) {
    const count = shape.reduce((product, axis) => product * axis, 1);
    const part = /adapter_up/.test(name) ? 0.5 : 1;
    const deviation = shape.length === 1 ? 0.1 : part / Math.sqrt(shape[1] as number);
    drawn.set(name, { shape, data: normal(seed + drawn.size, count, deviation) });
  }
  return drawn;
}

/** The adapter of {@link Encoder.create}: parallel, around the whole layer. */
export const BENCH_ADAPTER = "bench";

/** A synthetic encoder on a device: its host, its weights, its adapters in a bank, a router per layer. */
export class Encoder {
  readonly gpu: Gpu;
  readonly sizes: EncoderSizes;
  readonly host: Host;
  readonly store: AdapterStore;
  readonly parameters: Parameters;
  /** One arena for all plans: they run one after another. */
  readonly arena: Arena;
  readonly #truths = new Map<string, ReferenceTensor>();

  /** An encoder without adapters, of another host if one is given. `slots` is how many the bank has room for. */
  constructor(
    gpu: Gpu,
    sizes: EncoderSizes,
    seed: number,
    options: { readonly slots?: number; readonly host?: Host } = {},
  ) {
    const { slots = 1, host = syntheticHost(sizes) } = options;
    const { layers, width, bottleneck } = sizes;
    this.gpu = gpu;
    this.sizes = sizes;
    this.host = host;
    this.parameters = new Parameters(gpu);
    this.arena = new Arena(gpu);
    const bank = { count: slots, width: bottleneck };
    this.store = new AdapterStore({ gpu, parameters: this.parameters, host: this.host, slots: bank });
    this.host.weights.forEach((spec, index) => {
      this.parameters.set(spec.name, { shape: spec.shape, element: "f32" }, drawWeight(spec, seed + index));
    });
    for (let layer = 0; layer < layers; layer += 1) {
      const vector = normal(seed + 20_000 + layer, width, 1 / Math.sqrt(width));
      this.parameters.set(routerName(layer), { shape: [width], element: "f32" }, vector);
    }
  }

  /** An encoder with the adapter {@link BENCH_ADAPTER} around every layer. */
  static async create(gpu: Gpu, sizes: EncoderSizes, seed: number): Promise<Encoder> {
    const encoder = new Encoder(gpu, sizes, seed);
    const config = { layer_adapter: true, bottleneck_width: sizes.bottleneck };
    await encoder.add(BENCH_ADAPTER, config, seed + 10_000);
    return encoder;
  }

  /** Adds an adapter with drawn weights. Plans made before are void: the bank may have new buffers. */
  async add(name: string, config: AdapterFields, seed: number): Promise<void> {
    const tensors = drawAdapter(config, this.host.shape, seed);
    await this.store.add(name, { format: "hub", config, tensors, where: `adapter ${name}` });
    this.#truths.clear();
  }

  /**
   * Adds AdapterFusion weights of the preset `dynamic` for adapters that are here, drawn so that the softmax is neither flat nor
   * one-hot.
   * @returns the tensors by canonical name
   */
  async addFusion(names: readonly string[], places: readonly SubLayer[], seed: number): Promise<AdapterTensors> {
    const tensors = new Map<string, AdapterTensor>();
    for (const [name, shape] of expectedFusionTensors(readFusion("dynamic"), this.host.shape, places)) {
      const count = shape.reduce((product, axis) => product * axis, 1);
      const deviation = shape.length === 1 ? 0.1 : QUERY_KEY_SIZE / Math.sqrt(shape[1] as number);
      tensors.set(name, { shape, data: normal(seed + tensors.size, count, deviation) });
    }
    await makeFusion(this.store, this.host.shape, names, { names: null, config: "dynamic", tensors });
    this.#truths.clear();
    return tensors;
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
