/** @file The buffers behind launches that follow a count on the device: tables of grids, and the grids that are dispatched. */

import type { BufferSlice, Gpu } from "../gpu/gpu.ts";
import { bufferUsage } from "../gpu/usage.ts";
import { GRID_STEPS, tabulateGrids } from "./indirect.ts";
import type { ScheduledLaunch, Sizes } from "./schedule.ts";

const GRID_WORDS = 3;
const TABLE_WORDS = (GRID_STEPS + 1) * GRID_WORDS;
const GRIDS_USAGE = bufferUsage.indirect | bufferUsage.storage | bufferUsage.copyTarget;

/** What follows one symbol. */
interface Followers {
  readonly launches: readonly ScheduledLaunch[];
  readonly words: Uint32Array<ArrayBuffer>;
  readonly table: GPUBuffer;
  readonly grids: GPUBuffer;
}

/** Indirect grids of one plan, allocated once; a run writes the tables when its lengths have changed. */
export class IndirectGrids {
  readonly #gpu: Gpu;
  readonly #followers = new Map<string, Followers>();
  readonly #places: readonly ({ readonly symbol: string; readonly index: number } | null)[];
  #written = "";

  constructor(gpu: Gpu, launches: readonly ScheduledLaunch[]) {
    this.#gpu = gpu;
    const bySymbol = new Map<string, ScheduledLaunch[]>();
    this.#places = launches.map((scheduled) => {
      const symbol = scheduled.follows;
      if (symbol === undefined) return null;
      const known = bySymbol.get(symbol) ?? [];
      bySymbol.set(symbol, known);
      return { symbol, index: known.push(scheduled) - 1 };
    });
    for (const [symbol, followers] of bySymbol) {
      const words = new Uint32Array(followers.length * TABLE_WORDS);
      const storage = bufferUsage.storage | bufferUsage.copyTarget;
      const table = gpu.createBuffer({ label: `grids of ${symbol}, table`, size: words.byteLength, usage: storage });
      const size = followers.length * GRID_WORDS * 4;
      const grids = gpu.createBuffer({ label: `grids of ${symbol}`, size, usage: GRIDS_USAGE });
      this.#followers.set(symbol, { launches: followers, words, table, grids });
    }
  }

  /** Fills the tables for these lengths, which hold the most that can be counted. */
  write(sizes: Sizes): void {
    if (this.#followers.size === 0) return;
    const key = JSON.stringify(sizes);
    if (key === this.#written) return;
    for (const [symbol, { launches, words, table }] of this.#followers) {
      launches.forEach(({ launch }, index) => {
        tabulateGrids(launch, symbol, sizes).forEach((grid, step) => {
          words.set(grid, index * TABLE_WORDS + step * GRID_WORDS);
        });
      });
      this.#gpu.write(table, 0, words);
    }
    this.#written = key;
  }

  /** Where a launch finds its grid; null where the host knows it. */
  gridOf(launch: number): { readonly buffer: GPUBuffer; readonly offset: number } | null {
    const place = this.#places[launch] ?? null;
    if (place === null) return null;
    return { buffer: (this.#followers.get(place.symbol) as Followers).grids, offset: place.index * GRID_WORDS * 4 };
  }

  /** The buffers of the launch that sets the grids of a symbol, by their names in its kernel. */
  slice(symbol: string, name: "table" | "grids"): BufferSlice {
    const buffer = (this.#followers.get(symbol) as Followers)[name];
    return { buffer, offset: 0, size: buffer.size };
  }

  /** Frees the buffers. */
  dispose(): void {
    for (const { table, grids } of this.#followers.values()) {
      this.#gpu.destroyBuffer(table);
      this.#gpu.destroyBuffer(grids);
    }
    this.#followers.clear();
  }
}
