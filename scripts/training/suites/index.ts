/** @file All suites by name. */

import type { Suite } from "../suite.ts";
import { digits } from "./digits.ts";
import { images } from "./images.ts";
import { languageGpu } from "./language-gpu.ts";
import { language } from "./language.ts";
import { moleculesGpu } from "./molecules-gpu.ts";
import { molecules } from "./molecules.ts";

/** Those for a software adapter, and those for a GPU. */
export const suites: Readonly<Record<string, Suite>> = {
  digits,
  molecules,
  images,
  language,
  "molecules-gpu": moleculesGpu,
  "language-gpu": languageGpu,
};
