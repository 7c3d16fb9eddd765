/** @file Graphs with a selection that the device counts, batches for them, and plans that start from a poisoned arena. */

import { Arena } from "../../src/graph/arena.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { RunOptions, RunResult } from "../../src/graph/plan.ts";
import type { VariantChoice } from "../../src/graph/schedule.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { thresholdRows } from "../../src/ops/threshold-rows.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { ROWS, Sketch, truth } from "./fixtures.ts";

/** A NaN that no kernel produces. */
export const POISON = 0x7fc0dead;

/** Outputs of threshold-rows by name. */
export type Selected = Readonly<Record<"rows" | "positions" | "selected_segments" | "counted" | "invalid", Value>>;

/** Short spellings for graphs that select by a threshold. */
export class CountedSketch extends Sketch {
  get segments(): Value {
    return this.input("segments", [runtimeDim("offsets")], "u32");
  }

  /** Rows above `threshold` of the scores named so, counted under `symbol`. */
  above(threshold: number, symbol = "picked", scores = "scores"): Selected {
    const inputs = {
      scores: this.input(scores, [ROWS]),
      segments: this.segments,
      capacity_segments: this.input("room", [runtimeDim("offsets")], "u32"),
    };
    return this.op(thresholdRows, inputs, { threshold, count: symbol }) as unknown as Selected;
  }
}

/** Lengths of sequences and room of each. */
export interface Batch {
  readonly lengths: readonly number[];
  readonly room: readonly number[];
}

/** What a run is made from. */
export interface Feeds {
  readonly inputs: Record<string, Float32Array | Uint32Array>;
  readonly sizes: Record<string, number>;
}

/** Inputs of a graph for a batch: segment tables, and normal numbers for everything else. */
export function feeds(graph: Graph, { lengths, room }: Batch, symbols: readonly string[] = ["picked"]): Feeds {
  const offsets = (counts: readonly number[]): Uint32Array => {
    let sum = 0;
    return Uint32Array.from([0, ...counts.map((count) => (sum += count))]);
  };
  const tables: Record<string, Uint32Array> = { segments: offsets(lengths), room: offsets(room) };
  const most = tables.room?.at(-1) as number;
  const sizes = {
    rows: tables.segments?.at(-1) as number,
    offsets: lengths.length + 1,
    ...Object.fromEntries(symbols.map((symbol) => [symbol, most])),
  } as Record<string, number>;
  const inputs: Feeds["inputs"] = {};
  graph.nodes.forEach((node, index) => {
    if (node.kind !== "input") return;
    const { shape } = (node.outputs.value as Value).type;
    const count = shape.reduce<number>(
      (n, dim) => n * (typeof dim === "number" ? dim : (sizes[dim.symbol] as number)),
      1,
    );
    inputs[node.label] = tables[node.label] ?? normal(index + 1, count);
  });
  return { inputs, sizes };
}

/** A plan whose arena holds NaN wherever no launch of a run has written. */
export class PoisonedPlan {
  readonly plan: Plan;
  readonly #arena: Arena;
  readonly #parameters: Parameters;

  private constructor(plan: Plan, arena: Arena, parameters: Parameters) {
    this.plan = plan;
    this.#arena = arena;
    this.#parameters = parameters;
  }

  static async create(graph: Graph, capacities: Record<string, number>, choose?: VariantChoice): Promise<PoisonedPlan> {
    const gpu = await sharedGpu();
    const [arena, parameters] = [new Arena(gpu), new Parameters(gpu)];
    const options = { gpu, graph, parameters, arena, capacities };
    const plan = await Plan.create(choose === undefined ? options : { ...options, choose });
    return new PoisonedPlan(plan, arena, parameters);
  }

  /** Poisons the arena and runs. */
  async run({ inputs, sizes }: Feeds, options?: RunOptions): Promise<RunResult> {
    const gpu = await sharedGpu();
    this.plan.memory.slots.forEach((bytes, slot) => {
      gpu.write(this.#arena.buffer(slot), 0, new Uint32Array(bytes / 4).fill(POISON));
    });
    return this.plan.run(inputs, sizes, options);
  }

  async dispose(): Promise<void> {
    this.plan.dispose();
    this.#parameters.dispose();
    await this.#arena.dispose();
  }
}

/** The largest difference between a run's outputs and float64, relative to each output's scale; shapes must be equal. */
export function errorOf(graph: Graph, { inputs, sizes }: Feeds, { outputs }: RunResult): number {
  let error = 0;
  for (const [name, expected] of truth(graph, inputs, sizes)) {
    const actual = outputs[name];
    if (String(actual?.shape) !== String(expected.shape)) {
      throw new Error(`${name} is [${String(actual?.shape)}], expected [${String(expected.shape)}]`);
    }
    const scale = Array.from(expected.data).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30);
    for (let i = 0; i < expected.data.length; i += 1) {
      const difference = Math.abs((actual?.data[i] as number) - (expected.data[i] as number)) / scale;
      error = Number.isNaN(difference) ? Infinity : Math.max(error, difference);
    }
  }
  return error;
}
