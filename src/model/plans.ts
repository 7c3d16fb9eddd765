/** @file Plans of one model by signature: found again when they fit, made when they do not, forgotten when many pile up. */

import { Arena } from "../graph/arena.ts";
import type { Parameters } from "../graph/parameters.ts";
import { Plan } from "../graph/plan.ts";
import type { PlanOptions } from "../graph/plan.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { BuiltGraph } from "./lengths.ts";

/** Plans that are kept at once; the one unused for longest goes first. */
const MOST_PLANS = 32;

interface Entry {
  readonly key: string;
  readonly plan: Plan;
  readonly built: BuiltGraph;
}

/** What a plan is made from, beside the model. */
export interface NewPlan extends Pick<PlanOptions, "capacities" | "homes"> {
  readonly built: BuiltGraph;
}

/** The plans of one model. They share one arena, since runs of a model follow each other. */
export class PlanCache {
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;
  readonly #arena: Arena;
  /** Least recently used first. */
  #entries: Entry[] = [];

  constructor(gpu: Gpu, parameters: Parameters) {
    this.#gpu = gpu;
    this.#parameters = parameters;
    this.#arena = new Arena(gpu);
  }

  /** @returns the smallest plan of this signature that holds the sizes, made if need be. */
  async get(key: string, sizes: Sizes, make: () => NewPlan): Promise<Plan> {
    const fitting = this.#entries.filter((entry) => entry.key === key && entry.plan.fits(sizes));
    fitting.sort((a, b) => (a.plan.capacities.rows ?? 0) - (b.plan.capacities.rows ?? 0));
    const found = fitting[0] ?? (await this.#create(key, make()));
    this.#entries = [...this.#entries.filter((entry) => entry !== found), found];
    while (this.#entries.length > MOST_PLANS) this.#entries.shift()?.plan.dispose();
    return found.plan;
  }

  /** @returns the graph of a signature that has a plan, so that a warm run builds nothing. */
  builtOf(key: string): BuiltGraph | undefined {
    return this.#entries.find((entry) => entry.key === key)?.built;
  }

  /** Binds all plans to the arena as it is now: those made later may have enlarged it. */
  bind(): void {
    for (const { plan } of this.#entries) plan.bind();
  }

  /** Forgets all plans: buffers that they had bound are no more. */
  clear(): void {
    for (const { plan } of this.#entries) plan.dispose();
    this.#entries = [];
  }

  async #create(key: string, { built, ...made }: NewPlan): Promise<Entry> {
    const parts = { gpu: this.#gpu, graph: built.graph, parameters: this.#parameters, arena: this.#arena };
    return { key, built, plan: await Plan.create({ ...parts, ...made }) };
  }

  /** Frees all plans and the arena. */
  async dispose(): Promise<void> {
    this.clear();
    await this.#arena.dispose();
  }
}
