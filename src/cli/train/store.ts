/** @file The output folder of a training: checkpoints, each whole or not there, and the lines of its metrics. */

import { mkdir, open, readdir, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../../errors.ts";
import { expectIdentity, readCheckpoint, writeCheckpoint } from "../../train/checkpoint.ts";
import type { Checkpoint, TrainIdentity } from "../../train/checkpoint.ts";
import { lineText, linesUpTo } from "../../train/metrics.ts";
import type { MetricsLine } from "../../train/metrics.ts";
import { readBytes, readText, writeWhole } from "../files.ts";

const FOLDER = "checkpoints";
const METRICS = "metrics.jsonl";
const FILE = /^step-(\d{9})\.safetensors$/;
/** Besides the best one. */
const KEPT = 2;

/** A checkpoint that was read. */
export interface Found {
  readonly path: string;
  readonly checkpoint: Checkpoint;
}

/** Writes bytes to a path, whole or not at all. */
export type WriteBytes = (path: string, bytes: Uint8Array) => Promise<void>;

/** The checkpoints of one output folder. */
export class CheckpointStore {
  readonly #folder: string;
  readonly #write: WriteBytes;
  /** The last one that is known to be whole. */
  #last: string | null = null;

  constructor(folder: string, write: WriteBytes = writeWhole) {
    this.#folder = join(folder, FOLDER);
    this.#write = write;
  }

  /** The path of the checkpoint of a step. */
  pathOf(step: number): string {
    return join(this.#folder, `step-${String(step).padStart(9, "0")}.safetensors`);
  }

  /** Makes the folder. @throws EngineError NOT_FOUND where that cannot be */
  async prepare(): Promise<void> {
    try {
      await mkdir(this.#folder, { recursive: true });
    } catch (cause) {
      throw diskError(this.#folder, cause, null);
    }
  }

  /** Steps that have a file, the last one first. Files that were being written are none. */
  async steps(): Promise<number[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names
      .flatMap((name) => FILE.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => b - a);
  }

  /** @throws EngineError NOT_FOUND, BAD_FILE; BAD_CONFIG for a checkpoint of another training */
  async read(step: number, identity: TrainIdentity): Promise<Found> {
    const path = this.pathOf(step);
    const checkpoint = await readCheckpoint(await readBytes(path), path);
    expectIdentity(checkpoint.identity, identity, path);
    return { path, checkpoint };
  }

  /**
   * The last whole checkpoint; of those that are not whole `say` is told.
   * @returns null where the folder has none
   * @throws EngineError BAD_CONFIG for a checkpoint of another training; BAD_FILE where there are some and none is whole
   */
  async newest(identity: TrainIdentity, say: (line: string) => void): Promise<Found | null> {
    const problems: string[] = [];
    for (const step of await this.steps()) {
      try {
        const found = await this.read(step, identity);
        for (const problem of problems) say(`${problem}; going on from ${found.path}`);
        this.#last = found.path;
        return found;
      } catch (error) {
        if (!(error instanceof EngineError) || error.code !== "BAD_FILE") throw error;
        problems.push(error.message);
      }
    }
    if (problems.length === 0) return null;
    throw new EngineError("BAD_FILE", `no checkpoint in ${this.#folder} is whole: ${problems.join("; ")}`, {
      where: this.#folder,
      fix: "delete the folder: the training begins anew",
    });
  }

  /**
   * Writes a checkpoint, then removes those that nobody needs: the last two and the best stay.
   * @returns its path
   * @throws EngineError NOT_FOUND where the disk refuses, naming the last checkpoint that is there
   */
  async write(checkpoint: Checkpoint): Promise<string> {
    const { step, best } = checkpoint.loop;
    const path = this.pathOf(step);
    try {
      await this.#write(path, await writeCheckpoint(checkpoint));
    } catch (cause) {
      throw diskError(path, cause, this.#last);
    }
    this.#last = path;
    const steps = await this.steps();
    // What lies ahead is of a run that was taken back.
    const kept = new Set([...steps.filter((one) => one <= step).slice(0, KEPT), ...(best === null ? [] : [best.step])]);
    for (const one of steps) if (!kept.has(one)) await rm(this.pathOf(one), { force: true });
    return path;
  }
}

/** The word of the system behind an error, however deep it lies. */
function systemCode(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  return error.cause instanceof Error ? systemCode(error.cause) : (code ?? error.message);
}

function diskError(path: string, cause: unknown, last: string | null): EngineError {
  const code = systemCode(cause);
  const problem = code === "ENOSPC" ? "the disk is full" : code;
  const kept = last === null ? "there is no checkpoint yet" : `the last good checkpoint is ${last}`;
  return new EngineError("NOT_FOUND", `${path} cannot be written: ${problem}; ${kept}`, {
    where: path,
    fix: "make room, or choose another folder; the same command goes on from the checkpoint",
    cause,
  });
}

/** The metrics of one output folder, line by line. */
export class MetricsFile {
  readonly #file: FileHandle;
  readonly #path: string;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  /** Opens the file behind the lines up to a step; later ones are written again. */
  static async open(folder: string, step: number): Promise<MetricsFile> {
    const path = join(folder, METRICS);
    const text = await readText(path).catch((error: unknown) => {
      if (error instanceof EngineError && error.code === "NOT_FOUND") return "";
      throw error;
    });
    await writeWhole(path, linesUpTo(text, step));
    return new MetricsFile(await open(path, "a"), path);
  }

  /** Writes a line. @throws EngineError NOT_FOUND where the disk refuses */
  async write(line: MetricsLine): Promise<void> {
    try {
      await this.#file.appendFile(lineText(line));
    } catch (cause) {
      throw diskError(this.#path, cause, null);
    }
  }

  /** Brings every line to the disk. */
  async sync(): Promise<void> {
    await this.#file.sync();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
