/** @file Sums of gradients over the parts of a batch that is run piece by piece. */

import { Arena } from "../graph/arena.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import { Plan } from "../graph/plan.ts";
import type { Value } from "../graph/value.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { elementwise } from "../ops/elementwise.ts";

/** A flat gradient, and the name of the sum beside it. */
interface Pair {
  readonly gradient: string;
  readonly sum: string;
}

/** Adds up flat gradients part by part, in the order in which the parts are run. Made by the first batch that has several. */
export class Accumulator {
  readonly #parameters: Parameters;
  readonly #pairs: readonly Pair[];
  readonly #arena: Arena;
  readonly #plan: Plan;

  private constructor(parameters: Parameters, pairs: readonly Pair[], arena: Arena, plan: Plan) {
    this.#parameters = parameters;
    this.#pairs = pairs;
    this.#arena = arena;
    this.#plan = plan;
  }

  /**
   * @param gradients names of flat gradients, f32[elements]
   * @throws EngineError LIMIT
   */
  static async create(gpu: Gpu, parameters: Parameters, gradients: readonly string[]): Promise<Accumulator> {
    const pairs = gradients.map((gradient) => ({ gradient, sum: `${gradient}.sum` }));
    const b = new GraphBuilder();
    const outputs: Record<string, Value> = {};
    for (const { gradient, sum } of pairs) {
      const type = parameters.typeOf(gradient);
      parameters.set(sum, type);
      const both = { a: b.parameter(sum, type.shape), b: b.parameter(gradient, type.shape) };
      outputs[gradient] = b.op(elementwise, both, { operation: "add" }).y as Value;
    }
    const arena = new Arena(gpu);
    const plan = await Plan.create({ gpu, graph: b.finish(outputs), parameters, arena, capacities: {} });
    return new Accumulator(parameters, pairs, arena, plan);
  }

  /** Takes the gradient of a part: the sum is that, for the first, else the sum of before and that. */
  async take(first: boolean): Promise<void> {
    if (first) this.#parameters.copy(this.#pairs.map(({ gradient, sum }) => ({ from: gradient, to: sum })));
    else await this.#add(({ sum }) => sum);
  }

  /** Makes the gradient the sum of all parts, of which it holds the last. */
  async finish(): Promise<void> {
    await this.#add(({ gradient }) => gradient);
  }

  async #add(target: (pair: Pair) => string): Promise<void> {
    const into = this.#pairs.map((pair) => [pair.gradient, this.#parameters.slice(target(pair))] as const);
    await this.#plan.run({}, {}, { into: Object.fromEntries(into) });
  }

  async dispose(): Promise<void> {
    this.#plan.dispose();
    await this.#arena.dispose();
    for (const { sum } of this.#pairs) this.#parameters.delete(sum);
  }
}
