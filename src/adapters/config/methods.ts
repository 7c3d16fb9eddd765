/** @file The methods of an adapter: one, or those that a union joins. */

import type { AdapterConfig, MethodConfig } from "./types.ts";

/** @returns the methods of a checked configuration. */
export function methodsOf(config: AdapterConfig): readonly MethodConfig[] {
  return config.architecture === "union" ? config.configs : [config];
}
