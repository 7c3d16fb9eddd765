/** @file The error of an unreadable file, and the allowance that keeps hostile files from asking for memory. */

import { EngineError } from "../errors.ts";

const DEFAULT_FIX = "Fetch or export the file again; it is damaged or not what its name says.";

/** A `BAD_FILE` error about `where` (a file, or a tensor in a file). */
export function badFile(where: string, message: string, fix: string = DEFAULT_FIX, cause?: unknown): EngineError {
  return new EngineError("BAD_FILE", `${where}: ${message}`, { fix, where, cause });
}

/** How many times its own size a file may ask for. Honest checkpoints need 1: their tensors are views of the file. */
const ALLOWANCE_FACTOR = 4;

/**
 * The bytes that reading one file may allocate beyond the file itself. Torch tensors can be small views blown up by
 * zero strides, and names can be multiplied by shared dictionaries; both are charged here before they are built.
 */
export class Allowance {
  readonly where: string;
  private left: number;

  constructor(fileBytes: number, where: string) {
    this.where = where;
    this.left = fileBytes * ALLOWANCE_FACTOR;
  }

  /** Takes `bytes` for `what`; throws `BAD_FILE` when the file has asked for more than it may. */
  charge(bytes: number, what: string): void {
    if (bytes > this.left) {
      throw badFile(
        this.where,
        `${what} would take ${bytes} bytes, more than is left of ${ALLOWANCE_FACTOR} times the file's size.`,
        "Save the tensors with .contiguous().clone() so that the file holds every element it describes.",
      );
    }
    this.left -= bytes;
  }
}
