/** @file Progress on stderr: a bar that draws over itself on a terminal, a plain line now and then elsewhere. */

import type { Io } from "./command.ts";

/** Shows how far a long work is. */
export interface Progress {
  /** `done` of the total; `note` says what is being worked on. */
  update(done: number, note?: string): void;
  /** Wipes the bar. Call it before anything else is printed, and in `finally`. */
  finish(): void;
}

const REDRAW_MS = 100;
const PLAIN_LINE_MS = 10_000;
const BAR_WIDTH = 24;

function duration(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/**
 * Starts a progress display.
 * @param unit what is counted, for the rate: `tokens`
 */
export function startProgress(io: Io, label: string, total: number, unit: string): Progress {
  const start = performance.now();
  let shown = io.isTerminal ? -Infinity : start;
  let drawn = false;
  const update = (done: number, note = ""): void => {
    const now = performance.now();
    if (now - shown < (io.isTerminal ? REDRAW_MS : PLAIN_LINE_MS)) return;
    shown = now;
    const share = total === 0 ? 1 : Math.min(1, done / total);
    const rate = done / Math.max(1e-3, (now - start) / 1000);
    const left = done === 0 ? "" : `, ${duration(((total - done) / rate) * 1000)} left`;
    const text = `${label} ${Math.floor(share * 100)} % (${Math.round(done)} of ${total} ${unit}, ${rate.toPrecision(3)}/s${left})${note && ` ${note}`}`;
    if (!io.isTerminal) {
      io.stderr.write(`${text}\n`);
      return;
    }
    const bar = "#".repeat(Math.round(share * BAR_WIDTH)).padEnd(BAR_WIDTH, "-");
    io.stderr.write(`\r\x1b[K${`[${bar}] ${text}`.slice(0, Math.max(20, io.columns - 1))}`);
    drawn = true;
  };
  const finish = (): void => {
    if (drawn) io.stderr.write("\r\x1b[K");
    drawn = false;
  };
  return { update, finish };
}
