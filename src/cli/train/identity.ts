/** @file Hashes of what the bits of a training follow from, and the files that are read on the way. */

import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { TrainIdentity } from "../../train/checkpoint.ts";
import { configIdentity } from "../../train/config/config.ts";
import type { DataSource } from "../../train/data/data.ts";
import { readBytes, readText } from "../files.ts";
import { hashFolder, hashText, modelHash } from "../hashes.ts";
import type { TrainRequest } from "./options.ts";

/** Files of a data set on disk, which remember what was in them. */
export interface HashedSource extends DataSource {
  /** The hash of everything that was read, in the order in which it was read. */
  hash(): string;
}

/** @param root where relative paths start */
export function hashedSource(root: string): HashedSource {
  // In the order of reading, which says what each file is for.
  const hashes: string[] = [];
  return {
    async bytes(path) {
      const content = await readBytes(resolve(root, path));
      hashes.push(hashText(content));
      return content;
    },
    async text(path) {
      const content = await readText(resolve(root, path));
      hashes.push(hashText(content));
      return content;
    },
    hash: () => hashText(hashes.join()),
  };
}

/** The hashes of a folder or of a file; nothing for what is no place on disk. */
async function placeHash(place: unknown, root: string): Promise<unknown> {
  if (typeof place !== "string") return null;
  const path = resolve(root, place);
  const there = await stat(path).catch(() => null);
  if (there === null) return null;
  return there.isDirectory() ? hashFolder(path, () => true) : hashText(await readBytes(path));
}

/**
 * @param weights the file that the model was loaded from
 * @param data of {@link hashedSource}, after everything was read
 */
export async function identityOf(
  { config, root }: TrainRequest,
  weights: string,
  data: string,
): Promise<TrainIdentity> {
  const { model, adapters, fusions, head, routing } = config;
  // Fresh weights follow from their seed, which the configuration holds.
  const own = await modelHash(model, root, model.fresh === null ? weights : "");
  const parts = [...Object.values(adapters), ...fusions.map(({ place }) => place), head.place, routing?.vectors];
  const places: unknown[] = [];
  for (const place of parts) places.push(await placeHash(place, root));
  return {
    config: hashText(configIdentity(config)),
    model: hashText(JSON.stringify({ own, places })),
    data,
  };
}
