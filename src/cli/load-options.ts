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
}

/**
 * @returns options for `loadModel`
 * @throws EngineError NOT_FOUND or BAD_FILE for a configuration that cannot be read
 */
export async function loadOptions({ config, weights, tokenizer, precision }: LoadSettings): Promise<NodeLoadOptions> {
  return {
    precision,
    ...(config === undefined ? {} : { config: await readJson(config) }),
    ...(weights === undefined ? {} : { weights }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
  };
}
