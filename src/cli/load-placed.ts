/** @file Loads the model that a configuration file names. */

import { resolve } from "node:path";
import type { Gpu } from "../gpu/gpu.ts";
import { isTokenizerName } from "../inputs/choose.ts";
import type { ModelPlace } from "../inputs/model-place.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../node.ts";
import type { NodeLoadOptions } from "../node.ts";
import { loadOptions } from "./load-options.ts";

/**
 * @param root where relative paths start
 * @throws EngineError as `loadModel` does
 */
export async function loadPlaced(
  { folder, config, weights, tokenizer, precision }: ModelPlace,
  root: string,
  gpu: Gpu,
  more: NodeLoadOptions = {},
): Promise<Model> {
  const inline = typeof config === "object" && config !== null ? { config } : {};
  const placed = tokenizer === null || isTokenizerName(tokenizer) ? tokenizer : resolve(root, tokenizer);
  const options = await loadOptions({
    config: typeof config === "string" ? resolve(root, config) : undefined,
    weights: weights ?? undefined,
    tokenizer: placed ?? undefined,
    precision,
  });
  return loadModel(gpu, resolve(root, folder), { ...options, ...inline, ...more });
}
