/** @file Writes an adapter folder in either format. */

import { writePeftAdapter } from "../peft/write.ts";
import type { StoredAdapter } from "./types.ts";
import { writeHubAdapter } from "./write.ts";
import type { WriteOptions, WrittenFiles } from "./write.ts";

/**
 * Writes an adapter in the format that it has: `adapter_config.json` and one weights file.
 * @throws EngineError `BAD_INPUT`, `BAD_WEIGHTS` or `UNSUPPORTED` with every tensor that has no place in the format.
 * @example
 * const files = writeAdapterFolder(adapter, { family: "bert", name: "sentiment", weights: "safetensors" });
 */
export function writeAdapterFolder(
  adapter: Pick<StoredAdapter, "format" | "config" | "tensors" | "hiddenSize">,
  options: WriteOptions & { readonly bare?: boolean },
): WrittenFiles {
  return adapter.format === "hub" ? writeHubAdapter(adapter, options) : writePeftAdapter(adapter, options);
}
