/** @file Writes a file so that nobody ever sees half of it, whatever happens to the process or the machine. */

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
 * Writes beside the target, flushes and renames: readers see the old file or the new one, whole. A process that is killed in
 * between leaves a file whose name ends in ".partial", and the old one as it was.
 * @throws EngineError NOT_FOUND where the system refuses
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const aside = `${path}.${process.pid}-${randomUUID().slice(0, 8)}.partial`;
  try {
    await writeSynced(aside, content);
    await rename(aside, path);
  } catch (cause) {
    await rm(aside, { force: true }).catch(() => undefined);
    const problem = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new EngineError("NOT_FOUND", `${path} cannot be written (${problem})`, {
      where: path,
      fix: "check the permissions and the space left",
      cause,
    });
  }
  await syncFolder(dirname(resolve(path)));
}
