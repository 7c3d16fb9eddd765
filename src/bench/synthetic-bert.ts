/** @file A resident BERT model with weights drawn from a seed, for what needs a whole model: its queue, its plans, its bank. */

import type { BankSize } from "../adapters/bank.ts";
import { folderFromUrl } from "../formats/folder.ts";
import type { Counters, Gpu } from "../gpu/gpu.ts";
import { Parameters } from "../graph/parameters.ts";
import type { Host } from "../hosts/host.ts";
import { buildHost } from "../hosts/index.ts";
import { Model } from "../model/model.ts";
import { drawWeight } from "./encoder.ts";

/** @returns the host of a configuration as a checkpoint without heads would give it. */
export function bertHost(config: Readonly<Record<string, unknown>>): Host {
  return buildHost({ config, tensors: new Set() }, false);
}

/** Makes a model; parameter i is drawn from seed + i. */
export function syntheticModel(gpu: Gpu, host: Host, seed: number, slots?: BankSize): Model {
  const parameters = new Parameters(gpu);
  host.weights.forEach((spec, index) =>
    parameters.set(spec.name, { shape: spec.shape, element: "f32" }, drawWeight(spec, seed + index)),
  );
  const report = { file: "synthetic", matched: host.weights.length, ignored: [], bytes: 0, notes: [] };
  const parts = { gpu, host, parameters, tables: new Map(), tokenizer: null, report, openFolder: folderFromUrl };
  return new Model(slots === undefined ? parts : { ...parts, slots });
}

/** What was created between two readings of the counters. */
export type Created = Pick<Counters, "pipelines" | "buffers" | "bindGroups">;

/** @returns how many objects were created between two readings. */
export function createdBetween(before: Counters, after: Counters): Created {
  return {
    pipelines: after.pipelines - before.pipelines,
    buffers: after.buffers - before.buffers,
    bindGroups: after.bindGroups - before.bindGroups,
  };
}
