/** @file Training steps on a model: forward, backward and update over one batch, in the model's own turn. */

import { EngineError } from "../errors.ts";
import { explain } from "../graph/explain.ts";
import type { Explanation } from "../graph/explain.ts";
import { launchTimes } from "../graph/launch-times.ts";
import type { LaunchTime } from "../graph/launch-times.ts";
import type { Inside, Model } from "../model/model.ts";
import type { RunInput } from "../model/types.ts";
import type { Entry } from "./entry.ts";
import type { DropoutSettings } from "./dropouts.ts";
import type { ObjectiveSettings, Targets } from "./objectives.ts";
import { Optimizer } from "./optimizer.ts";
import type { OptimizerSettings, UpdateOptions } from "./optimizer.ts";
import type { TrainerState } from "./state.ts";
import { LOGITS, LOSS } from "./step-graph.ts";
import { DerivedSlots, deriveAdapters, freeDerived } from "./derived.ts";
import { StepPlans } from "./step-plans.ts";
import type { PreparedPart, ReadyStep, Trained } from "./step-plans.ts";
import { trainablesOf } from "./trainable.ts";
import type { TrainTargets, Trainable } from "./trainable.ts";
import { heldDuring, holdTrained, releaseFusions, releaseTrained, writeBack } from "./write-back.ts";

/** What a trainer is made for. */
export interface TrainerOptions {
  readonly train: TrainTargets;
  /** The head whose output the loss is made of: an added one, or `default` for the checkpoint's own. */
  readonly head: string;
  readonly objective: ObjectiveSettings;
  readonly optimizer: OptimizerSettings;
  /** Of what is drawn at random in a step; 0 when absent. */
  readonly seed?: number;
  /** What is left out at random in a step, besides what adapters, heads and fusions say of themselves; null for nothing at all. */
  readonly dropout?: DropoutSettings | null;
  /** Compute what is inside a layer once more on the way back instead of keeping it: less memory, more work, the same bits. */
  readonly recompute?: boolean;
}

/** A part of a batch: what fits into one step. */
export interface StepPart {
  readonly input: RunInput;
  /** Of a head of sequences one per sequence, of a head of tokens one per row. */
  readonly targets: Targets;
  /** What enters a layer, so that nothing below it is computed. */
  readonly entry?: Entry;
}

/** What a step found. */
export interface StepReport {
  /** Before the update. */
  readonly loss: number;
  /** The norm of the gradient, before it was brought down to the largest. */
  readonly norm: number;
  readonly milliseconds: number;
}

/** What an evaluation found. */
export interface EvaluationReport {
  /** The mean over the targets that take part. */
  readonly loss: number;
  /** How many those are. */
  readonly count: number;
  /** [sequences, labels], or of a head of tokens [rows with targets, labels]. */
  readonly logits: Float32Array;
  /** Of a head of tokens, the rows that have targets. */
  readonly rows: Uint32Array | null;
}

/** A part with the number of its forward pass. */
interface NumberedPart extends PreparedPart {
  readonly pass: number;
}

/** What a trainer holds of a model. */
interface Held {
  readonly trained: Trained;
  readonly optimizer: Optimizer;
  /** Null where no slot is computed of what is trained. */
  readonly slots: DerivedSlots | null;
}

/** Gives everything that is held back to the model, which runs on as before. */
async function letGo(inside: Inside, { trained, optimizer, slots }: Held): Promise<void> {
  releaseTrained(inside);
  inside.runner.forget();
  await slots?.dispose();
  await optimizer.dispose();
  freeDerived(inside, trained.derived);
  await releaseFusions(inside, trained.trainables);
}

/** Trains parts of one model. What is active, dropped and routed on the model when a step is called is what the step trains. */
export class Trainer {
  readonly #model: Model;
  readonly #trained: Trained;
  readonly #optimizer: Optimizer;
  readonly #slots: DerivedSlots | null;
  readonly #plans: StepPlans;
  /** Forward passes of steps so far. */
  #passes = 0;

  private constructor(model: Model, made: Held & { readonly plans: StepPlans }) {
    this.#model = model;
    this.#trained = made.trained;
    this.#optimizer = made.optimizer;
    this.#slots = made.slots;
    this.#plans = made.plans;
  }

  /**
   * Prepares a model for training. Its adapters and heads must be there; none may be added until the trainer is disposed.
   * @throws EngineError BAD_CONFIG, UNKNOWN_NAME, LIMIT
   */
  static async create(model: Model, options: TrainerOptions): Promise<Trainer> {
    return model.exclusive(async (inside) => {
      const { parts, runner } = inside;
      const { gpu, parameters } = parts;
      const { trained, optimizer } = await heldDuring(inside, options.train, async () => {
        // Adapters into slots, fusions and routers onto the GPU.
        await runner.ready(inside.request(null, { outputs: [`heads.${options.head}`] }));
        const derived = await deriveAdapters(inside, options.train.adapters ?? []);
        try {
          const trainables = trainablesOf(inside, options.train, derived);
          const settings = { gpu, parameters, trainables, settings: options.optimizer };
          return { trained: { trainables, derived }, optimizer: await Optimizer.create(settings) };
        } catch (error) {
          freeDerived(inside, derived);
          throw error;
        } finally {
          // Plans of before have bound the buffers that what is trained has left, be it for a while.
          runner.forget();
        }
      });
      holdTrained(inside, trained.trainables);
      let slots: DerivedSlots | null = null;
      try {
        slots = await DerivedSlots.create(inside, trained.derived);
        // The same numbers as behind every step, to the last bit.
        await slots?.refresh();
      } catch (error) {
        await letGo(inside, { trained, optimizer, slots });
        throw error;
      }
      const plans = new StepPlans(inside, options, trained, optimizer);
      return new Trainer(model, { trained, optimizer, slots, plans });
    });
  }

