/** @file What a training leaves behind: folders of adapters, fusions and heads, router vectors, the host, and `results.json`. */

import { join } from "node:path";
import type { Model } from "../../model/model.ts";
import { modelFiles } from "../../model/save-host.ts";
import { saveAdapter, saveFusion, saveHead, saveRouters } from "../../node.ts";
import { saveFolder } from "../../node/save.ts";
import type { TrainConfig } from "../../train/config/config.ts";
import { trainTargets } from "./setup.ts";

/**
 * Saves what was trained, after it was written back.
 * @returns the paths, relative to the folder
 */
export async function saveTrained(model: Model, config: TrainConfig, out: string): Promise<string[]> {
  const { train, head } = config;
  const saved: string[] = [];
  const place = (...parts: string[]): string => {
    saved.push(join(...parts));
    return join(out, ...parts);
  };
  for (const name of train.adapters) await saveAdapter(model, name, place("adapters", name));
  for (const name of train.fusions) await saveFusion(model, name, place("fusions", name));
  if (train.head && head.place !== null) {
    // Beside the adapter of its name it comes along with it.
    const along = train.adapters.includes(head.name);
    await saveHead(model, head.name, along ? join(out, "adapters", head.name) : place("heads", head.name));
  }
  if (train.routers) await saveRouters(model, place("routers.safetensors"));
  if (trainTargets(config).host !== undefined) await saveFolder(place("model"), await modelFiles(model));
  return saved;
}
