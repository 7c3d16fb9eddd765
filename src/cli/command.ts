/** @file What a command of the command line is, and the streams that it talks to. */

/** Something that text is written to: a stream of the process, or a list in a test. */
export interface TextSink {
  write(text: string): unknown;
}

/** The outside world of a command. */
export interface Io {
  /** Results only: what a pipe reads. */
  readonly stdout: TextSink;
  /** Progress, warnings and errors. */
  readonly stderr: TextSink;
  /** Is stderr a terminal, so that a line may be drawn over? */
  readonly isTerminal: boolean;
  /** Columns of that terminal; 80 elsewhere. */
  readonly columns: number;
  /** Aborted by Ctrl-C: a command stops at its next await, and leaves no half-written file. */
  readonly signal: AbortSignal;
}

/** One command: `adapters-webgpu <name> …`. */
export interface Command {
  readonly name: string;
  /** One line of `--help`. */
  readonly summary: string;
  /** What `<name> --help` prints: usage, every option with its default, examples. */
  readonly help: string;
  /**
   * Runs the command. `main` answers `--help` before it calls this, and prints an EngineError as a sentence.
   * @param args what stands behind the command's name
   * @returns the exit code: 0 done, 1 the command found a failure
   */
  run(args: readonly string[], io: Io): Promise<number>;
}
