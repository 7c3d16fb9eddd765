/**
 * @file Errors that WebGPU reports outside of any call: uncaptured errors and device loss. They are kept here until
 * somebody awaits something, and then thrown; nothing is printed.
 */

import { EngineError } from "../errors.ts";

/** Keeps the faults of one device until they are thrown. */
export class Faults {
  readonly #device: GPUDevice;
  readonly #owned: boolean;
  #lost: EngineError | undefined;
  #pending: EngineError | undefined;
  #disposed = false;

  constructor(device: GPUDevice, owned: boolean) {
    this.#device = device;
    this.#owned = owned;
    device.addEventListener("uncapturederror", this.#onError);
    void device.lost.then((info) => {
      this.#lost ??= new EngineError("DEVICE_LOST", `the GPU device is lost (${info.reason}): ${info.message}`, {
        fix: "open a new device with openGpu and load the model again",
      });
    });
  }

  readonly #onError = (event: GPUUncapturedErrorEvent): void => {
    // An injected device belongs to its owner, whose tools may want to show the error as well.
    if (this.#owned) event.preventDefault();
    // The first error is the cause; those that follow are mostly its consequences.
    this.#pending ??= toEngineError(event.error);
  };

  /** Throws what was stored. An uncaptured error is thrown once; loss and disposal for ever. */
  check(): void {
    if (this.#disposed) throw disposedError();
    if (this.#lost !== undefined) throw this.#lost;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending !== undefined) throw pending;
  }

  /**
   * Explains a promise that WebGPU rejected. Loss is often reported a moment after the rejection it caused, so this
   * waits for that moment.
   */
  async explain(cause: unknown, action: string): Promise<EngineError> {
    await this.settle();
    if (this.#disposed) return disposedError();
    if (this.#lost !== undefined) return this.#lost;
    const pending = this.#pending;
    this.#pending = undefined;
    return pending ?? new EngineError("VALIDATION", `${action} failed: ${messageOf(cause)}`, { cause });
  }

  /** Gives reports that are already on their way the time to arrive. */
  async settle(): Promise<void> {
    await Promise.race([this.#device.lost, new Promise((resolve) => setTimeout(resolve, 2))]);
  }

  /** From now on everything is refused. */
  dispose(): void {
    this.#disposed = true;
    this.#device.removeEventListener("uncapturederror", this.#onError);
  }
}

/** An EngineError for a WebGPU error object. */
export function toEngineError(error: GPUError): EngineError {
  const outOfMemory = error.constructor.name === "GPUOutOfMemoryError";
  return outOfMemory
    ? new EngineError("OUT_OF_MEMORY", `the GPU is out of memory: ${error.message}`, {
        fix: "run smaller batches, or dispose of models that are not needed",
        cause: error,
      })
    : new EngineError("VALIDATION", `WebGPU refused a call: ${error.message}`, {
        fix: "this is a bug of the caller or of this package; please report it with the message",
        cause: error,
      });
}

/** The text of whatever was thrown. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

function disposedError(): EngineError {
  return new EngineError("DISPOSED", "this GPU was disposed", { fix: "open another one with openGpu" });
}
