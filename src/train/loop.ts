/** @file The loop of a training: steps, evaluations, checkpoints, until the steps are done or nothing gets better. */

import { EngineError } from "../errors.ts";
import { philox } from "../random.ts";
import { largestPart } from "./batches.ts";
import type { Batches } from "./batches.ts";
import type { EvaluationPlan, ObjectiveKind } from "./config/run.ts";
import type { SetName } from "./config/data.ts";
import { EVALUATION_EPOCH } from "./data/part.ts";
import { evaluateSet } from "./evaluate/evaluate.ts";
import { isBetter } from "./evaluate/scores.ts";
import type { Scores } from "./evaluate/scores.ts";
import { beginning } from "./loop-state.ts";
import type { LoopState } from "./loop-state.ts";
import type { MetricsLine } from "./metrics.ts";
import { learningRateAt } from "./schedule.ts";
import type { Schedule } from "./schedule.ts";
import type { StepPart, Trainer } from "./trainer.ts";

/** What the loop needs of a trainer. */
export type LoopTrainer = Pick<Trainer, "step" | "evaluate" | "save" | "restore">;

/** Examples of a set, in parts. */
export interface LoopSet {
  /** Rows of every example. */
  readonly lengths: readonly number[];
  /** Examples of every part; those of a training are drawn per epoch. */
  readonly parts: readonly (readonly number[])[];
}

/** AdapterDrop: the number of lowest layers without adapters. */
export interface LoopDrop {
  readonly kind: "specialised" | "robust";
  readonly layers: number;
  /** Leaves adapters out of so many layers in what is run from now on. */
  readonly apply: (layers: number) => void;
}

/** Everything that a loop stands on. */
export interface LoopWork {
  readonly trainer: LoopTrainer;
  readonly batches: Batches;
  /** Rows of the examples that are trained on. */
  readonly lengths: readonly number[];
  /** Null: nothing is measured. */
  readonly evaluation: LoopSet | null;
  readonly part: (set: SetName, examples: readonly number[], epoch: number) => StepPart;
  readonly objective: ObjectiveKind;
  readonly labels: number;
  readonly schedule: Schedule;
  readonly plan: Omit<EvaluationPlan, "dropped" | "pruned">;
  readonly checkpointEvery: number;
  readonly log: number;
  readonly seed: number;
  readonly drop: LoopDrop | null;
  readonly signal: AbortSignal;
  /** Writes a line of the metrics. */
  readonly line: (line: MetricsLine) => Promise<void>;
  /** Writes the trainer and the loop as they stand, and says where. */
  readonly checkpoint: (state: LoopState) => Promise<string>;
  readonly progress: (done: number, note: string) => void;
}

/** Number of this use of the generator. */
const DROP_STREAM = 0x64726f70;

/** @returns how many of the lowest layers have no adapters in a step of robust AdapterDrop: 0 to layers − 1, each as likely. */
export function droppedIn(step: number, layers: number, seed: number): number {
  const [bits] = philox([step, 0, 0, 0], [seed, DROP_STREAM]);
  return Math.floor((bits / 2 ** 32) * layers);
}

/** Parts in the order in which they are measured: the first one has the most sequences, for the plans' sake. */
export function evaluationParts(parts: readonly (readonly number[])[]): readonly (readonly number[])[] {
  return parts.toSorted((a, b) => b.length - a.length);
}

/** The parts of the steps that a training may begin with. */
function partsAhead({ batches, schedule }: LoopWork): (readonly number[])[] {
  const parts: (readonly number[])[] = [];
  let [step, epoch] = [0, 0];
  for (; step < schedule.steps; epoch += 1) {
    const steps = batches.stepsOf(epoch).slice(0, schedule.steps - step);
    for (const own of steps) parts.push(...own);
    step += steps.length;
  }
  return parts;
}

/**
 * Makes every plan of the training, each for the largest part that it will hold. Which kernels a plan takes follows from what it is made for:
 * so a training that goes on in another process takes the very same ones. Nothing of it stays.
 */
async function warmUp(work: LoopWork): Promise<void> {
  const { trainer, drop, evaluation, lengths } = work;
  const state = await trainer.save();
  const part = work.part("train", largestPart(partsAhead(work), lengths), 0);
  const counts =
    drop === null
      ? [0]
      : drop.kind === "specialised"
        ? [drop.layers]
        : Array.from({ length: drop.layers }, (_, n) => n);
  for (const layers of counts) {
    drop?.apply(layers);
    await trainer.step([part], { learningRate: 0 });
    work.signal.throwIfAborted();
  }
  await trainer.restore(state);
  if (evaluation === null) return;
  drop?.apply(drop.kind === "specialised" ? drop.layers : 0);
  await trainer.evaluate(work.part("evaluation", largestPart(evaluation.parts, evaluation.lengths), EVALUATION_EPOCH));
}

/** What measuring reads of a loop's work. */
export type Measuring = Pick<LoopWork, "trainer" | "objective" | "labels" | "part" | "drop">;

