/** @file Seeded draws and written files for the random cases of the oracle. */

import { fromFloat32 } from "../../src/formats/tensor.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { gaussian, generator } from "../../src/random.ts";
import { need } from "./rows.ts";

/** Seeded choices. */
export class Draw {
  private readonly random: () => number;

  constructor(seed: number) {
    this.random = generator(seed);
    // The first numbers of neighbouring seeds resemble each other.
    for (let i = 0; i < 8; i++) this.random();
  }

  /** One of several. */
  pick<T>(options: readonly T[]): T {
    return need(options[Math.floor(this.random() * options.length)], "an option");
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** An integer from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  /** A part of several, perhaps none. */
  subset<T>(options: readonly T[], probability: number): T[] {
    return options.filter(() => this.chance(probability));
  }

  /** Normally distributed f32 values. */
  normal(count: number, deviation: number, mean = 0): Float32Array {
    return Float32Array.from({ length: count }, () => mean + deviation * gaussian(this.random));
  }
}

/** Tensors to be written, in the order they were added. */
export class TensorList {
  private readonly draw: Draw;
  private readonly entries: Map<string, { shape: readonly number[]; data: Float32Array }> = new Map();

  constructor(draw: Draw) {
    this.draw = draw;
  }

  /** Adds a random tensor. */
  add(name: string, shape: readonly number[], deviation: number, mean = 0): this {
    const count = shape.reduce((product, extent) => product * extent, 1);
    this.entries.set(name, { shape, data: this.draw.normal(count, deviation, mean) });
    return this;
  }

  /** A random weight `[out, in]` that keeps the size of what passes it, and a bias. */
  linear(name: string, out: number, width: number, gain = 1): this {
    return this.add(`${name}.weight`, [out, width], gain / Math.sqrt(width)).add(`${name}.bias`, [out], 0.1);
  }

  /** A random LayerNorm near the identity. */
  norm(name: string, width: number): this {
    return this.add(`${name}.weight`, [width], 0.1, 1).add(`${name}.bias`, [width], 0.1);
  }

  /** Adds the tensors of `from` once more under another prefix. */
  copy(from: string, to: string): this {
    for (const [name, tensor] of this.entries) {
      if (name.startsWith(from)) this.entries.set(to + name.slice(from.length), tensor);
    }
    return this;
  }

  /** The tensors as a safetensors file, each name behind a prefix. */
  write(prefix = ""): Uint8Array {
    const stored = [...this.entries].map(([name, { shape, data }]) => fromFloat32(prefix + name, shape, data));
    return writeSafetensors(stored, { format: "pt" });
  }
}

/** JSON as Python writes it where it matters: `scaling` of a bottleneck stays a float. */
export function pythonJson(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replace(/("scaling": -?\d+)(?=[,\n])/g, "$1.0");
}
