/**
 * @file The configuration of a bottleneck adapter at the layer site, its weights and their initial values.
 * A(x) = scaling · (act(x Wdᵀ + cd) Wuᵀ + cu), Wd [b, d], Wu [d, b] (MATHS §2.2, the parallel form without inner skip).
 */

import { EngineError } from "../errors.ts";
import { activationCodes } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";

/** How fresh weights are drawn (MATHS §2.1 `init_weights`). */
export type AdapterInit = "bert" | "mam_adapter" | "houlsby";

/**
 * Fields of a bottleneck adapter around a whole layer. Names are those of the `adapters` library's BnConfig;
 * `layer_adapter` is ours and names the layer site, where CoDA puts its light path.
 */
export interface BottleneckConfig {
  readonly layer_adapter: true;
  readonly is_parallel: true;
  /** b = floor(d / reduction_factor), at least 1. */
  readonly reduction_factor: number;
  readonly non_linearity: ActivationName;
  readonly scaling: number;
  readonly init_weights: AdapterInit;
  readonly init_weights_seed: number;
  /** Layers without the adapter. */
  readonly leave_out: readonly number[];
}

/** Weights of one layer's adapter, row-major f32. */
export interface BottleneckWeights {
  readonly down: Float32Array;
  readonly downBias: Float32Array;
  readonly up: Float32Array;
  readonly upBias: Float32Array;
}

/** The presets there are: `coda` is the light path of a CoDA layer. */
const presets: Readonly<Record<string, BottleneckConfig>> = {
  coda: {
    layer_adapter: true,
    is_parallel: true,
    reduction_factor: 12,
    non_linearity: "relu",
    scaling: 1,
    init_weights: "mam_adapter",
    init_weights_seed: 0,
    leave_out: [],
  },
};

/** Names that the methods of the adapters library have; their sites are not built yet. */
const planned: ReadonlySet<string> = new Set([
  "seq_bn",
  "double_seq_bn",
  "par_bn",
  "scaled_par_bn",
  "pfeiffer",
  "houlsby",
  "parallel",
  "scaled_parallel",
  "compacter",
  "compacter++",
  "seq_bn_inv",
  "double_seq_bn_inv",
  "prefix_tuning",
  "prefix_tuning_flat",
  "prompt_tuning",
  "lora",
  "ia3",
  "mam",
  "unipelt",
]);

function refuse(field: string, value: unknown, expected: string): never {
  const message = `adapter config: ${field} is ${JSON.stringify(value) ?? "missing"}, expected ${expected}`;
  throw new EngineError("BAD_CONFIG", message, { where: field });
}

/**
 * Reads a preset name or a configuration.
 * @throws EngineError BAD_CONFIG naming the field; NOT_IMPLEMENTED for methods and sites that are not built yet
 */
export function readBottleneck(config: string | Readonly<Record<string, unknown>>): BottleneckConfig {
  if (typeof config === "string") {
    const preset = Object.hasOwn(presets, config) ? presets[config] : undefined;
    if (preset !== undefined) return preset;
    const code = planned.has(config) ? "NOT_IMPLEMENTED" : "UNKNOWN_NAME";
    throw new EngineError(code, `there is no adapter preset ${config} yet`, {
      where: config,
      fix: `use one of ${Object.keys(presets).join(", ")}`,
    });
  }
  const base = presets.coda as BottleneckConfig;
  for (const [field, value] of Object.entries(config)) {
    if (field in base || value === undefined || value === null || value === false) continue;
    const message = `adapter config: ${field} is not there yet; only a parallel bottleneck at the layer site is`;
    throw new EngineError("NOT_IMPLEMENTED", message, {
      where: field,
      fix: "use { layer_adapter: true, is_parallel: true, ... }",
    });
  }
  const merged = { ...base, ...Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined)) };
  return check(merged as Record<string, unknown>);
}

function check(config: Record<string, unknown>): BottleneckConfig {
  const { reduction_factor, non_linearity, scaling, init_weights, init_weights_seed, leave_out } = config;
  if (config.layer_adapter !== true || config.is_parallel !== true)
    refuse("layer_adapter and is_parallel", false, "true");
  if (typeof reduction_factor !== "number" || !(reduction_factor > 0) || !Number.isFinite(reduction_factor)) {
    refuse("reduction_factor", reduction_factor, "a number above 0");
  }
  const name = non_linearity === "swish" ? "silu" : non_linearity;
  if (typeof name !== "string" || !Object.hasOwn(activationCodes, name)) {
    refuse("non_linearity", non_linearity, `one of ${Object.keys(activationCodes).join(", ")}`);
  }
  if (typeof scaling !== "number" || !Number.isFinite(scaling)) refuse("scaling", scaling, "a number");
  if (init_weights !== "bert" && init_weights !== "mam_adapter" && init_weights !== "houlsby") {
    refuse("init_weights", init_weights, "bert, mam_adapter or houlsby");
  }
  if (typeof init_weights_seed !== "number" || !Number.isInteger(init_weights_seed))
    refuse("init_weights_seed", init_weights_seed, "an integer");
  if (!Array.isArray(leave_out) || !leave_out.every((layer) => Number.isInteger(layer) && layer >= 0)) {
    refuse("leave_out", leave_out, "a list of layer numbers");
  }
  return { ...config, non_linearity: name } as unknown as BottleneckConfig;
}

/** b = floor(d / reduction_factor), at least 1 (MATHS §2.1). */
export function bottleneckWidth(config: BottleneckConfig, width: number): number {
  return Math.max(1, Math.floor(width / config.reduction_factor));
}