/** Measures a set with the adapters that a finished model has. */
export async function measure(work: Measuring, set: SetName, { parts }: LoopSet, onPart?: () => void): Promise<Scores> {
  const { trainer, objective, labels, drop } = work;
  drop?.apply(drop.kind === "specialised" ? drop.layers : 0);
  const ordered = evaluationParts(parts);
  return evaluateSet(trainer, {
    objective,
    labels,
    count: ordered.length,
    part: (index) => work.part(set, ordered[index] as readonly number[], EVALUATION_EPOCH),
    ...(onPart === undefined ? {} : { onPart }),
  });
}

async function evaluate(work: LoopWork, state: LoopState): Promise<LoopState> {
  const { plan, evaluation } = work;
  if (evaluation === null) return state;
  const start = performance.now();
  const scores = await measure(work, "evaluation", evaluation);
  const value = scores[plan.metric] ?? null;
  if (value === null) {
    throw new EngineError("BAD_INPUT", `the evaluation set has no ${plan.metric}: it needs examples of every class`, {
      where: "data.evaluation",
      fix: "choose another evaluation.metric, or other examples",
    });
  }
  const best = state.best === null || isBetter(plan.metric, value, state.best.value);
  const milliseconds = performance.now() - start;
  const { step, epoch } = state;
  await work.line({ kind: "evaluation", step, epoch, set: "evaluation", scores, best, milliseconds });
  const stale = best ? 0 : state.stale + 1;
  return {
    ...state,
    best: best ? { step, value, scores } : state.best,
    stale,
    ended: plan.patience !== null && stale >= plan.patience ? "patience" : state.ended,
    milliseconds: state.milliseconds + milliseconds,
  };
}

/** One step, and its line. */
async function takeStep(work: LoopWork, state: LoopState): Promise<LoopState> {
  const { trainer, batches, schedule, drop, lengths, seed } = work;
  const { step, epoch } = state;
  const parts = batches.at(state);
  const dropped = drop?.kind === "robust" ? droppedIn(step, drop.layers, seed) : undefined;
  if (dropped !== undefined) drop?.apply(dropped);
  else if (drop !== null) drop.apply(drop.layers);
  const learningRate = learningRateAt(schedule, step);
  const inputs = parts.map((part) => work.part("train", part, epoch));
  const { loss, norm, milliseconds } = await trainer.step(inputs, { learningRate });
  const done = step + 1;
  const examples = parts.flat();
  if (done % work.log === 0 || done === schedule.steps) {
    const tokens = examples.reduce((sum, example) => sum + (lengths[example] as number), 0);
    const about = { loss, norm, learningRate, sequences: examples.length, tokens, milliseconds };
    await work.line({ kind: "step", step: done, epoch, ...about, ...(dropped === undefined ? {} : { dropped }) });
  }
  work.progress(done, note(loss, state));
  const next = batches.after(state);
  return {
    ...state,
    ...next,
    step: done,
    ended: done === schedule.steps ? "steps" : null,
    milliseconds: state.milliseconds + milliseconds,
  };
}

function note(loss: number, { best }: LoopState): string {
  return `loss ${loss.toPrecision(4)}${best === null ? "" : `, best ${best.value.toPrecision(4)} at step ${best.step}`}`;
}

/** Names the step and the last good checkpoint; everything before them is on disk. */
function explained(error: unknown, step: number, last: string | null): unknown {
  if (!(error instanceof EngineError) || error.code !== "DIVERGED") return error;
  const kept = last === null ? "no checkpoint was written yet" : `the last good checkpoint is ${last}`;
  return new EngineError("DIVERGED", `step ${step}: ${error.message}; ${kept}`, {
    where: error.where,
    fix: error.fix,
    cause: error,
  });
}

/** Is the model measured after this step? */
function isMeasured({ plan, evaluation }: LoopWork, { ended, step, at }: LoopState): boolean {
  if (evaluation === null) return false;
  return ended !== null || (plan.every === null ? at === 0 : step % plan.every === 0);
}

/**
 * Trains until the end.
 * @param from the state of a checkpoint, whose trainer is restored already; null for a training that begins
 * @param last that checkpoint
 * @returns the last state
 * @throws EngineError DIVERGED naming the step and the last good checkpoint; the signal's reason after a checkpoint was written
 */
export async function runLoop(work: LoopWork, from: LoopState | null, last: string | null = null): Promise<LoopState> {
  let state = from ?? beginning;
  let kept = last;
  if (state.ended !== null) return state;
  await warmUp(work);
  while (state.ended === null) {
    const { best, step } = state;
    try {
      state = await takeStep(work, state);
      if (isMeasured(work, state)) state = await evaluate(work, state);
    } catch (error) {
      throw explained(error, step + 1, kept);
    }
    const stop = work.signal.aborted;
    if (state.best !== best || state.ended !== null || stop || state.step % work.checkpointEvery === 0)
      kept = await work.checkpoint(state);
    if (stop) work.signal.throwIfAborted();
  }
  return state;
}
