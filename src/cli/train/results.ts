/** @file `results.json` of a training, and its table for people. */

import { join } from "node:path";
import { version } from "node:process";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Scores } from "../../train/evaluate/scores.ts";
import { commit } from "../bench/report.ts";
import type { Io } from "../command.ts";
import { deviceLine, deviceRecord } from "../device.ts";
import { writeWhole } from "../files.ts";
import { formatFacts, formatTime } from "../text.ts";
import type { TrainRequest } from "./options.ts";
import type { TrainOutcome } from "./run.ts";

function scoreText(scores: Scores): string {
  return Object.entries(scores)
    .map(([name, value]) => `${name} ${value === null ? "–" : value.toFixed(4)}`)
    .join(", ");
}

/** Writes `results.json`, and prints it or a table. */
export async function writeTrainResults(
  { config, out, json }: TrainRequest,
  outcome: TrainOutcome,
  gpu: Gpu,
  io: Io,
): Promise<void> {
  const { state, steps, evaluation, test, dropped, pruned, saved, examples, labels, identity } = outcome;
  const { best } = state;
  const results = {
    format: "adapters-webgpu/train",
    version: 1,
    name: config.name,
    seed: config.seed,
    best: best === null ? null : { step: best.step, metric: config.evaluation.metric, value: best.value },
    evaluation,
    test,
    ...(Object.keys(dropped).length === 0 ? {} : { dropped }),
    ...(Object.keys(pruned).length === 0 ? {} : { pruned }),
    steps: state.step,
    planned: steps,
    ended: state.ended,
    milliseconds: state.milliseconds,
    examples,
    labels,
    saved,
    device: { ...deviceRecord(gpu.info), driver: gpu.info.description },
    ...commit(),
    node: version,
    date: new Date().toISOString(),
    identity,
    config,
  };
  const text = `${JSON.stringify(results, null, 1)}\n`;
  await writeWhole(join(out, "results.json"), text);
  if (json) {
    io.stdout.write(text);
    return;
  }
  const ended =
    state.ended === "patience" ? `, ended early: ${config.evaluation.patience} evaluations without a better one` : "";
  const facts: [string, string][] = [
    ["training", config.name],
    ["steps", `${state.step} of ${steps}${ended}`],
    ["examples", `${examples.train} trained on, ${examples.evaluation} to evaluate, ${examples.test} to test`],
    ...(best === null
      ? []
      : [["best", `step ${best.step}, ${config.evaluation.metric} ${best.value.toFixed(4)}`] as [string, string]]),
    ...(evaluation === null ? [] : [["evaluation", scoreText(evaluation)] as [string, string]]),
    ...(test === null ? [] : [["test", scoreText(test)] as [string, string]]),
    ...Object.entries(dropped).map(
      ([layers, scores]) => [`test, ${layers} layers dropped`, scoreText(scores)] as [string, string],
    ),
    ...Object.entries(pruned).map(
      ([keep, scores]) => [`test, fusion pruned to ${keep}`, scoreText(scores)] as [string, string],
    ),
    ["time", formatTime(state.milliseconds)],
    ["device", deviceLine(gpu.info)],
    ["saved in", `${out}: ${[...saved, "results.json", "metrics.jsonl"].join(", ")}`],
  ];
  io.stdout.write(`${formatFacts(facts)}\n`);
}
