/** @file The one error class of the engine and the closed list of its codes. Every room may import this file. */

/** What went wrong, as a stable word that programs can branch on. */
export type ErrorCode =
  | "NO_ADAPTER" // no GPU adapter could be opened
  | "MISSING_PACKAGE" // an optional peer package is not installed
  | "DEVICE_LOST" // the GPU device is gone
  | "OUT_OF_MEMORY" // the GPU refused an allocation
  | "VALIDATION" // WebGPU refused a call: a bug of ours or of an injected device
  | "COMPILE" // a WGSL module did not compile
  | "LIMIT" // something exceeds a limit of the device
  | "SHAPE" // shapes or types of an operation do not fit
  | "BAD_INPUT" // ids, texts, audio or options of a run
  | "BAD_FILE" // a file is truncated, malformed or hostile
  | "BAD_CONFIG" // a configuration has unknown, missing or contradictory fields
  | "BAD_WEIGHTS" // tensors are missing, unexpected, wrongly shaped or not finite
  | "UNKNOWN_NAME" // a capture, adapter, output or option name is not known
  | "NOT_FOUND" // a file or folder is not there
  | "DISPOSED" // used after dispose
  | "NOT_IMPLEMENTED" // planned, not there yet
  | "NO_CAPACITY" // slots or rows are used up
  | "DIVERGED" // a loss or a gradient is not finite
  | "UNSUPPORTED"; // a combination that the engine refuses on purpose

/** The data of an {@link EngineError}. */
export interface ErrorDetail {
  /** One sentence: what to do about it. */
  readonly fix?: string;
  /** The thing concerned: a file, a tensor, an axis, a launch. */
  readonly where?: string;
  readonly cause?: unknown;
}

/**
 * The only error class that the engine throws.
 * @example
 * try { await model.run({ ids: [[999]] }); }
 * catch (error) { if (error instanceof EngineError && error.code === "BAD_INPUT") console.log(error.fix); }
 */
export class EngineError extends Error {
  readonly code: ErrorCode;
  readonly fix: string;
  readonly where: string;

  constructor(code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "EngineError";
    this.code = code;
    this.fix = detail.fix ?? "";
    this.where = detail.where ?? "";
  }
}
