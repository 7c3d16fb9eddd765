/** @file The scores of a model on a set: its logits against the targets, by objective. Float64 on the host. */

import type { ObjectiveKind } from "../config/run.ts";
import { accuracy, confusionOf, largest, macroF1, matthews } from "./classes.ts";
import { labelColumns, meanOver, pearson, rocAuc, spearman } from "./ranking.ts";

/** Every measure there is. */
export type MetricName = "loss" | "accuracy" | "macro-f1" | "matthews" | "roc-auc" | "spearman" | "pearson";

/** Measures by objective. */
export const metricNames: Readonly<Record<ObjectiveKind, readonly MetricName[]>> = {
  "cross-entropy": ["accuracy", "macro-f1", "matthews", "roc-auc", "loss"],
  "binary-cross-entropy": ["roc-auc", "accuracy", "macro-f1", "matthews", "loss"],
  "squared-error": ["spearman", "pearson", "loss"],
  "masked-language-modelling": ["loss"],
};

/** Measures by name; null where the set has none, such as an area under the curve without both classes. */
export type Scores = Readonly<Partial<Record<MetricName, number | null>>>;

/** Is one value of a measure better than another? */
export function isBetter(metric: MetricName, value: number, than: number): boolean {
  return metric === "loss" ? value < than : value > than;
}

/** What a model made of a set. */
export interface Predictions {
  /** [rows, labels] */
  readonly logits: ArrayLike<number>;
  /** A class per row, or [rows, labels] with NaN for what is missing. */
  readonly targets: ArrayLike<number>;
  readonly labels: number;
}

/** log Σ exp of a row, without overflow. */
function logSum(logits: ArrayLike<number>, from: number, count: number): number {
  let most = -Infinity;
  for (let i = from; i < from + count; i += 1) most = Math.max(most, logits[i] as number);
  let sum = 0;
  for (let i = from; i < from + count; i += 1) sum += Math.exp((logits[i] as number) - most);
  return most + Math.log(sum);
}

function classScores({ logits, targets, labels }: Predictions): Scores {
  const confusion = confusionOf(targets, largest(logits, labels), labels);
  let loss = 0;
  for (let row = 0; row < targets.length; row += 1)
    loss += logSum(logits, row * labels, labels) - (logits[row * labels + (targets[row] as number)] as number);
  // Of two classes there is an order: by the difference of the logits.
  const odds =
    labels === 2
      ? Array.from(targets, (_, row) => (logits[2 * row + 1] as number) - (logits[2 * row] as number))
      : null;
  return {
    loss: loss / targets.length,
    accuracy: accuracy(confusion),
    "macro-f1": macroF1(confusion),
    matthews: matthews(confusion),
    ...(odds === null ? {} : { "roc-auc": rocAuc(odds, targets) }),
  };
}

/** −log σ(z) for y = 1, −log σ(−z) for y = 0, and between; the stable form max(z, 0) − z y + log(1 + e^−|z|). */
function binaryLoss(z: number, y: number): number {
  return Math.max(z, 0) - z * y + Math.log1p(Math.exp(-Math.abs(z)));
}

function labelScores({ logits, targets, labels }: Predictions): Scores {
  const columns = labelColumns(logits, targets, labels);
  const measured = columns.filter(({ targets: truth }) => truth.length > 0);
  const confusions = measured.map(({ scores, targets: truth }) =>
    confusionOf(
      truth,
      scores.map((z) => (z > 0 ? 1 : 0)),
      2,
    ),
  );
  const each = (measure: (confusion: ReturnType<typeof confusionOf>) => number): number => {
    const found = confusions.map(measure).filter((value) => !Number.isNaN(value));
    return found.reduce((sum, value) => sum + value, 0) / found.length;
  };
  return {
    loss: meanLoss(columns, binaryLoss),
    accuracy: each(accuracy),
    "macro-f1": each(macroF1),
    matthews: each(matthews),
    "roc-auc": meanOver(columns, (column) => rocAuc(column.scores, column.targets)),
  };
}

/** Over all targets that are there, not label by label. */
function meanLoss(columns: ReturnType<typeof labelColumns>, loss: (z: number, y: number) => number): number {
  const all = columns.flatMap(({ scores, targets }) => scores.map((z, row) => loss(z, targets[row] as number)));
  return all.reduce((sum, value) => sum + value, 0) / all.length;
}

function valueScores({ logits, targets, labels }: Predictions): Scores {
  const columns = labelColumns(logits, targets, labels);
  return {
    loss: meanLoss(columns, (z, y) => (z - y) ** 2),
    spearman: meanOver(columns, ({ scores, targets: truth }) => spearman(scores, truth)),
    pearson: meanOver(columns, ({ scores, targets: truth }) => pearson(scores, truth)),
  };
}

/** Objectives whose logits are scored. */
export type ScoredObjective = Exclude<ObjectiveKind, "masked-language-modelling">;

const BY_OBJECTIVE: Readonly<Record<ScoredObjective, (predictions: Predictions) => Scores>> = {
  "cross-entropy": classScores,
  "binary-cross-entropy": labelScores,
  "squared-error": valueScores,
};

/**
 * Scores logits. With several labels each measure but the loss is a mean over labels, those without a value left out; the loss is a mean
 * over all targets that are not missing, without label smoothing. Binary labels are said to hold above a logit of 0.
 */
export function scoresOf(objective: ScoredObjective, predictions: Predictions): Scores {
  const scores = Object.entries(BY_OBJECTIVE[objective](predictions));
  return Object.fromEntries(scores.map(([name, value]) => [name, Number.isFinite(value) ? value : null]));
}
