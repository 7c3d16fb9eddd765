/** @file A trainer without a device: a few weights, momentum and noise that follows from the number of passes. */

import { EngineError } from "../../src/errors.ts";
import { philox } from "../../src/random.ts";
import { Batches, cutParts } from "../../src/train/batches.ts";
import type { BatchPlan } from "../../src/train/config/run.ts";
import type { LoopTrainer, LoopWork } from "../../src/train/loop.ts";
import type { LoopState } from "../../src/train/loop-state.ts";
import type { MetricsLine, StepLine } from "../../src/train/metrics.ts";
import type { EvaluationReport, StepPart, StepReport } from "../../src/train/trainer.ts";
import type { TrainerState } from "../../src/train/state.ts";

/** The line of a step, which took so many milliseconds. */
export function stepLine(step: number, milliseconds: number = step): StepLine {
  return { kind: "step", step, epoch: 0, loss: 1, norm: 1, learningRate: 1, sequences: 1, tokens: 1, milliseconds };
}

/** Examples are numbers; the model is one weight that is to meet their mean, and one that remembers everything. */
export class FakeTrainer implements LoopTrainer {
  weights: Float32Array = Float32Array.of(0, 1);
  momentum: Float32Array = Float32Array.of(0, 0);
  passes = 0;
  /** The pass at which the loss is not finite; null for never. */
  breaksAt: number | null = null;
  /** Steps of a rate above 0: those of the warm-up leave nothing behind. */
  steps = 0;

  async step(batch: readonly StepPart[], { learningRate }: { learningRate: number }): Promise<StepReport> {
    let gradient = 0;
    let loss = 0;
    for (const { targets } of batch) {
      if (this.passes === this.breaksAt) throw new EngineError("DIVERGED", "the loss is NaN", { where: "train.step" });
      const [noise] = philox([this.passes, 0, 0, 0], [7, 7]);
      this.passes += 1;
      for (const target of targets) {
        const error = (this.weights[0] as number) - target + noise / 2 ** 33 - 0.25;
        gradient += error;
        loss += error ** 2;
      }
    }
    if (learningRate > 0) this.steps += 1;
    this.momentum = Float32Array.of(0.9 * (this.momentum[0] as number) + gradient, this.passes);
    this.weights = Float32Array.of(
      (this.weights[0] as number) - learningRate * (this.momentum[0] as number),
      Math.fround((this.weights[1] as number) * 1.1 + gradient * learningRate),
    );
    return { loss, norm: Math.abs(gradient), milliseconds: 1 };
  }

  /** Two classes: the second one where the target is below the weight. */
  async evaluate({ targets }: StepPart): Promise<EvaluationReport> {
    const logits = Float32Array.from(Array.from(targets).flatMap(() => [0.5, this.weights[0] as number]));
    return { loss: 0, count: targets.length, logits, rows: null };
  }

  async save(): Promise<TrainerState> {
    const tensors = { "fake/weights": this.weights.slice(), "fake/momentum": this.momentum.slice() };
    return { tensors, updates: { fake: this.steps }, passes: this.passes };
  }

  async restore({ tensors, updates, passes }: TrainerState): Promise<void> {
    this.weights = (tensors["fake/weights"] as Float32Array).slice();
    this.momentum = (tensors["fake/momentum"] as Float32Array).slice();
    this.steps = updates.fake as number;
    this.passes = passes;
  }
}

/** What a loop wrote. */
export interface Written {
  readonly lines: MetricsLine[];
  readonly saved: { readonly state: LoopState; readonly trainer: TrainerState }[];
  readonly dropped: number[];
}

/** Lengths of eleven examples, ragged. */
export const lengths: readonly number[] = [3, 5, 2, 7, 4, 4, 6, 1, 9, 3, 5];

/** A loop over a fake trainer that keeps what it would write. */
export function fakeWork(
  trainer: FakeTrainer,
  changes: Partial<LoopWork> = {},
  batch: BatchPlan = { sequences: 3, tokens: 12, accumulate: 2 },
): { work: LoopWork; written: Written } {
  const written: Written = { lines: [], saved: [], dropped: [] };
  const work: LoopWork = {
    trainer,
    batches: new Batches({ lengths, batch, seed: 5 }),
    lengths,
    evaluation: { lengths: [2, 2, 2], parts: cutParts([0, 1, 2], [2, 2, 2], { sequences: 2, tokens: null }) },
    part: (set, examples) => ({
      input: {},
      targets: set === "train" ? examples.map((one) => one / 10) : examples.map(() => 1),
    }),
    objective: "cross-entropy",
    labels: 2,
    schedule: { kind: "linear", learningRate: 0.02, warmup: 2, steps: 20 },
    plan: { every: 4, metric: "accuracy", patience: null },
    checkpointEvery: 3,
    log: 1,
    seed: 5,
    drop: null,
    signal: new AbortController().signal,
    line: async (line) => {
      written.lines.push(line);
    },
    checkpoint: async (state) => {
      written.saved.push({ state, trainer: await trainer.save() });
      return `step ${state.step}`;
    },
    progress: () => undefined,
    ...changes,
  };
  return { work, written };
}
