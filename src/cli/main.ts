#!/usr/bin/env node
/** @file The program `adapters-webgpu`: the process around {@link runCommandLine}. */

import type { Io } from "./command.ts";
import { runCommandLine } from "./dispatch.ts";

/** The streams of this process. The first Ctrl-C asks the command to stop; a second one ends the process. */
function processIo(): Io {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort(new Error("interrupted")));
  // A reader such as `head` may leave early; that is not an error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    isTerminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 80,
    signal: controller.signal,
  };
}

process.exitCode = await runCommandLine(process.argv.slice(2), processIo());
