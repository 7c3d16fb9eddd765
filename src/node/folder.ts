/** @file A folder on disk, for Node. */

import { open, readdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

import { EngineError } from "../errors.ts";
import { checkFileName, notFound } from "../formats/folder.ts";
import type { Folder } from "../formats/folder.ts";

/** One read call; Node's `readFile` refuses files of 2 GiB and more, so large weights are read in pieces. */
const READ_BYTES = 2 ** 28;

/**
 * A folder on disk. Nothing is touched until it is asked for something; symbolic links are followed.
 * @example
 * const folder = folderFromPath("models/rxnmapper-albert");
 */
export function folderFromPath(path: string): Folder {
  return new PathFolder(path);
}

class PathFolder implements Folder {
  readonly name: string;

  constructor(path: string) {
    this.name = path;
  }

  async list(): Promise<string[]> {
    try {
      const entries = await readdir(this.name, { withFileTypes: true });
      return entries
        .filter((entry) => !entry.isDirectory())
        .map((entry) => entry.name)
        .sort();
    } catch (cause) {
      throw await this.missing(cause);
    }
  }

  async has(name: string): Promise<boolean> {
    checkFileName(this.name, name);
    try {
      return (await stat(join(this.name, name))).isFile();
    } catch {
      return false;
    }
  }

  async read(name: string): Promise<Uint8Array> {
    if (!(await this.has(name))) throw notFound(this.name, name, await this.list());
    const path = join(this.name, name);
    try {
      return await readWhole(path);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new EngineError("NOT_FOUND", `${path} cannot be read: ${reason}.`, {
        fix: "Check the file's permissions and size.",
        where: path,
        cause,
      });
    }
  }

  /** The folder itself is not there: say what stands beside it. */
  private async missing(cause: unknown): Promise<EngineError> {
    const beside = await readdir(dirname(this.name)).catch(() => []);
    const there = beside.slice(0, 20).join(", ") || "nothing";
    return new EngineError("NOT_FOUND", `${this.name} is not a folder. Beside it: ${there}.`, {
      fix: "Check the path.",
      where: this.name,
      cause,
    });
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    for (let at = 0; at < bytes.length;) {
      const { bytesRead } = await file.read(bytes, at, Math.min(READ_BYTES, bytes.length - at), at);
      // The file shrank meanwhile: what there is goes to the reader, which will call it truncated.
      if (bytesRead === 0) return bytes.slice(0, at);
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
