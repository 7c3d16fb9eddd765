/** @file What a sweep measures: answers that a metric reads off a run, compared with labels and with the dense model's. */

import type { RunOptions, RunOutput, Tensor } from "../model/types.ts";
import { EngineError } from "../errors.ts";
import type { DenseBatch, SweepBatch } from "./batch.ts";
import type { SweepTask } from "./config.ts";
import { mapAtoms } from "./reaction.ts";
import type { Attention } from "./reaction.ts";

/** A metric: what a run must give for it, and how it is read off. */
export interface Metric {
  /** The measure that tables and plots show first. */
  readonly main: string;
  /** Whether more of it is better. */
  readonly ascending: boolean;
  /** The value whose distance from the dense model is measured; null: the final hidden states. */
  readonly stream: string | null;
  readonly outputs: readonly string[];
  readonly capture: readonly string[];
  /** One whole number per thing that is judged: a class per sequence, or a reactant atom per product atom. */
  readonly answers: (batch: SweepBatch, output: RunOutput) => Int32Array;
  /** Counts right answers over all batches; −1 among the dense answers is nothing that can be judged. */
  readonly measures: (tally: Tally) => Readonly<Record<string, number>>;
}

/** Counts over all batches of a point. */
export interface Tally {
  readonly judged: number;
  readonly right: number;
  readonly labelled: number;
  readonly asDense: number;
}

/**
 * The distance to the dense model, which every sweep reports: ‖h − h₀‖ / ‖h₀‖ over all hidden states at the end, or at the input of the
 * layer that the answers are read off.
 */
export const HIDDEN_ERROR = "hidden-error";

/** The mean of |confidence − published confidence|. */
export const CONFIDENCE_ERROR = "confidence-error";

const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

const none: Metric = {
  main: HIDDEN_ERROR,
  ascending: false,
  stream: null,
  outputs: [],
  capture: [],
  answers: () => new Int32Array(0),
  measures: () => ({}),
};

function largest(data: Float32Array, row: number, width: number): number {
  let best = 0;
  for (let column = 1; column < width; column += 1) {
    if ((data[row * width + column] as number) > (data[row * width + best] as number)) best = column;
  }
  return best;
}

function accuracy(head: string): Metric {
  return {
    main: "accuracy",
    ascending: true,
    stream: null,
    outputs: [`heads.${head}`],
    capture: [],
    answers: ({ rows }, { heads }) => {
      const { data, shape, segments } = heads[head] as Tensor;
      const [count = 0, width = 0] = shape;
      if (count !== rows.length || segments !== undefined) {
        const message = `the head ${head} gives ${count} rows for ${rows.length} sequences; accuracy needs one each`;
        throw new EngineError("BAD_CONFIG", message, { where: "task.head", fix: "name a classification head" });
      }
      return Int32Array.from({ length: count }, (_, row) => largest(data, row, width));
    },
    measures: ({ right, labelled, asDense, judged }) => ({
      accuracy: share(right, labelled),
      agreement: share(asDense, judged),
    }),
  };
}

/** @returns the name of the value that holds a layer's attention. */
export function probabilitiesOf(layer: number): string {
  return `layers.${layer}.attention.probabilities`;
}

/** @returns one head of captured attention, sequence by sequence. */
export function attentionOf(output: RunOutput, layer: number, head: number): Attention[] {
  const tensors = output.captures[probabilitiesOf(layer)] as readonly Tensor[];
  return tensors.map(({ data, shape }) => {
    const [, queries = 0, keys = 0] = shape;
    return (query, key) => data[(head * queries + query) * keys + key] as number;
  });
}

function mapping({ layer, head }: Extract<SweepTask, { metric: "mapping-agreement" }>): Metric {
  return {
    main: "mapping-agreement",
    ascending: true,
    // Nothing behind that layer's attention is read, so nothing behind it is computed.
    stream: `layers.${layer}.input`,
    outputs: [],
    capture: [probabilitiesOf(layer)],
    answers: ({ atoms }, output) => {
      const attention = attentionOf(output, layer, head);
      return Int32Array.from((atoms ?? []).flatMap((own, index) => mapAtoms(own, attention[index] as Attention)));
    },
    measures: ({ asDense, judged }) => ({ "mapping-agreement": share(asDense, judged) }),
  };
}

/** @returns what a run is asked for, so that answers and hidden states can be read off it. */
export function askedFor({ stream, outputs, capture }: Metric): Required<Pick<RunOptions, "outputs" | "capture">> {
  if (stream === null) return { outputs: ["hidden", ...outputs], capture };
  return { outputs, capture: [stream, ...capture] };
}

/** @returns the hidden states of which the distance is measured. */
export function hiddenOf({ stream }: Metric, { hidden, captures }: RunOutput): Float32Array {
  return ((stream === null ? hidden : captures[stream]) as Tensor).data;
}

/** @returns the metric of a task. */
export function metricOf(task: SweepTask): Metric {
  if (task.metric === "accuracy") return accuracy(task.head);
  return task.metric === "mapping-agreement" ? mapping(task) : none;
}

/** Adds one batch to the counts. */
export function tallied(tally: Tally, { labels }: SweepBatch, dense: DenseBatch, answers: Int32Array): Tally {
  let { judged, right, labelled, asDense } = tally;
  answers.forEach((answer, index) => {
    const expected = dense.answers[index] as number;
    if (expected >= 0) {
      judged += 1;
      if (answer === expected) asDense += 1;
    }
    if (labels !== null) {
      labelled += 1;
      if (answer === labels[index]) right += 1;
    }
  });
  return { judged, right, labelled, asDense };
}
