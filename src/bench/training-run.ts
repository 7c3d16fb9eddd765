/**
 * @file One way to train on the bench: its gradient checked against its loss, its step timed, its bytes counted.
 *
 * The check: along its own gradient g a loss grows by ‖g‖² per unit, so (L(w + ηg) − L(w − ηg)) / 2η must be ‖g‖². Both losses come from
 * the forward pass alone. A part of g that is wrong by e gives g·(g − e) in place of ‖g‖², unless e happens to be at right angles to g.
 */

import type { Comparison } from "../cases/check.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Explanation } from "../graph/explain.ts";
import type { LaunchTime } from "../graph/launch-times.ts";
import type { Model } from "../model/model.ts";
import type { TrainerState } from "../train/state.ts";
import { Trainer } from "../train/trainer.ts";
import type { StepPart, TrainerOptions } from "../train/trainer.ts";
import type { Candidate } from "./harness.ts";
import { HEAD, trainingBatch, trainingModel } from "./training-forms.ts";
import type { TrainingForm, TrainingSizes } from "./training-forms.ts";

const SHARED = { head: HEAD, objective: { kind: "cross-entropy" }, dropout: null } as const;
const ADAMW = { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 } as const;
const SGD = { kind: "sgd", momentum: 0, weightDecay: 0, clip: null } as const;
/** Small: the timed steps are all over nearly the same weights. */
const RATE = 1e-6;
/** The share of the loss that the check moves it by. */
const MOVED = 0.02;
const TOLERANCE = 1e-3;

interface RunParts {
  readonly model: Model;
  readonly trainer: Trainer;
  readonly part: StepPart;
  readonly checked: Comparison;
}

/** A form with its model and its trainer. */
export class TrainingRun implements Candidate {
  readonly name: string;
  /** Bytes that training takes on the GPU beyond what running the batch takes: gradients, states, what the backward pass keeps. */
  readonly bytes: number;
  readonly #parts: RunParts;

  private constructor(name: string, bytes: number, parts: RunParts) {
    this.name = name;
    this.bytes = bytes;
    this.#parts = parts;
  }

  /** Makes the model, checks its gradient and takes the first step. */
  static async create(gpu: Gpu, { name, prepare }: TrainingForm, sizes: TrainingSizes): Promise<TrainingRun> {
    const model = await trainingModel(gpu, sizes);
    const { ids, targets } = trainingBatch(sizes);
    const part = { input: { ids }, targets };
    const train = await prepare(model, sizes);
    await model.run(part.input, { outputs: [`heads.${HEAD}`] });
    const running = gpu.memory.bytes;
    const checked = await check(model, { ...SHARED, train, optimizer: SGD }, part);
    const trainer = await Trainer.create(model, { ...SHARED, train, optimizer: ADAMW });
    await trainer.step([part], { learningRate: RATE });
    return new TrainingRun(name, gpu.memory.bytes - running, { model, trainer, part, checked });
  }

  verify(): Promise<Comparison> {
    return Promise.resolve(this.#parts.checked);
  }

  /** One step: forward, backward, update. Wall time: a step is two submissions with the host between them. */
  async run(): Promise<number> {
    const { trainer, part } = this.#parts;
    const { milliseconds } = await trainer.step([part], { learningRate: RATE });
    return milliseconds;
  }

  explain(): Promise<Explanation> {
    return this.#parts.trainer.explain(this.#parts.part);
  }

  profile(): Promise<readonly LaunchTime[]> {
    return this.#parts.trainer.profile(this.#parts.part);
  }

  async dispose(): Promise<void> {
    await this.#parts.trainer.dispose();
    await this.#parts.model.dispose();
  }
}

/** As far on the other side of `middle` as `from` is on this one. */
function mirrored(middle: TrainerState, from: TrainerState): TrainerState {
  const tensors = Object.entries(middle.tensors).map(([name, data]) => {
    const other = from.tensors[name] as Float32Array;
    return [name, data.map((value, i) => 2 * value - (other[i] as number))] as const;
  });
  return { ...middle, tensors: Object.fromEntries(tensors) };
}

/** Compares the slope of the loss along the gradient with the square of the gradient's norm. */
async function check(model: Model, options: TrainerOptions, part: StepPart): Promise<Comparison> {
  const trainer = await Trainer.create(model, options);
  try {
    const start = await trainer.save();
    const { loss, norm } = await trainer.step([part], { learningRate: 0 });
    const learningRate = (MOVED * loss) / norm ** 2;
    await trainer.step([part], { learningRate });
    const { loss: below } = await trainer.evaluate(part);
    await trainer.restore(mirrored(start, await trainer.save()));
    const { loss: above } = await trainer.evaluate(part);
    await trainer.restore(start);
    const slope = (above - below) / (2 * learningRate);
    const error = Math.abs(slope / norm ** 2 - 1);
    const detail = `slope along the gradient ${slope}, its squared norm ${norm ** 2}`;
    return { ok: error <= TOLERANCE, error, tolerance: TOLERANCE, detail };
  } finally {
    await trainer.dispose();
  }
}
