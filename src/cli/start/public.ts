/** @file Accuracy of the model that comes along on the public test sets of its tasks, where a folder with them is there. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { answersOf } from "../../bench/task-run.ts";
import { EngineError } from "../../errors.ts";
import type { Model } from "../../model/model.ts";
import { cutParts } from "../../train/batches.ts";
import { dataField } from "../../train/config/data.ts";
import { partOf } from "../../train/data/part.ts";
import { readSets } from "../../train/data/sets.ts";
import type { TrainSets } from "../../train/data/sets.ts";
import type { Io } from "../command.ts";
import { readBytes, readText } from "../files.ts";
import { startProgress } from "../progress.ts";
import type { StartTask } from "./tasks.ts";

/** Tokens of a batch. */
const BATCH_TOKENS = 1024;
const OBJECTIVE = "cross-entropy";

/** Shares of right answers, dense and routed. */
export interface PublicScores {
  readonly examples: number;
  readonly dense: number;
  readonly routed: number;
}

/** Whether all files of a task's data are there. */
export function hasPublicData(folder: string, { data }: StartTask): boolean {
  const { sets } = dataField(data, OBJECTIVE);
  return Object.values(sets).every((set) => Object.values(set.files).every((file) => existsSync(join(folder, file))));
}

async function testSet(
  model: Model,
  { name, labels, data }: StartTask,
  folder: string,
): Promise<TrainSets["sets"]["test"]> {
  const context = await model.exclusive(({ parts }) => ({ shape: parts.host.shape, tokenizer: parts.tokenizer }));
  const source = {
    bytes: (path: string) => readBytes(join(folder, path)),
    text: (path: string) => readText(join(folder, path)),
  };
  const { sets, labels: found } = await readSets(dataField(data, OBJECTIVE), OBJECTIVE, source, context);
  if (found.count === labels.length) return sets.test;
  const message = `the data of ${name} has ${found.count} classes, its head ${labels.length}`;
  throw new EngineError("BAD_FILE", message, { where: folder, fix: "take the data that it was trained on" });
}

/**
 * Classifies the whole test set of a task, dense and routed.
 * @throws EngineError as reading the data does; BAD_FILE for other classes than the head has
 */
export async function publicScores(model: Model, task: StartTask, folder: string, io: Io): Promise<PublicScores> {
  const examples = await testSet(model, task, folder);
  const lengths = examples.map(({ length }) => length);
  const parts = cutParts(lengths.keys(), lengths, { sequences: null, tokens: BATCH_TOKENS });
  const progress = startProgress(io, `test set of ${task.name}`, 2 * examples.length, "sentences");
  const right = { dense: 0, routed: 0 };
  let done = 0;
  try {
    for (const form of ["dense", "routed"] as const) {
      const adapter = form === "dense" ? task.dense : task.name;
      model.setActive(adapter);
      model.setRouting(form === "dense" ? null : task.routing);
      for (const places of parts) {
        io.signal.throwIfAborted();
        const { input, targets } = partOf(examples, places, OBJECTIVE, null, 0);
        const answers = answersOf(await model.run(input, { outputs: [`heads.${adapter}`] }), adapter);
        right[form] += answers.filter((answer, at) => answer === targets[at]).length;
        progress.update((done += places.length));
      }
    }
  } finally {
    progress.finish();
    model.setRouting(null);
    model.setActive(null);
  }
  const { length } = examples;
  return { examples: length, dense: right.dense / length, routed: right.routed / length };
}
