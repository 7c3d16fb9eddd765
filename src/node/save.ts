/** @file Writes files into a folder on disk, for Node. */

import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

import { EngineError } from "../errors.ts";
import { checkFileName } from "../formats/folder.ts";

/** Ends the name of a file that is being written. */
const UNFINISHED = ".unfinished";

/**
 * Writes files into a folder, which is made if need be. Each is written beside its place first and then moved there, so that a
 * crash leaves the old file or the new one.
 * @param obsolete names that belong to an older version of the same content: those not written now are removed
 * @throws EngineError BAD_FILE for names that leave the folder, and when the disk refuses
 */
export async function saveFolder(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
  obsolete: readonly string[] = [],
): Promise<void> {
  for (const name of files.keys()) checkFileName(path, name);
  const unfinished = [...files.keys()].map((name) => join(path, `${name}${UNFINISHED}`));
  try {
    await mkdir(path, { recursive: true });
    for (const [name, bytes] of files) await writeFile(join(path, `${name}${UNFINISHED}`), bytes);
    for (const name of files.keys()) await rename(join(path, `${name}${UNFINISHED}`), join(path, name));
    for (const name of obsolete) if (!files.has(name)) await rm(join(path, name), { force: true });
  } catch (cause) {
    await Promise.all(unfinished.map((file) => rm(file, { force: true }).catch(() => undefined)));
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError("BAD_FILE", `${path} cannot be written: ${reason}.`, {
      fix: "Check the path, its permissions and the space on the disk.",
      where: path,
      cause,
    });
  }
}
