/** @file How a training goes: objective, optimiser, schedule, batches, length, evaluation, checkpoints. */

import type { FusionDropout } from "../../adapters/evaluate/dropout.ts";
import {
  listField,
  numberField,
  objectField,
  optionalField,
  refuseField,
  wholeField,
  wordField,
} from "../../inputs/fields.ts";
import { metricNames } from "../evaluate/scores.ts";
import type { MetricName } from "../evaluate/scores.ts";
import type { OptimizerSettings } from "../optimizer.ts";
import { checkSchedule } from "../schedule.ts";
import type { Schedule } from "../schedule.ts";

/** What a training makes small. */
export const objectiveKinds = [
  "cross-entropy",
  "binary-cross-entropy",
  "squared-error",
  "masked-language-modelling",
] as const;
/** One of them. */
export type ObjectiveKind = (typeof objectiveKinds)[number];

/** An objective. */
export interface ObjectivePlan {
  readonly kind: ObjectiveKind;
  readonly labelSmoothing: number;
}

/** A schedule whose steps are not counted yet. */
export interface SchedulePlan {
  readonly kind: Schedule["kind"];
  readonly learningRate: number;
  /** Steps from 1 on, or a share of all of them below 1. */
  readonly warmup: number;
  readonly final: number;
}

/** Bounds of a part, and parts of a step. */
export interface BatchPlan {
  readonly sequences: number | null;
  readonly tokens: number | null;
  readonly accumulate: number;
}

/** How long a training is. */
export type LengthPlan = { readonly epochs: number } | { readonly steps: number };

/** AdapterDrop (MATHS §2.6): the same lowest layers in every step, or 0 to layers − 1 of them, drawn per step. */
export interface DropPlan {
  readonly kind: "specialised" | "robust";
  /** Null for robust: as many as the host has. */
  readonly layers: number | null;
}

/** When and how the model is measured. */
export interface EvaluationPlan {
  /** Steps; null: at the end of every epoch. */
  readonly every: number | null;
  readonly metric: MetricName;
  /** Evaluations without a better one after which a training ends; null: never. */
  readonly patience: number | null;
  /** Numbers of lowest layers without adapters with which the finished model is tested as well. */
  readonly dropped: readonly number[];
  /** Numbers of adapters that the fusion keeps, the most active ones of every place, with which the finished model is tested as well. */
  readonly pruned: readonly number[];
}

/** When the state is written. */
export interface CheckpointPlan {
  /** Steps; evaluations that are the best so far are written as well. */
  readonly every: number;
}

/** The objective, cross-entropy where nothing is said. */
export function objectiveField(value: unknown): ObjectivePlan {
  const fields = objectField(typeof value === "string" ? { kind: value } : (value ?? {}), "objective", [
    "kind",
    "labelSmoothing",
  ]);
  const kind = wordField(fields.kind ?? "cross-entropy", "objective.kind", objectiveKinds);
  const smoothing = numberField(fields.labelSmoothing ?? 0, "objective.labelSmoothing", 0);
  if (smoothing > 0 && kind !== "cross-entropy")
    refuseField("objective.labelSmoothing", smoothing, `0: ${kind} has no label smoothing`);
  if (smoothing >= 1) refuseField("objective.labelSmoothing", smoothing, "a share below 1");
  return { kind, labelSmoothing: smoothing };
}

/** A share from 0 to below 1. */
export function shareField(value: unknown, where: string): number {
  const share = numberField(value, where, 0);
  return share < 1 ? share : refuseField(where, value, "a number from 0 to below 1");
}

/** The optimiser, AdamW where nothing is said. */
export function optimizerField(value: unknown): OptimizerSettings {
  const known = ["kind", "beta1", "beta2", "epsilon", "momentum", "weightDecay", "clip"];
  const all = objectField(value ?? {}, "optimizer", known);
  const kind = wordField(all.kind ?? "adamw", "optimizer.kind", ["adamw", "sgd"]);
  const own = kind === "adamw" ? ["beta1", "beta2", "epsilon"] : ["momentum"];
  const fields = objectField(all, "optimizer", ["kind", ...own, "weightDecay", "clip"]);
  const clip = fields.clip === undefined ? 1 : optionalField(fields.clip, "optimizer.clip", numberField);
  if (clip !== null && clip <= 0) refuseField("optimizer.clip", clip, "a number above 0, or null");
  const weightDecay = numberField(fields.weightDecay ?? (kind === "adamw" ? 0.01 : 0), "optimizer.weightDecay", 0);
  if (kind === "sgd") {
    return { kind, weightDecay, clip, momentum: shareField(fields.momentum ?? 0.9, "optimizer.momentum") };
  }
  const epsilon = numberField(fields.epsilon ?? 1e-8, "optimizer.epsilon", 0);
  return {
    kind,
    weightDecay,
    clip,
    beta1: shareField(fields.beta1 ?? 0.9, "optimizer.beta1"),
    beta2: shareField(fields.beta2 ?? 0.999, "optimizer.beta2"),
    epsilon: epsilon > 0 ? epsilon : refuseField("optimizer.epsilon", epsilon, "a number above 0"),
  };
}

