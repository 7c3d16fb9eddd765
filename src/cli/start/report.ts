/** @file What the main job shows: sentence by sentence, task by task, and the routing as a page. */

import type { ReportRow } from "../../bench/report.ts";
import { timingFields } from "../../bench/report.ts";
import type { TaskResult } from "../../bench/task-run.ts";
import type { Model } from "../../model/model.ts";
import { makeTrace } from "../../routing/trace.ts";
import type { SequenceTrace, TraceHead } from "../../routing/trace.ts";
import type { Example, StartTask } from "./tasks.ts";
import { formatPercent, formatTable } from "../text.ts";

/** A task, the sentences that it was shown, and what came out. */
export interface ShownTask {
  readonly task: StartTask;
  readonly examples: readonly Example[];
  readonly result: TaskResult;
  /** Tokens of every sentence. */
  readonly tokens: readonly (readonly string[])[];
}

/** Tokens on the heavy path per sentence, as a mean over the routed layers. */
function heavyTokens({ result, tokens }: ShownTask): number[] {
  const layers = (result.routed.output.routing ?? []).flatMap((layer) => (layer === null ? [] : [layer]));
  let end = 0;
  return tokens.map(({ length }) => {
    const from = end;
    end += length;
    const counts = layers.map(({ selected }) => selected.filter((row) => row >= from && row < end).length);
    return counts.reduce((sum, count) => sum + count, 0) / counts.length;
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Every sentence with its label and both answers; a wrong one is named. */
export function sentenceTable(shown: ShownTask): string {
  const { task, examples, result, tokens } = shown;
  const heavy = heavyTokens(shown);
  const answer = (predicted: number | undefined, label: string): string => {
    const said = task.labels[predicted ?? -1] ?? "?";
    return said === label ? "right" : `wrong: ${said}`;
  };
  const lines = examples.map(({ text, label }, index) => [
    text,
    label,
    answer(result.dense.predicted[index], label),
    answer(result.routed.predicted[index], label),
    `${(heavy[index] as number).toFixed(0)} of ${tokens[index]?.length}`,
  ]);
  const header = ["sentence", "label", "dense", "routed", "heavy tokens"];
  return formatTable([header, ...lines], ["left", "left", "left", "left", "right"]);
}

function rightOf({ task, examples }: ShownTask, predicted: ArrayLike<number>): number {
  return examples.filter(({ label }, index) => task.labels[predicted[index] as number] === label).length;
}

/** A row for the dense form of a task and one for the routed form. */
export function taskRows(shown: ShownTask): ReportRow[] {
  const { task, examples, result, tokens } = shown;
  const { dense, routed, speedUp } = result;
  const total = sum(tokens.map(({ length }) => length));
  const row = (form: "dense" | "routed", cells: ReportRow["cells"]): ReportRow => {
    const { predicted, timing } = form === "dense" ? dense : routed;
    const right = rightOf(shown, predicted);
    return {
      suite: "start",
      name: `${task.name} ${form}`,
      key: { task: task.name, form, sentences: examples.length, right, tokens: total },
      cells: { right: `${right} of ${examples.length}`, accuracy: formatPercent(right / examples.length), ...cells },
      ...timingFields(timing),
    };
  };
  const heavy = sum(heavyTokens(shown)) / total;
  return [
    row("dense", { "heavy tokens": "all" }),
    row("routed", { "heavy tokens": formatPercent(heavy), "speed-up": speedUp }),
  ];
}

/** The routing of a task's sentences, for the report. */
export function taskTrace({ task, examples, result, tokens }: ShownTask, head: TraceHead): readonly SequenceTrace[] {
  const facts = examples.map(({ text, label }, index) => ({
    text,
    label,
    predicted: task.labels[result.routed.predicted[index] as number] ?? "?",
  }));
  return makeTrace({ ...head, tokens, facts, routing: result.routed.output.routing ?? [] }).sequences;
}

/** Tokens of sentences as the model cuts them. */
export function tokensOf(model: Model, examples: readonly Example[]): (readonly string[])[] {
  return examples.map(({ text }) => model.tokenize(text) ?? []);
}
