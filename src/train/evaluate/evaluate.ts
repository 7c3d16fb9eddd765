/** @file Measuring a model on a set, part by part. */

import { EngineError } from "../../errors.ts";
import type { ObjectiveKind } from "../config/run.ts";
import { scoresOf } from "./scores.ts";
import type { ScoredObjective, Scores } from "./scores.ts";
import type { StepPart, Trainer } from "../trainer.ts";

/** What evaluating needs of a trainer. */
export type Evaluator = Pick<Trainer, "evaluate">;

/** What is measured. */
export interface EvaluationSet {
  readonly objective: ObjectiveKind;
  /** Classes or labels of the head. */
  readonly labels: number;
  /** How many parts there are; each is made when it is its turn. */
  readonly count: number;
  readonly part: (index: number) => StepPart;
  /** Called after every part. */
  readonly onPart?: () => void;
}

/** The loss alone: the logits of every token would be many. */
async function maskedLoss(trainer: Evaluator, set: EvaluationSet): Promise<Scores> {
  let [sum, count] = [0, 0];
  for (let index = 0; index < set.count; index += 1) {
    const found = await trainer.evaluate(set.part(index));
    sum += found.loss * found.count;
    count += found.count;
    set.onPart?.();
  }
  return { loss: sum / count };
}

async function headScores(trainer: Evaluator, set: EvaluationSet, objective: ScoredObjective): Promise<Scores> {
  const logits: Float32Array[] = [];
  const targets: number[] = [];
  for (let index = 0; index < set.count; index += 1) {
    const part = set.part(index);
    logits.push((await trainer.evaluate(part)).logits);
    for (const target of part.targets) targets.push(target);
    set.onPart?.();
  }
  const all = new Float64Array(logits.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const some of logits) {
    all.set(some, at);
    at += some.length;
  }
  const bad = all.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw diverged(`logit ${bad % set.labels} of row ${Math.floor(bad / set.labels)}`, all[bad] as number);
  return scoresOf(objective, { logits: all, targets, labels: set.labels });
}

function diverged(what: string, value: number): EngineError {
  return new EngineError("DIVERGED", `on the evaluation set ${what} is ${value}`, {
    where: "train.evaluate",
    fix: "lower the learning rate, or clip the gradient",
  });
}

/**
 * Measures the model as it stands.
 * @throws EngineError DIVERGED for numbers that are not finite
 */
export async function evaluateSet(trainer: Evaluator, set: EvaluationSet): Promise<Scores> {
  if (set.objective !== "masked-language-modelling") return headScores(trainer, set, set.objective);
  const scores = await maskedLoss(trainer, set);
  if (!Number.isFinite(scores.loss)) throw diverged("the loss", scores.loss as number);
  return scores;
}
