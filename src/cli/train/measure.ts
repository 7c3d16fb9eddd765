/** @file What a finished training is tested with besides the model as it is: fewer adapters. */

import { averageFusionWeights, pruneFusion } from "../../model/fusion-tools.ts";
import type { Model } from "../../model/model.ts";
import type { TrainConfig } from "../../train/config/config.ts";
import type { Scores } from "../../train/evaluate/scores.ts";
import { measure } from "../../train/loop.ts";
import type { LoopSet, Measuring } from "../../train/loop.ts";
import { Trainer } from "../../train/trainer.ts";
import { dropLayers, trainerOptions } from "./setup.ts";

/** Scores of the test set by what was varied. */
export type ScoresBy = Readonly<Record<number, Scores>>;

/** Tests without adapters in some of the lowest layers. */
export async function measureDropped(
  { evaluation }: TrainConfig,
  model: Model,
  work: Measuring,
  tested: LoopSet,
): Promise<ScoresBy> {
  const scores: Record<number, Scores> = {};
  for (const layers of evaluation.dropped)
    scores[layers] = await measure({ ...work, drop: dropLayers(model, layers) }, "test", tested);
  return scores;
}

/**
 * Tests with the most active adapters of the fusion alone, by its weights averaged over the training set (Rücklé et al. 2021, §5.2).
 * No other trainer may hold the fusion: it is to be the one that runs see.
 */
export async function measurePruned(
  config: TrainConfig,
  model: Model,
  work: Omit<Measuring, "trainer">,
  { trained, tested }: { readonly trained: LoopSet; readonly tested: LoopSet },
): Promise<ScoresBy> {
  const scores: Record<number, Scores> = {};
  const [fusion] = config.fusions;
  if (fusion === undefined || config.evaluation.pruned.length === 0) return scores;
  const name = fusion.names.join(",");
  const inputs = trained.parts.map((examples) => work.part("train", examples, 0).input);
  const averages = await averageFusionWeights(model, name, inputs);
  const nothing = { head: true, adapters: [], fusions: [], routers: false, host: null };
  const trainer = await Trainer.create(model, trainerOptions({ ...config, train: nothing }));
  try {
    for (const keep of config.evaluation.pruned) {
      await pruneFusion(model, name, { keep, averages });
      scores[keep] = await measure({ ...work, trainer }, "test", tested);
    }
  } finally {
    await pruneFusion(model, name, null);
    await trainer.dispose();
  }
  return scores;
}
