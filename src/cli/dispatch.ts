/** @file From the words of a command line to a command, and from an error to one sentence and an exit code. */

import { readFileSync } from "node:fs";
import { EngineError } from "../errors.ts";
import type { ErrorCode } from "../errors.ts";
import type { Command, Io } from "./command.ts";

/** The commands in the order of `--help`; each is loaded only when it is needed. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  start: async () => (await import("./start/start.ts")).startCommand,
  doctor: async () => (await import("./doctor/doctor.ts")).doctorCommand,
  run: async () => (await import("./run/run.ts")).runCommand,
  inspect: async () => (await import("./inspect/inspect.ts")).inspectCommand,
  bench: async () => (await import("./bench/bench.ts")).benchCommand,
  sweep: async () => (await import("./sweep/sweep.ts")).sweepCommand,
  train: async () => (await import("./train/train.ts")).trainCommand,
};

/** Errors that another command line would not have made; all others are the machine's or ours. */
const callersErrors: ReadonlySet<ErrorCode> = new Set([
  "BAD_INPUT",
  "BAD_FILE",
  "BAD_CONFIG",
  "BAD_WEIGHTS",
  "UNKNOWN_NAME",
  "NOT_FOUND",
  "NOT_IMPLEMENTED",
  "NO_CAPACITY",
  "UNSUPPORTED",
  "LIMIT",
  "DIVERGED",
]);

/** What shells report for a process that Ctrl-C ended. */
const INTERRUPTED = 130;

function version(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function overview(): Promise<string> {
  const loaded = await Promise.all(Object.values(commands).map((load) => load()));
  const width = Math.max(...loaded.map(({ name }) => name.length));
  const lines = loaded.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    "usage: adapters-webgpu <command> [options]",
    "",
    "Frozen Transformers with small adapters and conditional computation on WebGPU.",
    "",
    ...lines,
    "",
    "adapters-webgpu <command> --help says what a command takes; --version prints the version.",
    "exit codes: 0 done, 1 something failed, 2 the request was wrong, 130 interrupted",
    "",
  ].join("\n");
}

/**
 * Runs one command line and never throws.
 * @param args the words behind the program's name
 * @returns the exit code
 */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  try {
    if (name === undefined) {
      io.stderr.write(await overview());
      return 2;
    }
    if (name === "--help" || name === "-h" || name === "help") {
      io.stdout.write(await overview());
      return 0;
    }
    if (name === "--version" || name === "-v") {
      io.stdout.write(`${version()}\n`);
      return 0;
    }
    const load = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (load === undefined) {
      const message = `there is no command ${JSON.stringify(name)}; known: ${Object.keys(commands).join(", ")}`;
      throw new EngineError("UNKNOWN_NAME", message, { fix: "see: adapters-webgpu --help" });
    }
    const command = await load();
    if (rest.includes("--help") || rest.includes("-h")) {
      io.stdout.write(command.help);
      return 0;
    }
    return await command.run(rest, io);
  } catch (error) {
    return explainFailure(error, name ?? "", io);
  }
}

function explainFailure(error: unknown, command: string, io: Io): number {
  const program = `adapters-webgpu ${command}`.trim();
  if (io.signal.aborted) {
    io.stderr.write("interrupted\n");
    return INTERRUPTED;
  }
  if (error instanceof EngineError) {
    io.stderr.write(`${program}: ${error.message}\n`);
    if (error.where !== "" && !error.message.includes(error.where) && error.where !== command)
      io.stderr.write(`where: ${error.where}\n`);
    if (error.fix !== "") io.stderr.write(`fix: ${error.fix}\n`);
    return callersErrors.has(error.code) ? 2 : 1;
  }
  // Not foreseen, so a bug of ours: the stack is what a report needs.
  io.stderr.write(`${program}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}
