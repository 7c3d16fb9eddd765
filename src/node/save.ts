/** @file Writes files into a folder on disk, for Node. */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { EngineError } from "../errors.ts";
import { checkFileName } from "../formats/folder.ts";
import { replaceFiles } from "./write-whole.ts";

/**
 * Writes files into a folder, which is made if need be, so that a crash leaves the old file or the new one.
 * @param obsolete names that belong to an older version of the same content: those not written now are removed
 * @throws EngineError BAD_FILE for names that leave the folder, and when the disk refuses
 */
export async function saveFolder(
  path: string,
  files: ReadonlyMap<string, Uint8Array>,
  obsolete: readonly string[] = [],
): Promise<void> {
  for (const name of files.keys()) checkFileName(path, name);
  try {
    await mkdir(path, { recursive: true });
    await replaceFiles(new Map(Array.from(files, ([name, bytes]) => [join(path, name), bytes])));
    for (const name of obsolete) if (!files.has(name)) await rm(join(path, name), { force: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError("BAD_FILE", `${path} cannot be written: ${reason}.`, {
      fix: "Check the path, its permissions and the space on the disk.",
      where: path,
      cause,
    });
  }
}
