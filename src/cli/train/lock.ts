/** @file One training per output folder: two would write over each other's checkpoints and metrics. */

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { EngineError } from "../../errors.ts";

const FILE = "training.lock";

/** Who holds a folder. */
interface Holder {
  readonly host: string;
  readonly pid: number;
}

function isHolder(value: unknown): value is Holder {
  const { host, pid } = (value ?? {}) as Partial<Holder>;
  return typeof host === "string" && Number.isInteger(pid);
}

async function holderOf(path: string): Promise<Holder | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, "utf8"));
    return isHolder(value) ? value : null;
  } catch {
    // Gone by now, or cut short by a crash: nobody's.
    return null;
  }
}

/** A process of this machine that is no more holds nothing; of another machine that cannot be known. */
function isOver({ host, pid }: Holder): boolean {
  if (host !== hostname()) return false;
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** @returns whether the file was made: not where there is one. */
async function make(path: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(holder), { flag: "wx" });
    return true;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    throw new EngineError("NOT_FOUND", `${path} cannot be written (${code ?? String(cause)})`, {
      where: path,
      fix: "check the permissions and the space left",
      cause,
    });
  }
}

/**
 * Takes an output folder, which is made if need be, for one training. What a killed one has left behind is taken over.
 * @returns lets go of it
 * @throws EngineError BAD_INPUT where another training has it, naming its process; NOT_FOUND where the folder cannot be written
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, FILE);
  await mkdir(folder, { recursive: true }).catch((cause: unknown) => {
    const { code } = cause as NodeJS.ErrnoException;
    throw new EngineError("NOT_FOUND", `${folder} cannot be made (${code ?? String(cause)})`, { where: folder, cause });
  });
  const own = { host: hostname(), pid: process.pid };
  for (let tries = 0; !(await make(path, own)); tries += 1) {
    const holder = await holderOf(path);
    if (tries > 2 || (holder !== null && !isOver(holder))) {
      const who = holder === null ? "another process" : `process ${holder.pid} on ${holder.host}`;
      throw new EngineError("BAD_INPUT", `${folder} is the output of a training that runs: ${who}`, {
        where: "--out",
        fix: `wait for it, or choose another folder; if it is over, delete ${path}`,
      });
    }
    await rm(path, { force: true });
  }
  return () => rm(path, { force: true });
}
