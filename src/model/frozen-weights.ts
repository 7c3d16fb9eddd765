/** @file The frozen weights of linear maps, read back from the GPU where a method asks for them, and merged changes. */

import { readParameters } from "../graph/read-parameters.ts";
import { packedLinear } from "../adapters/merge.ts";
import type { FrozenMap } from "../adapters/linear-parts.ts";
import type { PackedAdapter } from "../adapters/packed.ts";
import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Parameters } from "../graph/parameters.ts";
import { f16ToF32, packF16 } from "../half.ts";
import type { Host } from "../hosts/host.ts";
import { LINEAR_MAPS } from "../sites/site.ts";
import type { MapWeights } from "../sites/site.ts";

/** Reads and changes the weights of linear maps. */
export class FrozenWeights {
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;
  readonly #host: Host;
  #held = false;
  /** Contents of changed parameters before the change, by adapter. */
  readonly #before = new Map<string, ReadonlyMap<string, Float32Array | Uint32Array>>();

  constructor(gpu: Gpu, parameters: Parameters, host: Host) {
    this.#gpu = gpu;
    this.#parameters = parameters;
    this.#host = host;
  }

  /** The adapter that is merged; null without one. */
  get merged(): string | null {
    return this.#before.keys().next().value ?? null;
  }

  /** Keeps the weights what they are until they are let go: they are being trained, and nothing may be merged into them. */
  hold(held: boolean): void {
    this.#held = held;
  }

  /** Reads all maps of all layers, as they were loaded: what is merged into them is left out. */
  async load(): Promise<FrozenMap> {
    const { layers } = this.#host.shape;
    const places = Array.from({ length: layers }, (_, layer) => LINEAR_MAPS.map((map) => this.#host.map(layer, map)));
    const names = new Set(places.flat().flatMap(({ weight, bias }) => (bias === null ? [weight] : [weight, bias])));
    const contents = await this.#read([...names]);
    for (const before of this.#before.values()) {
      for (const [name, data] of before)
        contents.set(name, data instanceof Float32Array ? data : f16ToF32(new Uint16Array(data.buffer)));
    }
    return (layer, map) => {
      const at = this.#host.map(layer, map);
      const weight = (contents.get(at.weight) as Float32Array).subarray(
        at.first * at.inputs,
        (at.first + at.count) * at.inputs,
      );
      const bias =
        at.bias === null ? null : (contents.get(at.bias) as Float32Array).subarray(at.first, at.first + at.count);
      return { weight, bias, outputs: at.count };
    };
  }

  async #read(names: readonly string[]): Promise<Map<string, Float32Array>> {
    const known = names.filter((name) => this.#parameters.has(name));
    const readback = this.#gpu.createReadback();
    try {
      return (await readParameters(readback, this.#parameters, known)) as Map<string, Float32Array>;
    } finally {
      await readback.dispose();
    }
  }

  /**
   * Adds what an adapter does at linear maps to the frozen weights: W + s·BA, and what IA³ and DoRA multiply.
   * @param compat leaves biases as they are, as the library does (MATHS §2.7)
   * @throws EngineError UNSUPPORTED for gates, which depend on the input; where layers share their weights; where a bias is to
   * change that the host does not have
   */
  async merge(name: string, packed: PackedAdapter, compat: boolean): Promise<void> {
    if (this.#held)
      throw new EngineError("UNSUPPORTED", "nothing is merged into weights that are trained", {
        where: name,
        fix: "end the training first",
      });
    if (this.#before.size > 0) {
      const [other] = this.#before.keys();
      throw new EngineError("UNSUPPORTED", `adapter ${other} is merged already`, {
        where: name,
        fix: "unmerge it first",
      });
    }
    const changes = packedLinear(packed);
    const shared = new Set(changes.map(({ layer, maps }) => this.#host.map(layer, maps[0] as "up").weight));
    if (shared.size < changes.length) {
      const message = "the layers of this host share their weights: an adapter of one layer cannot be merged";
      throw new EngineError("UNSUPPORTED", message, { where: name });
    }
    const places = changes.map((change) => ({
      change,
      at: change.maps.map((map) => this.#host.map(change.layer, map)),
    }));
    const without = places.find(({ change, at }) => change.shifts && at[0]?.bias === null && !compat);
    if (without !== undefined) {
      const { layer, maps } = without.change;
      const message = `the adapter adds to the biases of ${maps.join(", ")} in layer ${layer}, and this host has none there`;
      throw new EngineError("UNSUPPORTED", message, { where: name, fix: "leave it beside the weights" });
    }
    const names = new Set(
      places.flatMap(({ at }) => at.flatMap(({ weight, bias }) => (bias === null ? [weight] : [weight, bias]))),
    );
    const contents = await this.#read([...names]);
    const before = new Map([...contents].map(([key, data]) => [key, this.#stored(key, data)]));
    this.#before.set(name, before);
    for (const { change, at } of places) {
      const first = at[0] as MapWeights;
      const bias = first.bias === null || compat ? null : (contents.get(first.bias) ?? null);
      const outputs = at.reduce((sum, { count }) => sum + count, 0);
      change.apply(contents.get(first.weight) as Float32Array, bias, outputs);
    }
    for (const [key, data] of contents) this.#parameters.write(key, this.#stored(key, data));
  }

  /** Writes back what stood there before. */
  unmerge(name: string): void {
    const before = this.#before.get(name);
    if (before === undefined) throw new EngineError("UNKNOWN_NAME", `adapter ${name} is not merged`, { where: name });
    for (const [key, data] of before) this.#parameters.write(key, data);
    this.#before.delete(name);
  }

  #stored(name: string, data: Float32Array): Float32Array | Uint32Array {
    return this.#parameters.typeOf(name).element === "f16" ? packF16(data) : data.slice();
  }
}
