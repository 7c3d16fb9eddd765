/** @file Sentences of a task through a model, dense and routed: verified against float64, then timed in turns. */

import type { Comparison } from "../cases/check.ts";
import type { Model } from "../model/model.ts";
import type { RunOutput, Tensor } from "../model/types.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { largest } from "../train/evaluate/classes.ts";
import { measure, speedUp } from "./harness.ts";
import type { BenchContext, Candidate, Repeats, Timing } from "./harness.ts";
import { compareModel } from "./model-truth.ts";

/** A task of a model: two adapters, each with a head of its name, and each run as it was trained. */
export interface TaskToRun {
  readonly dense: string;
  readonly routed: string;
  readonly texts: readonly string[];
  readonly routing: CodaPolicy;
}

/** What one form of the model gave. */
export interface TaskForm {
  /** The class with the largest logit, per sentence. */
  readonly predicted: Int32Array;
  readonly output: RunOutput;
  readonly timing: Timing;
}

/** Both forms. */
export interface TaskResult {
  readonly dense: TaskForm;
  readonly routed: TaskForm;
  /** How many times faster the routed form is. */
  readonly speedUp: number;
}

/** The class with the largest logit of every sequence. */
export function answersOf({ heads }: RunOutput, name: string): Int32Array {
  const { data, shape } = heads[name] as Tensor;
  return largest(data, shape[1] as number);
}

/** Units of the widest bottleneck of an adapter: its matrices are [units, width] or [width, units]. */
function unitsOf(model: Model, name: string): number {
  const { tensors } = model.contents.adapter(name);
  return Math.max(1, ...[...tensors.values()].flatMap(({ shape }) => (shape.length === 2 ? Math.min(...shape) : [])));
}

/** Runs a task; the model is dense and without an active adapter afterwards. */
export async function runTask(
  model: Model,
  { texts, routing, ...adapters }: TaskToRun,
  repeats: Repeats,
  context: BenchContext,
): Promise<TaskResult> {
  const input = { texts };
  const outputs = new Map<string, RunOutput>();
  const candidate = (form: "dense" | "routed", policy: CodaPolicy | null): Candidate => {
    const name = adapters[form];
    const bottleneck = unitsOf(model, name);
    const options = { outputs: [`heads.${name}`, ...(policy === null ? [] : ["routing"])] };
    const run = async (): Promise<RunOutput> => {
      model.setActive(name);
      model.setRouting(policy);
      return model.run(input, options);
    };
    const verify = async (): Promise<Comparison> => {
      const output = await run();
      outputs.set(form, output);
      return compareModel(model, { input, options, bottleneck }, output);
    };
    const timed = async (): Promise<number> => {
      const { timing } = await run();
      return timing.gpu ?? timing.wall;
    };
    return { name: form, verify, run: timed };
  };
  try {
    const candidates = [candidate("dense", null), candidate("routed", routing)];
    const [dense, routed] = (await measure(candidates, repeats, context)) as [Timing, Timing];
    const form = (name: "dense" | "routed", timing: Timing): TaskForm => {
      const output = outputs.get(name) as RunOutput;
      return { predicted: answersOf(output, adapters[name]), output, timing };
    };
    return { dense: form("dense", dense), routed: form("routed", routed), speedUp: speedUp(dense, routed) };
  } finally {
    model.setRouting(null);
    model.setActive(null);
  }
}
