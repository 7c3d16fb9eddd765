/** @file Reads and checks prefix tuning and prompt tuning (MATHS §2.8). */

import {
  activation,
  badField,
  checkLeaveOut,
  count,
  flag,
  layerList,
  nullable,
  oneOf,
  rate,
  readFields,
} from "./fields.ts";
import { seed } from "./fields.ts";
import type { Fields, RawConfig } from "./fields.ts";
import { layersOf } from "./shapes.ts";
import type { AdapterHost, PrefixConfig, PromptConfig } from "./types.ts";

const prefixFields: Fields<Omit<PrefixConfig, "non_linearity_spelling">> = {
  architecture: oneOf(["prefix_tuning"]),
  encoder_prefix: flag(true),
  cross_prefix: flag(true),
  leave_out: layerList(),
  flat: flag(false),
  prefix_length: count(30),
  bottleneck_size: count(512),
  non_linearity: activation("tanh"),
  dropout: rate(0),
  use_gating: flag(false),
  shared_gating: flag(true),
  init_weights_seed: seed(),
};

const promptFields: Fields<PromptConfig> = {
  architecture: oneOf(["prompt_tuning"]),
  prompt_length: count(10),
  prompt_init: oneOf(["random_uniform", "from_string"], "random_uniform"),
  prompt_init_text: nullable({
    expected: "a text",
    parse: (value) => (typeof value === "string" ? value : undefined),
  }),
  combine: oneOf(["prefix", "prefix_after_bos"], "prefix"),
  init_weights_seed: seed(),
};

/**
 * @param path what stands before field names in errors
 * @throws EngineError BAD_CONFIG naming the field
 */
export function readPrefixConfig(raw: RawConfig, host: AdapterHost, path: string): PrefixConfig {
  const read = readFields(raw, prefixFields, path);
  const spelling = typeof raw.non_linearity === "string" ? raw.non_linearity : read.non_linearity;
  checkLeaveOut(read.leave_out, host.layers, path);
  if (layersOf(read, host).length === 0) {
    throw badField(`${path}leave_out`, "leaves no layer for the prefix", "leave at least one layer in");
  }
  return { ...read, non_linearity_spelling: spelling };
}

/**
 * @param path what stands before field names in errors
 * @throws EngineError BAD_CONFIG naming the field
 */
export function readPromptConfig(raw: RawConfig, path: string): PromptConfig {
  const config = readFields(raw, promptFields, path);
  if (config.prompt_init === "from_string" && !config.prompt_init_text) {
    throw badField(`${path}prompt_init_text`, "is empty with prompt_init from_string", "give the text");
  }
  return config;
}
