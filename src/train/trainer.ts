/** @file Training steps on a model: forward, backward and update over one batch, in the model's own turn. */

import { EngineError } from "../errors.ts";
import { withOrders } from "../graph/order.ts";
import type { Inside, Model } from "../model/model.ts";
import { PlanCache } from "../model/plans.ts";
import type { Ready } from "../model/runner.ts";
import type { RunInput } from "../model/types.ts";
import { DIVISOR, TARGETS, objectiveOf, targetsOf } from "./objectives.ts";
import type { ObjectiveSettings, Targets } from "./objectives.ts";
import { Optimizer } from "./optimizer.ts";
import type { GradientTargets, OptimizerSettings, UpdateOptions } from "./optimizer.ts";
import { LOSS, buildStep } from "./step-graph.ts";
import type { StepGraph } from "./step-graph.ts";
import { trainablesOf } from "./trainable.ts";
import type { TrainTargets, Trainable } from "./trainable.ts";

/** What a trainer is made for. */
export interface TrainerOptions {
  readonly train: TrainTargets;
  /** The added head whose output the loss is made of. */
  readonly head: string;
  readonly objective: ObjectiveSettings;
  readonly optimizer: OptimizerSettings;
}

/** What a step found. */
export interface StepReport {
  /** Before the update. */
  readonly loss: number;
  /** The norm of the gradient, before it was brought down to the largest. */
  readonly norm: number;
  readonly milliseconds: number;
}

/** The graph of a step, and where its gradients go. */
interface KnownStep {
  readonly step: StepGraph;
  readonly written: GradientTargets;
}

/** Trains parts of one model. What is active, dropped and routed on the model when a step is called is what the step trains. */
export class Trainer {
  readonly #model: Model;
  readonly #options: TrainerOptions;
  readonly #trainables: readonly Trainable[];
  readonly #optimizer: Optimizer;
  readonly #plans: PlanCache;
  readonly #steps = new Map<string, KnownStep>();

  private constructor(
    model: Model,
    options: TrainerOptions,
    made: { trainables: readonly Trainable[]; optimizer: Optimizer; plans: PlanCache },
  ) {
    this.#model = model;
    this.#options = options;
    this.#trainables = made.trainables;
    this.#optimizer = made.optimizer;
    this.#plans = made.plans;
  }

  /**
   * Prepares a model for training. Its adapters and heads must be there; none may be added until the trainer is disposed.
   * @throws EngineError BAD_CONFIG, UNKNOWN_NAME, LIMIT
   */
  static async create(model: Model, options: TrainerOptions): Promise<Trainer> {
    return model.exclusive(async (inside) => {
      const { parts, runner, store } = inside;
      // Adapters into slots, routers onto the GPU.
      await runner.ready(inside.request(null, { outputs: [`heads.${options.head}`] }));
      const trainables = trainablesOf(inside, options.train);
      const { gpu, parameters } = parts;
      const optimizer = await Optimizer.create({ gpu, parameters, trainables, settings: options.optimizer });
      store.bank.hold(new Set((options.train.adapters ?? []).map((name) => store.get(name).resident)));
      // Plans of before have bound the buffers that the trained parts have left.
      runner.forget();
      const plans = new PlanCache(gpu, parameters);
      return new Trainer(model, options, { trainables, optimizer, plans });
    });
  }

  /** Bytes of the flat gradients and of the optimiser's states. */
  get bytes(): number {
    return this.#optimizer.bytes;
  }

  /**
   * One step over one batch.
   * @throws EngineError BAD_INPUT for targets that the head cannot give; DIVERGED for a loss or a gradient that is not finite: nothing
   * was updated then
   */
  async step(input: RunInput, targets: Targets, update: UpdateOptions): Promise<StepReport> {
    return this.#model.exclusive(async (inside) => {
      const start = performance.now();
      const { written, run } = await this.#ready(inside, input, targets);
      this.#optimizer.clear();
      const { outputs } = await run();
      this.#optimizer.touch(written);
      const loss = outputs[LOSS]?.data[0] as number;
      if (!Number.isFinite(loss)) throw diverged("the loss", loss);
      const norm = await this.#optimizer.update(update);
      if (!Number.isFinite(norm)) throw diverged("the norm of the gradient", norm);
      return { loss, norm, milliseconds: performance.now() - start };
    });
  }

  /** Gives the trained parts back to the model, which runs as before. */
  async dispose(): Promise<void> {
    await this.#model.exclusive(async ({ runner, store }) => {
      store.bank.hold(null);
      runner.forget();
      await this.#plans.dispose();
      await this.#optimizer.dispose();
    });
  }

  /** The plan of a batch, made if need be, with what it is run on. */
  async #ready(inside: Inside, input: RunInput, targets: Targets) {
    const { runner, request } = inside;
    const call = request(input, { outputs: [`heads.${this.#options.head}`] });
    const ready = await runner.ready(call);
    const { step, written } = this.#stepOf(ready);
    const lengths = runner.lengthsOf(step.built, call, ready);
    const plan = await this.#plans.get(ready.key, lengths.sizes, () => ({
      built: step.built,
      capacities: runner.capacitiesOf(lengths, ready.signature),
    }));
    const { data, count } = targetsOf(this.#options.objective, targets, {
      labels: inside.heads.configOf(this.#options.head).num_labels,
      rows: call.batch.rows.length,
    });
    const given = { ...call.batch.arrays, ...lengths.inputs, [TARGETS]: data, [DIVISOR]: Uint32Array.of(count) };
    const arrays = withOrders(step.built.graph, given);
    return { written, run: () => plan.run(arrays, lengths.sizes, { into: written.into }) };
  }

  #stepOf(ready: Ready): KnownStep {
    const known = this.#steps.get(ready.key);
    if (known !== undefined) return known;
    const step = buildStep(ready, this.#trainables, objectiveOf(this.#options.objective, "heads #0"));
    const made = { step, written: this.#optimizer.targetsOf(step.gradients) };
    this.#steps.set(ready.key, made);
    return made;
  }
}

function diverged(what: string, value: number): EngineError {
  return new EngineError("DIVERGED", `${what} is ${value}`, {
    where: "train.step",
    fix: "lower the learning rate, clip the gradient, or look for values in the data that are not finite",
  });
}
