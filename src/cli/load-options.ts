/** @file How a model is to be loaded, from the options that `run` and `inspect` share. */

import type { NodeLoadOptions } from "../node.ts";
import { readJson } from "./files.ts";

/** The options as they stand on the command line. */
export interface LoadSettings {
  /** A file that stands in for config.json. */
  readonly config: string | undefined;
  readonly weights: string | undefined;
  readonly tokenizer: string | undefined;
  readonly precision: "f32" | "f16";
  /** Adapter slots and the widest bottleneck of one; what is not given grows as needed. */
  readonly slots?: { readonly count?: number; readonly width?: number };
}

/**
 * @returns options for `loadModel`
 * @throws EngineError NOT_FOUND or BAD_FILE for a configuration that cannot be read
 */
export async function loadOptions(settings: LoadSettings): Promise<NodeLoadOptions> {
  const { config, weights, tokenizer, precision, slots } = settings;
  return {
    precision,
    ...(slots === undefined ? {} : { slots }),
    ...(config === undefined ? {} : { config: await readJson(config) }),
    ...(weights === undefined ? {} : { weights }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
  };
}
