/** @file A small model with an adapter and a head, and a batch for it: what tests of training steps share. */

import { afterEach } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import type { TrainerOptions } from "../../src/train/trainer.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";

export const ids: readonly number[][] = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
  [1, 2, 3, 4],
];
export const labels: readonly number[] = [2, 0, 1, 2];
export const options: TrainerOptions = {
  train: { adapters: ["task"], heads: ["task"] },
  head: "task",
  objective: { kind: "cross-entropy" },
  optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01, clip: 1 },
};

const open: Model[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.dispose();
});

/**
 * A BERT or another host, of two layers unless its configuration is changed; `present` names tensors by which it knows a head of its own.
 * Disposed behind the test.
 */
export async function model(
  change: {
    readonly family?: string;
    readonly config?: Record<string, unknown>;
    readonly present?: readonly string[];
  } = {},
): Promise<Model> {
  const { family = "bert" } = change;
  const made = await loadFolder(await sharedGpu(), tinyModel(family, change.config ?? {}, 1, change.present).folder);
  open.push(made);
  await made.addAdapter("task", "seq_bn");
  await made.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 1 } });
  made.setActive("task");
  return made;
}
