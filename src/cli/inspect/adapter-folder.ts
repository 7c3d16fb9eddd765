/** @file What a folder with an adapter holds beside it: heads, fusions, and folders with more of them. */

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors.ts";
import { ADAPTER_CONFIG, readAdapterFolder } from "../../formats/adapter-hub/read-adapter.ts";
import { FUSION_CONFIG, readFusionFolder } from "../../formats/adapter-hub/read-fusion.ts";
import { HEAD_CONFIG, readHeadFolder } from "../../formats/adapter-hub/read-head.ts";
import type { StoredAdapter, StoredOrigin } from "../../formats/adapter-hub/types.ts";
import { folderFromPath } from "../../node/folder.ts";

/** A head that lies in a folder. */
export interface HeadFacts {
  readonly folder: string;
  readonly type: string;
  readonly labels: number | null;
  readonly parameters: number;
  readonly bytes: number;
}

/** A fusion that lies in a folder. */
export interface FusionFacts {
  readonly folder: string;
  readonly adapters: readonly string[];
  readonly parameters: number;
  readonly bytes: number;
}

/** What lies beside an adapter. */
export interface Company {
  readonly heads: readonly HeadFacts[];
  readonly fusions: readonly FusionFacts[];
}

/** @returns the numbers that tensors hold. */
export function countParameters(tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>): number {
  return [...tensors.values()].reduce(
    (sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1),
    0,
  );
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => join(path, name))
    .sort();
}

async function holding(path: string, file: string): Promise<string[]> {
  const folders = [path, ...(await foldersIn(path))];
  const held = await Promise.all(folders.map((folder) => folderFromPath(folder).has(file)));
  return folders.filter((_, index) => held[index]);
}

/** Size on disk and in numbers of what a folder holds. */
function size({ tensors, bytes }: Pick<StoredOrigin, "bytes"> & { tensors: Parameters<typeof countParameters>[0] }): {
  parameters: number;
  bytes: number;
} {
  return { parameters: countParameters(tensors), bytes };
}

/** @returns the heads and fusions in a folder and in the folders in it. */
export async function companyOf(path: string): Promise<Company> {
  const [headPlaces, fusionPlaces] = await Promise.all([holding(path, HEAD_CONFIG), holding(path, FUSION_CONFIG)]);
  const heads: HeadFacts[] = [];
  for (const folder of headPlaces) {
    const stored = await readHeadFolder(folderFromPath(folder));
    const { head_type: type, num_labels: labels } = stored.config;
    heads.push({ folder, type: String(type), labels: typeof labels === "number" ? labels : null, ...size(stored) });
  }
  const fusions: FusionFacts[] = [];
  for (const folder of fusionPlaces) {
    const stored = await readFusionFolder(folderFromPath(folder));
    fusions.push({ folder, adapters: stored.names, ...size(stored) });
  }
  return { heads, fusions };
}

/**
 * Reads the adapter of a folder.
 * @throws EngineError NOT_FOUND, saying what there is instead; otherwise as `readAdapterFolder` does
 */
export async function readAdapterAt(path: string): Promise<StoredAdapter> {
  const folder = folderFromPath(path);
  if (await folder.has(ADAPTER_CONFIG)) return readAdapterFolder(folder);
  const inside = await holding(path, ADAPTER_CONFIG);
  const fusion = await folder.has(FUSION_CONFIG);
  if (inside.length === 0 && !fusion) return readAdapterFolder(folder);
  const instead = fusion ? "a fusion" : `adapters in ${inside.join(", ")}`;
  throw new EngineError("NOT_FOUND", `${path} has no ${ADAPTER_CONFIG}, but ${instead}`, {
    where: path,
    fix: fusion ? "see: adapters-webgpu inspect fusion" : "name one of them",
  });
}
