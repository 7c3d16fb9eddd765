/** @file A synthetic encoder on a device: a frozen host with adapters, fusions and routers, all weights drawn from a seed. */

import { float64Parameters } from "./float64-parameters.ts";
import { readAdapterConfig } from "../adapters/config/read.ts";
import { expectedTensors } from "../adapters/config/shapes.ts";
import type { AdapterHost } from "../adapters/config/types.ts";
import { expectedFusionTensors, readFusion } from "../adapters/fusion-config.ts";
import type { AdapterTensor, AdapterTensors } from "../adapters/tensors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Arena } from "../graph/arena.ts";
import { Parameters } from "../graph/parameters.ts";
import type { Graph } from "../graph/value.ts";
import type { Host } from "../hosts/host.ts";
import { AdapterStore } from "../model/adapter-store.ts";
import { makeFusion } from "../model/make-fusion.ts";
import { normal } from "../random.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import { routerName } from "../routing/route.ts";
import type { SubLayer } from "../sites/site.ts";
import { drawWeight, syntheticHost } from "./encoder-host.ts";
import type { EncoderSizes } from "./encoder-host.ts";

export { bertBaseLayer, drawWeight } from "./encoder-host.ts";
export type { EncoderSizes } from "./encoder-host.ts";

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

  /** The parameters of a graph in float64; each is read back once. */
  async truths(graph: Graph): Promise<ReadonlyMap<string, ReferenceTensor>> {
    const read = await float64Parameters(this.gpu, this.parameters, graph, this.#truths);
    for (const [name, tensor] of read) this.#truths.set(name, tensor);
    return this.#truths;
  }

  /** Frees weights and arena. */
  async dispose(): Promise<void> {
    await this.arena.dispose();
    this.parameters.dispose();
  }
}
