/** @file What the training bench trains: the same layers of BERT-base with other parts on top, each in a model of its own. */

import { fuse } from "../adapters/composition.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Model } from "../model/model.ts";
import { coda } from "../routing/coda.ts";
import type { TrainTargets } from "../train/trainable.ts";
import { bertBaseConfig } from "./file-size.ts";
import { bertHost, syntheticModel } from "./synthetic-bert.ts";

/** Layers, sequences and tokens of a step. */
export interface TrainingSizes {
  readonly layers: number;
  readonly sequences: number;
  readonly tokens: number;
  /** Adapters under the fusion. */
  readonly fused: number;
}

/** A way to train. */
export interface TrainingForm {
  readonly name: string;
  /** Puts the parts on a bare model. @returns what of it is trained */
  readonly prepare: (model: Model, sizes: TrainingSizes) => Promise<TrainTargets>;
}

/** The head of every form. */
export const HEAD = "task";
const LABELS = 3;
/** Few words: the table of embeddings is not what the layers' ratios are about. */
const VOCABULARY = 256;
const REDUCTION = 3;
const SEED = 1;

async function adapter(model: Model, preset: string): Promise<TrainTargets> {
  await model.addAdapter("task", preset);
  model.setActive("task");
  return { adapters: ["task"], heads: [HEAD] };
}

async function fusion(model: Model, { fused }: TrainingSizes): Promise<TrainTargets> {
  const names = Array.from({ length: fused }, (_, index) => `task ${index}`);
  for (const [index, name] of names.entries()) await model.addAdapter(name, { config: "seq_bn", seed: SEED + index });
  const name = names.join(",");
  await model.addFusion(names, "dynamic");
  model.setActive(fuse(...names));
  return { fusions: [name], heads: [HEAD] };
}

/** Names of the forms. */
export type TrainingFormName = "full" | "pfeiffer" | "houlsby" | "dropped" | "layer" | "routed" | "fusion";

/** Everything, and its parts. */
export const trainingForms: Readonly<Record<TrainingFormName, TrainingForm>> = {
  full: { name: "full fine-tuning", prepare: async () => ({ host: "all", heads: [HEAD] }) },
  pfeiffer: { name: "Pfeiffer", prepare: (model) => adapter(model, "seq_bn") },
  houlsby: { name: "Houlsby", prepare: (model) => adapter(model, "double_seq_bn") },
  dropped: {
    name: "Pfeiffer, lowest layer dropped",
    prepare: (model) => {
      model.dropAdapters({ layers: 1 });
      return adapter(model, "seq_bn");
    },
  },
  layer: { name: "dense + parallel adapter", prepare: (model) => adapter(model, "coda") },
  routed: {
    name: `CoDA, r = ${REDUCTION}`,
    prepare: async (model) => {
      const targets = await adapter(model, "coda");
      model.setRouting(coda({ reduction: REDUCTION }));
      return { ...targets, routers: true };
    },
  },
  fusion: { name: "AdapterFusion", prepare: fusion },
};

/** @returns layers of BERT-base with a head and few words, drawn from a seed. */
export async function trainingModel(gpu: Gpu, { layers, fused }: TrainingSizes): Promise<Model> {
  const host = bertHost({ ...bertBaseConfig, num_hidden_layers: layers, vocab_size: VOCABULARY });
  const model = syntheticModel(gpu, host, SEED, { count: fused });
  await model.addHead(HEAD, { config: { head_type: "classification", num_labels: LABELS, layers: 1 } });
  return model;
}

/** A batch of sequences of one length, and a label each. */
export function trainingBatch({ sequences, tokens }: TrainingSizes): { ids: number[][]; targets: number[] } {
  const ids = Array.from({ length: sequences }, (_, s) =>
    Array.from({ length: tokens }, (_, t) => (7 + 31 * t + 97 * s + ((t * t) % 11)) % VOCABULARY),
  );
  return { ids, targets: ids.map((_, s) => s % LABELS) };
}
