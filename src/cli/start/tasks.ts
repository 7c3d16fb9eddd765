/** @file The small English model that comes along: its tasks, and the labelled sentences that it is shown on. */

import { join } from "node:path";
import { EngineError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { parseTable } from "../../inputs/csv.ts";
import { objectField, textField } from "../../inputs/fields.ts";
import type { Model } from "../../model/model.ts";
import { loadModel, loadRouters } from "../../node.ts";
import type { CodaPolicy } from "../../routing/coda.ts";
import { readJson, readText } from "../files.ts";

/** A task of the model: an adapter and a head of this name, and the routers that they were trained with. */
export interface StartTask {
  readonly name: string;
  /** Name of the adapter and the head that were trained with every token on the heavy path. */
  readonly dense: string;
  readonly about: string;
  /** Names of the classes, by index. */
  readonly labels: readonly string[];
  readonly routing: CodaPolicy;
  /** The configuration of its public data, as docs/training.md has `data`. */
  readonly data: Readonly<Record<string, unknown>>;
}

/** A labelled sentence. */
export interface Example {
  readonly text: string;
  readonly label: string;
}

/** The model with all of its tasks. */
export interface StartModel {
  readonly model: Model;
  readonly tasks: readonly StartTask[];
}

function labelsOf(model: Model, name: string): string[] {
  const { label2id } = model.contents.head(name).config;
  return Object.entries(label2id ?? {})
    .sort(([, a], [, b]) => a - b)
    .map(([label]) => label);
}

/**
 * Loads a folder with a model, `tasks.json`, and for each task two folders of `adapters/` and `routers/NAME.safetensors`.
 * @throws EngineError as `loadModel`, `addAdapter` and `loadRouters` do
 */
export async function loadStartModel(gpu: Gpu, folder: string): Promise<StartModel> {
  const { tasks } = objectField(await readJson(join(folder, "tasks.json")), "tasks.json", ["tasks"]);
  const model = await loadModel(gpu, folder);
  try {
    const loaded: StartTask[] = [];
    for (const [name, value] of Object.entries(objectField(tasks, "tasks", null))) {
      const fields = objectField(value, `tasks.${name}`, ["about", "dense", "data"]);
      const dense = textField(fields.dense, `tasks.${name}.dense`);
      for (const adapter of [name, dense]) await model.addAdapter(adapter, join(folder, "adapters", adapter));
      loaded.push({
        name,
        dense,
        about: textField(fields.about, `tasks.${name}.about`),
        labels: labelsOf(model, name),
        routing: await loadRouters(join(folder, "routers", `${name}.safetensors`)),
        data: objectField(fields.data, `tasks.${name}.data`, null),
      });
    }
    return { model, tasks: loaded };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

/**
 * Reads a table of the columns task, label and text.
 * @returns the sentences of every task
 * @throws EngineError BAD_FILE with the line of a task or a label that the model does not have
 */
export async function readExamples(path: string, tasks: readonly StartTask[]): Promise<Map<string, Example[]>> {
  const examples = new Map<string, Example[]>(tasks.map(({ name }) => [name, []]));
  const { columns, rows, lines } = parseTable(await readText(path), { delimiter: "\t", where: path });
  if (columns.join() !== "task,label,text") throw badLine(path, 1, 'the header is not "task, label, text"');
  for (const [index, [task = "", label = "", text = ""]] of rows.entries()) {
    const line = lines[index] as number;
    const known = tasks.find(({ name }) => name === task);
    if (known === undefined) throw badLine(path, line, `there is no task ${JSON.stringify(task)}`);
    if (!known.labels.includes(label)) throw badLine(path, line, `${task} has no label ${JSON.stringify(label)}`);
    if (text === "") throw badLine(path, line, "there is no text");
    examples.get(task)?.push({ text, label });
  }
  return examples;
}

function badLine(path: string, line: number, problem: string): EngineError {
  return new EngineError("BAD_FILE", `${path}:${line}: ${problem}`, { where: path });
}
