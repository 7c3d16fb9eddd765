/** @file Reads and checks a configuration of the LoRA family: LoRA, IA³, DoRA, VeRA (MATHS §2.7). */

import {
  badField,
  checkLeaveOut,
  count,
  finite,
  flag,
  layerList,
  nullable,
  oneOf,
  rate,
  readFields,
  seed,
} from "./fields.ts";
import type { Field, Fields, RawConfig } from "./fields.ts";
import { loraMaps } from "./shapes.ts";
import type { AdapterHost, LoraConfig } from "./types.ts";

type Matrix = LoraConfig["attn_matrices"][number];

const MATRICES: ReadonlySet<unknown> = new Set(["q", "k", "v", "o"]);

const matrices: Field<readonly Matrix[]> = {
  expected: "a list without repeats of q, k, v, o",
  parse: (value) => {
    if (!Array.isArray(value) || !value.every((one) => MATRICES.has(one))) return undefined;
    return new Set(value).size === value.length ? (value as Matrix[]) : undefined;
  },
  fallback: ["q", "v"],
};

const fields: Fields<LoraConfig> = {
  architecture: oneOf(["lora"]),
  selfattn_lora: flag(true),
  intermediate_lora: flag(false),
  output_lora: flag(false),
  leave_out: layerList(),
  r: count(8),
  alpha: finite(8),
  dropout: rate(0),
  attn_matrices: matrices,
  composition_mode: oneOf(["add", "scale"], "add"),
  init_weights: oneOf(["lora", "bert", "ia3", "vera"], "lora"),
  init_weights_seed: seed(),
  use_gating: flag(false),
  use_dora: flag(false),
  vera_d: nullable(finite()),
  vera_b: nullable(finite()),
  dtype: nullable(oneOf(["float32", "float16", "bfloat16"])),
};

/**
 * @param path what stands before field names in errors
 * @throws EngineError BAD_CONFIG naming the field
 */
export function readLoraConfig(raw: RawConfig, host: AdapterHost, path: string): LoraConfig {
  const config = readFields(raw, fields, path);
  checkLeaveOut(config.leave_out, host.layers, path);
  const maps = loraMaps(config, host);
  if (maps.length === 0) {
    const fix = "set selfattn_lora with attn_matrices, intermediate_lora or output_lora";
    throw badField(`${path}attn_matrices`, "and the other switches choose no matrix", fix);
  }
  if (config.composition_mode === "scale") checkScale(config, path);
  if (config.vera_d === null && config.vera_b === null) return config;
  if (config.vera_d === null || config.vera_b === null) {
    const name = config.vera_d === null ? "vera_d" : "vera_b";
    throw badField(path + name, "is missing beside the other of vera_d and vera_b", "give both or neither");
  }
  const shapes = new Set(maps.map(({ inputs, outputs }) => `${outputs} × ${inputs}`));
  if (shapes.size > 1) {
    const fix = "VeRA shares one pair of matrices: choose maps of one shape";
    throw badField(`${path}vera_d`, `is set for matrices of the shapes ${[...shapes].join(", ")}`, fix);
  }
  return config;
}

/** IA³ is one vector per map: no rank, no dropout, nothing to decompose. */
function checkScale(config: LoraConfig, path: string): void {
  const refuse = (name: string, problem: string, fix: string): never => {
    throw badField(path + name, `${problem} with composition_mode scale`, fix);
  };
  if (config.r !== 1) refuse("r", `is ${config.r}`, "set r to 1");
  if (config.dropout > 0) refuse("dropout", "is set", "set dropout to 0");
  if (config.use_dora) refuse("use_dora", "is set", "use composition_mode add for DoRA");
  if (config.vera_d !== null) refuse("vera_d", "is set", "use composition_mode add for VeRA");
  if (config.vera_b !== null) refuse("vera_b", "is set", "use composition_mode add for VeRA");
  if (config.init_weights === "vera") refuse("init_weights", "is vera", "use ia3");
}