  /** What is trained. */
  get trainables(): readonly Trainable[] {
    return this.#trained.trainables;
  }

  /** Bytes of the flat gradients and of the optimiser's states. */
  get bytes(): number {
    return this.#optimizer.bytes;
  }

  /**
   * One step over one batch, run in parts whose gradients are added up; the loss is the mean over the targets of all parts.
   * @throws EngineError BAD_INPUT for targets that the head cannot give; DIVERGED for a loss or a gradient that is not finite: nothing
   * was updated then
   */
  async step(batch: readonly StepPart[], update: UpdateOptions): Promise<StepReport> {
    return this.#model.exclusive(async (inside) => {
      const start = performance.now();
      const first = this.#passes;
      const parts = batch.map((part, index) => ({ ...this.#plans.prepare(inside, part), pass: first + index }));
      const divisor = parts.reduce((sum, { targets }) => sum + targets.count, 0);
      let loss = 0;
      this.#optimizer.begin();
      for (const [index, one] of parts.entries()) {
        const own = await this.#pass(inside, one, divisor);
        if (!Number.isFinite(own)) throw await this.#diverged(inside, [one], "the loss", own);
        loss += own;
        if (index + 1 < batch.length) await this.#optimizer.accumulate(index === 0);
        else if (index > 0) await this.#optimizer.gather();
      }
      const norm = await this.#optimizer.update(update);
      if (!Number.isFinite(norm)) throw await this.#diverged(inside, parts, "the norm of the gradient", norm);
      await this.#slots?.refresh();
      return { loss, norm, milliseconds: performance.now() - start };
    });
  }

  /** Forward and backward over a part: its share of the loss. */
  async #pass(inside: Inside, part: NumberedPart, divisor: number): Promise<number> {
    const { written, run } = await this.#plans.step(inside, part, divisor);
    this.#optimizer.clear();
    const { outputs } = await run(part.pass);
    this.#passes = part.pass + 1;
    this.#optimizer.touch(written);
    return outputs[LOSS]?.data[0] as number;
  }

  /** What went wrong, with the first value that did: weights are still those of before. */
  async #diverged(inside: Inside, parts: readonly NumberedPart[], what: string, value: number): Promise<EngineError> {
    for (const part of parts) {
      const first = await this.#plans.diagnose(inside, part, part.pass);
      if (first !== null) return diverged(`${what} is ${value}: ${first} is the first value that is not finite`);
    }
    return diverged(`${what} is ${value}, while every value that it is made of is finite`);
  }

  /** Loss and logits of a part, without dropout and without any update. @throws EngineError BAD_INPUT */
  async evaluate(part: StepPart): Promise<EvaluationReport> {
    return this.#model.exclusive(async (inside) => {
      const prepared = this.#plans.prepare(inside, part);
      const { outputs } = await this.#plans.evaluate(inside, prepared);
      const { count, rows } = prepared.targets;
      return {
        loss: outputs[LOSS]?.data[0] as number,
        count,
        logits: outputs[LOGITS]?.data as Float32Array,
        rows,
      };
    });
  }

  /** Counts what a step over a part does: launches, FLOPs, bytes. */
  async explain(part: StepPart): Promise<Explanation> {
    return this.#model.exclusive(async (inside) => {
      const { plan, lengths } = await this.#ready(inside, part);
      return explain(plan.steps, plan.memory, lengths.sizes);
    });
  }

  /** Times every launch of a step over a part; nothing is updated. Empty where the GPU has no timestamps. */
  async profile(part: StepPart): Promise<readonly LaunchTime[]> {
    return this.#model.exclusive(async (inside) => {
      const { plan, run } = await this.#ready(inside, part);
      return launchTimes(plan.steps, await run(this.#passes, { profile: true })) ?? [];
    });
  }

  /** The lowest layer in which a step over a part trains something: see `lowestTrained`. */
  async lowest(part: StepPart): Promise<number | null> {
    return this.#model.exclusive((inside) => this.#plans.lowest(inside, part));
  }

  /** The step of a part that is a whole batch. */
  async #ready(inside: Inside, part: StepPart): Promise<ReadyStep> {
    const prepared = this.#plans.prepare(inside, part);
    return this.#plans.step(inside, prepared, prepared.targets.count);
  }

  /** Everything that is needed to go on from here to the same bits, in this process or another. */
  async save(): Promise<TrainerState> {
    return this.#model.exclusive(async () => ({ ...(await this.#optimizer.save()), passes: this.#passes }));
  }

  /** Goes back, or on, to a saved state. @throws EngineError BAD_CONFIG for one of something else */
  async restore(state: TrainerState): Promise<void> {
    await this.#model.exclusive(async () => {
      this.#optimizer.restore(state);
      await this.#slots?.refresh();
      this.#passes = state.passes;
    });
  }

  /** Takes what was trained so far into what the model keeps and saves. */
  async writeBack(): Promise<void> {
    await this.#model.exclusive((inside) => writeBack(inside, this.#trained));
  }

  /** Gives the trained parts back to the model, which runs as before. What is to be kept is written back first. */
  async dispose(): Promise<void> {
    await this.#model.exclusive(async (inside) => {
      await this.#plans.dispose();
      await letGo(inside, { trained: this.#trained, optimizer: this.#optimizer, slots: this.#slots });
    });
  }
}

function diverged(message: string): EngineError {
  return new EngineError("DIVERGED", message, {
    where: "train.step",
    fix: "lower the learning rate, clip the gradient, or look for values in the data that are not finite",
  });
}
