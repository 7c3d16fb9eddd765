/**
 * @file Beginning in the middle: what lies below everything that is trained is the same in every step, so it is computed once and its
 * result brought along.
 */

import { EngineError } from "../errors.ts";
import type { Leaf } from "../graph/differentiate.ts";
import type { Graph } from "../graph/value.ts";
import type { Model } from "../model/model.ts";
import type { RunInput, Tensor } from "../model/types.ts";

/** The hidden rows that enter a layer, in place of all below it. */
export interface Entry {
  /** From 0, whose input are the embeddings, to the number of layers: what the heads read. */
  readonly layer: number;
  /** Packed rows, f32 [rows, d]. */
  readonly hidden: Float32Array;
}

/** Scopes behind the last layer. */
const BEHIND = /^(final|head|heads|loss)(\.|$)/;

/**
 * @param graph of a step
 * @returns the lowest layer that a trained part stands in, the number of layers where none does; null where one stands below all layers
 */
export function lowestTrained({ nodes }: Graph, trainables: readonly Leaf[], layers: number): number | null {
  const trained = new Set(trainables.map(({ parameter }) => parameter));
  let lowest = layers;
  for (const { kind, scope, inputs } of nodes) {
    if (kind !== "op" || scope.startsWith("backward") || BEHIND.test(scope)) continue;
    const reads = Object.values(inputs).some(({ node }) => node.kind === "parameter" && trained.has(node.label));
    if (!reads) continue;
    const [, layer] = /^layers\.(\d+)(\.|$)/.exec(scope) ?? [];
    if (layer === undefined) return null;
    lowest = Math.min(lowest, Number(layer));
  }
  return lowest;
}

/** Computes what enters a layer, with everything that is active, dropped and routed as it stands. */
export async function entryOf(model: Model, input: RunInput, layer: number): Promise<Entry> {
  const { layers } = model.host.shape;
  const name = layer < layers ? `layers.${layer}.input` : `layers.${layers - 1}.output`;
  const { captures } = await model.run(input, { outputs: [], capture: [name] });
  return { layer, hidden: (captures[name] as Tensor).data };
}

/** What enters a layer, example by example; the examples of a batch are put together from it. */
export class EntryCache {
  readonly #model: Model;
  readonly #layer: number;
  readonly #known = new Map<string, Float32Array>();

  constructor(model: Model, layer: number) {
    this.#model = model;
    this.#layer = layer;
  }

  /** Bytes on the host. */
  get bytes(): number {
    return [...this.#known.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
  }

  /**
   * Computes some examples together.
   * @param keys what they are found by
   * @param rows of each
   */
  async compute(keys: readonly string[], input: RunInput, rows: readonly number[]): Promise<void> {
    const { hidden } = await entryOf(this.#model, input, this.#layer);
    const { width } = this.#model.host.shape;
    let at = 0;
    keys.forEach((key, index) => {
      const end = at + (rows[index] as number) * width;
      this.#known.set(key, hidden.slice(at, end));
      at = end;
    });
    if (at === hidden.length) return;
    throw new EngineError(
      "BAD_INPUT",
      `${hidden.length / width} rows enter layer ${this.#layer}, expected ${at / width}`,
    );
  }

  /** What enters the layer with these examples in a batch. */
  entry(keys: readonly string[]): Entry {
    const parts = keys.map((key) => {
      const part = this.#known.get(key);
      if (part !== undefined) return part;
      throw new Error(`example ${key} was not computed`);
    });
    const hidden = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      hidden.set(part, at);
      at += part.length;
    }
    return { layer: this.#layer, hidden };
  }
}
