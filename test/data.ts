/** @file Where the shared real models and data sets are; tests that need them skip visibly where they are absent. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The data folder beside the repository. */
export const dataFolder: string = fileURLToPath(new URL("../../shared/data/", import.meta.url));

/** @returns the path of a data set, whether it is there or not. */
export function dataPath(name: string): string {
  return `${dataFolder}${name}`;
}

/** @returns true when a data set is absent: `describe.skipIf(missing("gpt-nano-sort"))`. */
export function missing(name: string): boolean {
  return !existsSync(dataPath(name));
}
