/** @file Writes files so that nobody ever sees half of one, whatever happens to the process or the machine. */

import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { EngineError } from "../errors.ts";

/** Makes a rename last through a power failure; systems that cannot open folders do without. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => null);
  if (folder === null) return;
  try {
    await folder.sync().catch(() => undefined);
  } finally {
    await folder.close();
  }
}

async function writeSynced(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, "w");
  try {
    await file.writeFile(content);
    // Without it the new name may reach the disk before the bytes do.
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Writes every file beside its place, flushes all of them, and only then renames one after the other: readers see an old file or a new
 * one, whole. A process that is killed in between leaves files whose names end in ".partial", and the old ones as they were.
 * @param files contents by path
 * @throws what the system throws; nothing is left beside the places then
 */
export async function replaceFiles(files: ReadonlyMap<string, string | Uint8Array>): Promise<void> {
  const aside = Array.from(files, ([path, content]) => {
    return { path, content, partial: `${path}.${process.pid}-${randomUUID().slice(0, 8)}.partial` };
  });
  try {
    for (const { partial, content } of aside) await writeSynced(partial, content);
    for (const { partial, path } of aside) await rename(partial, path);
  } catch (cause) {
    await Promise.all(aside.map(({ partial }) => rm(partial, { force: true }).catch(() => undefined)));
    throw cause;
  }
  for (const folder of new Set(aside.map(({ path }) => dirname(resolve(path))))) await syncFolder(folder);
}

/**
 * Writes one file as {@link replaceFiles} does.
 * @throws EngineError NOT_FOUND where the system refuses
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await replaceFiles(new Map([[path, content]]));
  } catch (cause) {
    const problem = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new EngineError("NOT_FOUND", `${path} cannot be written (${problem})`, {
      where: path,
      fix: "check the permissions and the space left",
      cause,
    });
  }
}