/** The schedule, linear decay from 1e-4 where nothing is said. */
export function scheduleField(value: unknown): SchedulePlan {
  const fields = objectField(value ?? {}, "schedule", ["kind", "learningRate", "warmup", "final"]);
  const warmup = numberField(fields.warmup ?? 0, "schedule.warmup", 0);
  if (warmup >= 1) wholeField(warmup, "schedule.warmup", 1);
  const plan = {
    kind: wordField(fields.kind ?? "linear", "schedule.kind", ["constant", "linear", "cosine"]),
    learningRate: numberField(fields.learningRate ?? 1e-4, "schedule.learningRate"),
    warmup,
    final: numberField(fields.final ?? 0, "schedule.final"),
  };
  checkSchedule({ ...plan, warmup: 0, steps: 1 });
  return plan;
}

/**
 * The schedule of so many steps.
 * @throws EngineError BAD_CONFIG for a warm-up that is longer than the training
 */
export function scheduleOf({ warmup, ...plan }: SchedulePlan, steps: number): Schedule {
  return checkSchedule({ ...plan, steps, warmup: warmup < 1 ? Math.round(warmup * steps) : warmup });
}

/** Bounds of batches, 16 sequences where nothing is said. */
export function batchField(value: unknown): BatchPlan {
  const fields = objectField(value ?? {}, "batch", ["sequences", "tokens", "accumulate"]);
  const bound = (field: "sequences" | "tokens"): number | null =>
    optionalField(fields[field], `batch.${field}`, (most, where) => wholeField(most, where, 1));
  const tokens = bound("tokens");
  const sequences = bound("sequences") ?? (tokens === null ? 16 : null);
  return { sequences, tokens, accumulate: wholeField(fields.accumulate ?? 1, "batch.accumulate", 1) };
}

/** Epochs or steps, 10 epochs where nothing is said. */
export function lengthField(epochs: unknown, steps: unknown): LengthPlan {
  if (epochs !== undefined && steps !== undefined) refuseField("epochs", epochs, "nothing beside steps");
  return steps === undefined
    ? { epochs: wholeField(epochs ?? 10, "epochs", 1) }
    : { steps: wholeField(steps, "steps", 1) };
}

/** AdapterDrop. */
export function dropField(value: unknown): DropPlan {
  const fields = objectField(value, "adapterDrop", ["kind", "layers"]);
  const kind = wordField(fields.kind, "adapterDrop.kind", ["specialised", "robust"]);
  const layers = optionalField(fields.layers, "adapterDrop.layers", (count, where) => wholeField(count, where, 1));
  if (kind === "specialised" && layers === null) refuseField("adapterDrop.layers", undefined, "a number of layers");
  return { kind, layers };
}

/** Fusion dropout (MATHS §2.6): whole adapters are left out of the fusions that are trained. */
export function fusionDropoutField(value: unknown, where: string): FusionDropout {
  const fields = objectField(value, where, ["rate", "reading", "by"]);
  return {
    rate: shareField(fields.rate, `${where}.rate`),
    reading: wordField(fields.reading ?? "each", `${where}.reading`, ["each", "count"]),
    by: wordField(fields.by ?? "batch", `${where}.by`, ["batch", "sequence"]),
  };
}

const MAIN: Readonly<Record<ObjectiveKind, MetricName>> = {
  "cross-entropy": "accuracy",
  "binary-cross-entropy": "roc-auc",
  "squared-error": "spearman",
  "masked-language-modelling": "loss",
};

/** Evaluation, once per epoch where nothing is said. */
export function evaluationField(value: unknown, objective: ObjectiveKind): EvaluationPlan {
  const fields = objectField(value ?? {}, "evaluation", ["every", "metric", "patience", "dropped", "pruned"]);
  const count = (field: "every" | "patience"): number | null =>
    optionalField(fields[field], `evaluation.${field}`, (steps, where) => wholeField(steps, where, 1));
  const counts = (field: "dropped" | "pruned", least: number): readonly number[] =>
    optionalField(fields[field], `evaluation.${field}`, (list, where) =>
      listField(list, where, (one, at) => wholeField(one, at, least)),
    ) ?? [];
  return {
    every: count("every"),
    metric: wordField(fields.metric ?? MAIN[objective], "evaluation.metric", metricNames[objective]),
    patience: count("patience"),
    dropped: counts("dropped", 0),
    pruned: counts("pruned", 1),
  };
}

/** Checkpoints, every 100 steps where nothing is said. */
export function checkpointField(value: unknown): CheckpointPlan {
  const fields = objectField(value ?? {}, "checkpoint", ["every"]);
  return { every: wholeField(fields.every ?? 100, "checkpoint.every", 1) };
}
