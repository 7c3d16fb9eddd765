/**
 * @file The bank: fixed slots on the GPU in which adapters live side by side. Width, activation and scale are slot data,
 * so adding, removing and activating adapters writes buffers and creates nothing (DESIGN §5.4).
 */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";
import { activationCodes } from "../ops/activation.ts";
import { adapter, adapterStride } from "../ops/adapter.ts";
import type { Dim, TensorType } from "../ops/op.ts";
import type { BottleneckConfig, BottleneckWeights } from "./bottleneck.ts";

/** How many adapters fit at once, and how wide their bottlenecks may be. */
export interface BankSize {
  readonly count: number;
  readonly width: number;
}

const SLOT_WORDS = 4;

/** The resident adapters of the layer site. */
export class AdapterBank {
  readonly size: BankSize;
  readonly #parameters: Parameters;
  readonly #layers: number;
  readonly #width: number;
  readonly #names: (string | null)[];

  constructor(parameters: Parameters, host: { readonly layers: number; readonly width: number }, size: BankSize) {
    this.size = size;
    this.#parameters = parameters;
    this.#layers = host.layers;
    this.#width = host.width;
    this.#names = Array.from({ length: size.count }, () => null);
    const shape = [size.count, adapterStride(host.width, size.width)];
    const made: string[] = [];
    const allocate = (name: string, type: TensorType): void => {
      parameters.set(name, type);
      made.push(name);
    };
    try {
      for (let layer = 0; layer < host.layers; layer += 1) {
        allocate(bankName(layer), { shape, element: "f32" });
        allocate(slotsName(layer), { shape: [size.count, SLOT_WORDS], element: "u32" });
      }
    } catch (error) {
      for (const name of made) parameters.delete(name);
      throw error;
    }
  }

  /** Bytes on the GPU. */
  get bytes(): number {
    return this.#layers * this.size.count * (adapterStride(this.#width, this.size.width) + SLOT_WORDS) * 4;
  }

  /** @returns a free slot for a bottleneck of this width; throws NO_CAPACITY where there is none. */
  claim(name: string, bottleneck: number): number {
    if (bottleneck > this.size.width) {
      const message = `adapter ${name} has a bottleneck of ${bottleneck}, the slots of this model hold ${this.size.width}`;
      throw new EngineError("NO_CAPACITY", message, {
        where: name,
        fix: `load the model with slots: { width: ${bottleneck} }`,
      });
    }
    const slot = this.#names.indexOf(null);
    if (slot < 0) {
      const message = `all ${this.size.count} adapter slots are taken: ${this.#names.join(", ")}`;
      throw new EngineError("NO_CAPACITY", message, {
        where: name,
        fix: "remove an adapter, or load the model with more slots",
      });
    }
    this.#names[slot] = name;
    return slot;
  }

  /** Writes an adapter into its slot; a layer without weights gets "no adapter". */
  write(slot: number, config: BottleneckConfig, layers: readonly (BottleneckWeights | null)[]): void {
    layers.forEach((weights, layer) => {
      const info = new Uint32Array(SLOT_WORDS);
      if (weights !== null) {
        const bottleneck = weights.downBias.length;
        info[0] = bottleneck;
        info[1] = activationCodes[config.non_linearity];
        new Float32Array(info.buffer)[2] = config.scaling;
        this.#parameters.write(
          bankName(layer),
          this.#pack(weights, bottleneck),
          slot * adapterStride(this.#width, this.size.width),
        );
      }
      this.#parameters.write(slotsName(layer), info, slot * SLOT_WORDS);
    });
  }

  /** Frees a slot. Its contents stay until the next adapter; nobody reads them. */
  release(slot: number): void {
    this.#names[slot] = null;
  }

  #pack({ down, up, downBias, upBias }: BottleneckWeights, bottleneck: number): Float32Array {
    const width = this.#width;
    const most = this.size.width;
    const packed = new Float32Array(adapterStride(width, most));
    packed.set(down, 0);
    for (let row = 0; row < width; row += 1) {
      packed.set(up.subarray(row * bottleneck, (row + 1) * bottleneck), most * width + row * most);
    }
    packed.set(downBias, 2 * most * width);
    packed.set(upBias, 2 * most * width + most);
    return packed;
  }

  /** residual + A(x) with the slot that `segmentSlots` names for every sequence. */
  build(b: GraphBuilder, layer: number, x: Value, residual: Value, segments: Value, segmentSlots: Value): Value {
    const { count, width } = this.size;
    const inputs = {
      x,
      residual,
      bank: b.parameter(bankName(layer), [count, adapterStride(this.#width, width)]),
      slots: b.parameter(slotsName(layer), [count, SLOT_WORDS], "u32"),
      segments,
      segment_slots: segmentSlots,
    };
    return b.op(adapter, inputs, { width: x.type.shape[1] as number, maxWidth: width }).y as Value;
  }
}

function bankName(layer: number): string {
  return `adapters.layers.${layer}`;
}

function slotsName(layer: number): string {
  return `adapters.layers.${layer}.slots`;
}

/** The slot of every sequence, as a run-time input. */
export function slotsInput(b: GraphBuilder, name: string, sequences: Dim): Value {
  return b.input(name, [sequences], "u32");
}
