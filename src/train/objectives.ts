/** @file Losses over a model's heads: cross-entropy of classes, binary cross-entropy of many labels, squared error. */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { binaryCrossEntropy } from "../ops/binary-cross-entropy.ts";
import { crossEntropy, noLabel } from "../ops/cross-entropy.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { meanOf } from "../ops/mean-of.ts";
import { runtimeDim } from "../ops/op.ts";
import type { RuntimeDim } from "../ops/op.ts";
import { squaredError } from "../ops/squared-error.ts";
import type { Objective } from "./step-graph.ts";

/** What a training makes small. */
export type ObjectiveSettings =
  | { readonly kind: "cross-entropy"; readonly labelSmoothing?: number }
  | { readonly kind: "binary-cross-entropy" }
  | { readonly kind: "squared-error" };

/** Name of the run-time input that holds what the head should give: labels u32 [rows], or targets f32 [rows, labels]. */
export const TARGETS = "train.targets";

/** Name of the run-time input that holds how many targets take part in a whole batch, which may be run in parts: u32 [1]. */
export const DIVISOR = "train.divisor";

function need(results: ReadonlyMap<string, Value>, name: string): Value {
  const value = results.get(name);
  if (value !== undefined) return value;
  throw new EngineError("UNKNOWN_NAME", `the model gives no ${name}`, { where: "train.head" });
}

/** Name of the run-time input that holds the rows that a head of tokens is applied to: u32 [labelled rows]. */
export const HEAD_ROWS = "train.rows";

/** How many rows {@link HEAD_ROWS} names, a run-time number. */
export const HEAD_ROW_COUNT: RuntimeDim = runtimeDim("train.rows");

/** Of all rows [rows, d] those whose targets take part: the others are not worth a vocabulary of logits. */
export function labelledRows(b: GraphBuilder, hidden: Value): Value {
  return b.op(gatherRows, { x: hidden, rows: b.input(HEAD_ROWS, [HEAD_ROW_COUNT], "u32") }, {}).y as Value;
}

/**
 * The mean loss of a head over the targets that take part.
 * @param output the head's name among a model's results: `heads.default`, or `heads #0` of the first added one
 */
export function objectiveOf(settings: ObjectiveSettings, output: string): Objective {
  return (b: GraphBuilder, results) => {
    const logits = need(results, output);
    const divisor = b.input(DIVISOR, [1], "u32");
    const mean = (x: Value, mask: Readonly<Record<string, Value>>): Value =>
      b.op(meanOf, { x, ...mask, divisor }, {}).y as Value;
    if (settings.kind === "cross-entropy") {
      const labels = b.input(TARGETS, logits.type.shape.slice(0, 1), "u32");
      const attributes = { labelSmoothing: settings.labelSmoothing };
      return mean(b.op(crossEntropy, { logits, labels }, attributes).losses as Value, { labels });
    }
    const targets = b.input(TARGETS, logits.type.shape);
    const losses =
      settings.kind === "squared-error"
        ? b.op(squaredError, { predictions: logits, targets }, {}).losses
        : b.op(binaryCrossEntropy, { logits, targets }, {}).losses;
    return mean(losses as Value, { targets });
  };
}

/** What a head should give for a batch: a label per row, or `labels` targets per row, of which NaN are missing. */
export type Targets = readonly number[] | Float32Array | Uint32Array;

/** A label of a row that takes no part. */
export const NO_LABEL = -1;

function refuse(message: string, index: number): never {
  throw new EngineError("BAD_INPUT", message, { where: `targets[${index}]`, fix: "check the data" });
}

/**
 * Checks targets and packs them.
 * @param shape labels of the head, rows of the batch
 * @returns the array of {@link TARGETS}, and how many take part
 * @throws EngineError BAD_INPUT naming the first that no head of this shape can give
 */
export function targetsOf(
  { kind }: ObjectiveSettings,
  targets: Targets,
  { labels, rows }: { readonly labels: number; readonly rows: number },
): { readonly data: Float32Array | Uint32Array; readonly count: number } {
  const expected = kind === "cross-entropy" ? rows : rows * labels;
  if (targets.length !== expected)
    throw new EngineError("BAD_INPUT", `${targets.length} targets are given, the batch has ${expected}`, {
      where: "targets",
    });
  let count = 0;
  if (kind === "cross-entropy") {
    const data = Uint32Array.from(targets, (label, index) => {
      if (label === NO_LABEL) return noLabel;
      if (!(Number.isInteger(label) && label >= 0 && label < labels))
        refuse(`label ${index} is ${label}, the head has ${labels} labels`, index);
      count += 1;
      return label;
    });
    return { data, count };
  }
  const data = Float32Array.from(targets, (value, index) => {
    if (Number.isNaN(value)) return Number.NaN;
    if (!Number.isFinite(value)) refuse(`target ${index} is ${value}`, index);
    if (kind === "binary-cross-entropy" && !(value >= 0 && value <= 1))
      refuse(`target ${index} is ${value}, expected 0, 1 or a number between`, index);
    count += 1;
    return value;
  });
  return { data, count };
}

/** Of the targets of every row those that take part, packed, and their rows. */
export function labelledTargets(
  settings: ObjectiveSettings,
  targets: Targets,
  shape: { readonly labels: number; readonly rows: number },
): { readonly data: Float32Array | Uint32Array; readonly count: number; readonly rows: Uint32Array } {
  const { data, count } = targetsOf(settings, targets, shape);
  const width = settings.kind === "cross-entropy" ? 1 : shape.labels;
  const missing = (value: number): boolean =>
    settings.kind === "cross-entropy" ? value === noLabel : Number.isNaN(value);
  const taken: number[] = [];
  for (let row = 0; row < shape.rows; row += 1)
    if (data.subarray(row * width, (row + 1) * width).some((value: number) => !missing(value))) taken.push(row);
  const packed = data instanceof Uint32Array ? new Uint32Array(taken.length) : new Float32Array(taken.length * width);
  taken.forEach((row, at) => packed.set(data.subarray(row * width, (row + 1) * width), at * width));
  return { data: packed, count, rows: Uint32Array.from(taken) };
}
