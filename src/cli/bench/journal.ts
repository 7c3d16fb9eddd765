/**
 * @file What a long bench has finished, beside the file that its report goes to: one line of JSON per unit, on disk as soon as it is
 * measured. A second start with the same options on the same device goes on after the last whole line.
 */

import { open, readFile, rm, truncate } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { ReportRow } from "../../bench/report.ts";
import type { Journal } from "../../bench/suite.ts";
import { EngineError } from "../../errors.ts";

const FORMAT = "adapters-webgpu/bench-journal";
const VERSION = 1;

/** What must be the same for numbers of two starts to stand in one report. */
export type JournalStamp = Readonly<Record<string, string>>;

/** The name of the journal of a report. */
export function journalPath(report: string): string {
  return `${report}.partial.jsonl`;
}

/** A journal in a file. */
export class FileJournal implements Journal {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #units: Map<string, readonly ReportRow[]>;

  private constructor(path: string, file: FileHandle, units: Map<string, readonly ReportRow[]>) {
    this.#path = path;
    this.#file = file;
    this.#units = units;
  }

  /**
   * Opens the journal of a report, or begins one.
   * @throws EngineError BAD_INPUT where it was begun with another stamp, BAD_FILE where it is none
   */
  static async open(path: string, stamp: JournalStamp): Promise<FileJournal> {
    const text = await readFile(path, "utf8").catch(() => "");
    // A line that a kill has cut off is no line.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    const [head, ...lines] = whole.split("\n").slice(0, -1);
    const units = new Map<string, readonly ReportRow[]>();
    if (head !== undefined) {
      checkStamp(path, head, stamp);
      for (const line of lines) {
        const { unit, rows } = parseLine(path, line) as { unit: string; rows: readonly ReportRow[] };
        units.set(unit, rows);
      }
      await truncate(path, Buffer.byteLength(whole));
    }
    const file = await open(path, head === undefined ? "w" : "a");
    const journal = new FileJournal(path, file, units);
    if (head === undefined) await journal.#append({ format: FORMAT, version: VERSION, stamp });
    return journal;
  }

  /** Units that an earlier start has finished. */
  get size(): number {
    return this.#units.size;
  }

  find(unit: string): readonly ReportRow[] | undefined {
    return this.#units.get(unit);
  }

  async keep(unit: string, rows: readonly ReportRow[]): Promise<void> {
    await this.#append({ unit, rows });
    this.#units.set(unit, rows);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Removes the journal of a report that is whole. */
  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  async #append(line: unknown): Promise<void> {
    await this.#file.appendFile(`${JSON.stringify(line)}\n`);
    await this.#file.sync();
  }
}

function badFile(path: string, cause?: unknown): EngineError {
  return new EngineError("BAD_FILE", `${path} is not the journal of a bench`, {
    where: path,
    fix: "delete it, or name another file for the report",
    cause,
  });
}

/** Numbers that do not exist are null in JSON. */
function parseLine(path: string, line: string): unknown {
  try {
    return JSON.parse(line, (_, value: unknown) => (value === null ? NaN : value));
  } catch (cause) {
    throw badFile(path, cause);
  }
}

function checkStamp(path: string, head: string, stamp: JournalStamp): void {
  const {
    format,
    version,
    stamp: begun,
  } = parseLine(path, head) as {
    format?: unknown;
    version?: unknown;
    stamp?: JournalStamp;
  };
  if (format !== FORMAT || version !== VERSION || begun === undefined) throw badFile(path);
  for (const field of new Set([...Object.keys(begun), ...Object.keys(stamp)])) {
    const [before, now] = [begun[field] ?? "none", stamp[field] ?? "none"];
    if (before === now) continue;
    throw new EngineError("BAD_INPUT", `${path} was begun with ${field} ${before}, this bench has ${now}`, {
      where: path,
      fix: "start with the same options to go on, or delete it",
    });
  }
}
