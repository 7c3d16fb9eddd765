/** @file Published confidences of atom mappings as a measure: how far a point is from them. */

import type { Model } from "../model/model.ts";
import type { RunOutput } from "../model/types.ts";
import type { SweepBatch } from "./batch.ts";
import { runDense } from "./dense.ts";
import { runPoint } from "./evaluate.ts";
import type { EvaluateOptions, ReadyBatch } from "./evaluate.ts";
import { attentionOf } from "./metric.ts";
import { mappingConfidence } from "./reaction.ts";
import type { Attention, PublishedReaction } from "./reaction.ts";
import type { PointSettings } from "./settings.ts";

/** The published reactions as one batch, and where their confidence is read off. */
export interface PublishedSet {
  readonly reactions: readonly PublishedReaction[];
  readonly ready: ReadyBatch;
  readonly layer: number;
  readonly head: number;
}

/** Runs the reactions through the dense model, as every other batch of a sweep. */
export async function prepublish(
  model: Model,
  reactions: readonly PublishedReaction[],
  place: { readonly layer: number; readonly head: number },
  options: EvaluateOptions & { readonly changes: boolean },
): Promise<PublishedSet> {
  const batch: SweepBatch = {
    input: { ids: reactions.map(({ ids }) => ids) },
    rows: reactions.map(({ ids }) => ids.length),
    labels: null,
    atoms: reactions.map(({ atoms }) => atoms),
  };
  const { dense } = await runDense(model, batch, options.metric, options);
  return { reactions, ready: { batch, dense }, ...place };
}

function errorOf({ reactions, layer, head }: PublishedSet, output: RunOutput): number {
  const attention = attentionOf(output, layer, head);
  const errors = reactions.map((reaction, index) =>
    Math.abs(mappingConfidence(reaction, attention[index] as Attention) - reaction.confidence),
  );
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

/** @returns the mean of |confidence − published confidence| at a point. */
export async function confidenceError(
  model: Model,
  settings: PointSettings,
  published: PublishedSet,
  options: EvaluateOptions,
): Promise<number> {
  return errorOf(published, await runPoint(model, settings, published.ready, options));
}
