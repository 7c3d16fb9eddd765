/** @file Reading input files, packed or not, and checking where results are to go. */

import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { EngineError } from "../errors.ts";

export { linesOf } from "../inputs/lines.ts";
export { writeWhole } from "../node/write-whole.ts";

const unpack = promisify(gunzip);

/** A packed file that grows beyond this is refused: a few kilobytes can unpack to terabytes. */
const MOST_UNPACKED_BYTES = 2 ** 31 - 1;

/** @throws EngineError NOT_FOUND for what cannot be read; BAD_FILE where a gzip stream is broken or bloats */
export async function readBytes(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const problem =
      code === "ENOENT"
        ? "is not there"
        : code === "EISDIR"
          ? "is a folder"
          : `cannot be read (${code ?? String(cause)})`;
    throw new EngineError("NOT_FOUND", `${path} ${problem}`, { where: path, fix: "check the path", cause });
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return await unpack(bytes, { maxOutputLength: MOST_UNPACKED_BYTES });
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new EngineError("BAD_FILE", `${path} does not unpack: ${problem}`, {
      where: path,
      fix: "pack it again with gzip",
      cause,
    });
  }
}

/** @throws EngineError NOT_FOUND, or BAD_FILE where the text is not UTF-8 */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new EngineError("BAD_FILE", `${path} is not UTF-8 text`, { where: path, fix: "convert it to UTF-8", cause });
  }
}

/** @throws EngineError NOT_FOUND, or BAD_FILE where the file is no JSON object */
export async function readJson(path: string): Promise<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(await readText(path));
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError("BAD_FILE", `${path} is not JSON: ${(cause as Error).message}`, { where: path, cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new EngineError("BAD_FILE", `${path} holds no JSON object`, { where: path });
}

/**
 * Checks, before a long run, that results can be written where they are to go.
 * @throws EngineError NOT_FOUND
 */
export async function checkTarget(path: string): Promise<void> {
  const folder = dirname(resolve(path));
  const [parent, there] = await Promise.all([stat(folder).catch(() => null), stat(path).catch(() => null)]);
  if (parent?.isDirectory() !== true) {
    throw new EngineError("NOT_FOUND", `${path} cannot be written: ${folder} is not a folder`, {
      where: path,
      fix: "make the folder first",
    });
  }
  if (there?.isDirectory() === true) {
    throw new EngineError("BAD_INPUT", `${path} cannot be written: it is a folder`, {
      where: path,
      fix: "name a file",
    });
  }
}
