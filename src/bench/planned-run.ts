/** @file A plan that is run again and again on the same inputs, with its outputs poisoned before every run. */

import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { launchTimes } from "../graph/launch-times.ts";
import type { LaunchTime } from "../graph/launch-times.ts";
import type { Arena } from "../graph/arena.ts";
import type { Parameters } from "../graph/parameters.ts";
import { Plan } from "../graph/plan.ts";
import type { HostTensor, RunResult } from "../graph/plan.ts";
import type { Sizes, VariantChoice } from "../graph/schedule.ts";
import type { Graph } from "../graph/value.ts";
import { median } from "./statistics.ts";

/** What is run. */
export interface PlannedGraph {
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly sizes: Sizes;
  /** Default: the sizes. */
  readonly capacities?: Sizes;
  readonly choose?: VariantChoice;
}

/** A NaN that no kernel produces, so that an output that was not written cannot pass for a result. */
const POISON = 0x7fc0dead;

/**
 * A graph bound to a device for timing. The same input must give the same bits every time: a run that differs from the
 * first one is an error, which also catches a launch that writes nothing.
 */
export class PlannedRun {
  readonly plan: Plan;
  readonly #gpu: Gpu;
  readonly #arena: Arena;
  readonly #work: PlannedGraph;
  readonly #poison: readonly { readonly slot: number; readonly words: Uint32Array }[];
  #first: Readonly<Record<string, HostTensor>> | null = null;

  private constructor(gpu: Gpu, arena: Arena, work: PlannedGraph, plan: Plan) {
    this.plan = plan;
    this.#gpu = gpu;
    this.#arena = arena;
    this.#work = work;
    const places = [...plan.graph.outputs.values()].map((value) => plan.memory.placeOf(value));
    const slots = new Set(places.flatMap((place) => (place.kind === "slot" ? [place.slot] : [])));
    this.#poison = [...slots].map((slot) => ({
      slot,
      words: new Uint32Array((plan.memory.slots[slot] as number) / 4).fill(POISON),
    }));
  }

  /** Plans and compiles. The arena may be shared with other runs that follow each other. */
  static async create(gpu: Gpu, parameters: Parameters, arena: Arena, work: PlannedGraph): Promise<PlannedRun> {
    const { graph, sizes, capacities = sizes, choose } = work;
    const plan = await Plan.create({
      gpu,
      graph,
      parameters,
      arena,
      capacities,
      ...(choose === undefined ? {} : { choose }),
    });
    return new PlannedRun(gpu, arena, work, plan);
  }

  /** Runs once. @throws EngineError VALIDATION when the bits differ from the first run's */
  async run(): Promise<{ readonly outputs: Readonly<Record<string, HostTensor>>; readonly milliseconds: number }> {
    await this.#prepare();
    const start = performance.now();
    const result = await this.plan.run(this.#work.inputs, this.#work.sizes);
    const wall = performance.now() - start;
    this.#expectSame(result);
    // A copy between launches splits the run into several passes, of which only the first is timed.
    const onePass = this.plan.memory.copies.every(({ step }) => step === 0);
    const gpu = onePass ? result.gpuMilliseconds : null;
    return { outputs: result.outputs, milliseconds: gpu ?? wall };
  }

  /** Times every launch by itself; empty where the device has no timestamps. */
  async profile(): Promise<readonly LaunchTime[]> {
    await this.#prepare();
    const result = await this.plan.run(this.#work.inputs, this.#work.sizes, { profile: true });
    this.#expectSame(result);
    return launchTimes(this.plan.steps, result) ?? [];
  }

  /** Profiles several runs: the median of every launch. Empty where the device has no timestamps. */
  async profileMedians(runs: number): Promise<readonly LaunchTime[]> {
    const profiles: (readonly LaunchTime[])[] = [];
    for (let run = 0; run < runs; run += 1) profiles.push(await this.profile());
    const [first = []] = profiles;
    return first.map((launch, index) => {
      const times = profiles.map((profile) => (profile[index] as LaunchTime).milliseconds);
      return { ...launch, milliseconds: median(times) };
    });
  }

  /** Frees the plan; arena and parameters belong to others. */
  dispose(): void {
    this.plan.dispose();
  }

  async #prepare(): Promise<void> {
    for (const { slot, words } of this.#poison) this.#gpu.write(this.#arena.buffer(slot), 0, words);
    await this.#gpu.done();
  }

  #expectSame({ outputs }: RunResult): void {
    this.#first ??= outputs;
    for (const [name, { data }] of Object.entries(outputs)) {
      const at = firstDifference(data, (this.#first[name] as HostTensor).data);
      if (at < 0) continue;
      throw new EngineError("VALIDATION", `two runs on the same input differ in ${name}[${at}]`, { where: name });
    }
  }
}

function firstDifference(a: Float32Array | Uint32Array, b: Float32Array | Uint32Array): number {
  const [left, right] = [a, b].map(
    ({ buffer, byteOffset, length }) => new Uint32Array(buffer as ArrayBuffer, byteOffset, length),
  );
  return (left as Uint32Array).findIndex((word, index) => word !== (right as Uint32Array)[index]);
}
