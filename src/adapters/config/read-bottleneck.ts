/** @file Reads and checks a bottleneck configuration (MATHS §2.1 to §2.3, Compacter and NICE of §2.8). */

import { activation, badField, checkLeaveOut, count, finite, flag, isNumber, isObject } from "./fields.ts";
import { layerList, nullable, oneOf, rate, readFields, seed, unsupported } from "./fields.ts";
import type { Field, Fields, RawConfig } from "./fields.ts";
import { bottleneckWidth, invertibleWidths, layersOf } from "./shapes.ts";
import type { AdapterHost, BottleneckConfig, ReductionFactor } from "./types.ts";

type ReadConfig = Omit<
  BottleneckConfig,
  "architecture" | "cross_adapter" | "inv_adapter" | "non_linearity_spelling"
> & {
  readonly architecture: null | "bottleneck";
  readonly cross_adapter: boolean;
  readonly inv_adapter: "nice" | "glow" | null;
};

const isFactor = (value: unknown): value is number => isNumber(value) && value > 0;

const reduction: Field<ReductionFactor> = {
  expected: 'a number above 0, or a map of layer numbers (and "default") to such numbers',
  parse: (value) => {
    if (isFactor(value)) return value;
    if (!isObject(value) || Object.keys(value).length === 0) return undefined;
    const legal = Object.entries(value).every(
      ([layer, factor]) => (layer === "default" || /^(0|[1-9]\d*)$/.test(layer)) && isFactor(factor),
    );
    return legal ? (value as Record<string, number>) : undefined;
  },
};

const scaling: Field<number | "learned" | "channel"> = {
  expected: 'a number, "learned" or "channel"',
  parse: (value) => (isNumber(value) || value === "learned" || value === "channel" ? value : undefined),
  fallback: 1,
};

const factor: Field<number> = {
  expected: "a number above 0",
  parse: (value) => (isFactor(value) ? value : undefined),
};

const fields: Fields<ReadConfig> = {
  architecture: nullable(oneOf(["bottleneck"])),
  mh_adapter: flag(),
  output_adapter: flag(),
  cross_adapter: flag(false),
  reduction_factor: reduction,
  non_linearity: activation(),
  original_ln_before: flag(false),
  original_ln_after: flag(true),
  ln_before: flag(false),
  ln_after: flag(false),
  residual_before_ln: oneOf([true, false, "post_add"], true),
  adapter_residual_before_ln: flag(false),
  is_parallel: flag(false),
  scaling,
  use_gating: flag(false),
  dropout: rate(0),
  init_weights: oneOf(["bert", "mam_adapter", "houlsby", "houlsby_2019"], "bert"),
  init_weights_seed: seed(),
  leave_out: layerList(),
  inv_adapter: nullable(oneOf(["nice", "glow"])),
  inv_adapter_reduction_factor: nullable(factor),
  phm_layer: flag(false),
  phm_dim: count(4),
  phm_rank: count(1),
  factorized_phm_W: flag(true),
  shared_W_phm: flag(false),
  shared_phm_rule: flag(true),
  factorized_phm_rule: flag(false),
  learn_phm: flag(true),
  phm_bias: flag(true),
  phm_c_init: oneOf(["normal", "uniform"], "normal"),
  phm_init_range: finite(0.0001),
  hypercomplex_nonlinearity: oneOf(["phm", "glorot-normal", "glorot-uniform", "normal"], "glorot-uniform"),
  stochastic_depth: rate(0),
  layer_adapter: flag(false),
  cross_layer_sharing: flag(false),
  bottleneck_width: nullable(count()),
};

/** The light path of CoDA: the defaults of every configuration at the layer site. */
const layerFields: Fields<ReadConfig> = {
  ...fields,
  mh_adapter: flag(false),
  output_adapter: flag(false),
  is_parallel: flag(true),
  reduction_factor: { ...reduction, fallback: 12 },
  non_linearity: activation("relu"),
  init_weights: oneOf(["bert", "mam_adapter", "houlsby", "houlsby_2019"], "mam_adapter"),
  init_weights_seed: seed(0),
};

/**
 * @param path what stands before field names in errors
 * @throws EngineError BAD_CONFIG or UNSUPPORTED naming the field
 */
export function readBottleneckConfig(raw: RawConfig, host: AdapterHost, path: string): BottleneckConfig {
  const read = readFields(raw, raw.layer_adapter === true ? layerFields : fields, path);
  const { cross_adapter, inv_adapter } = read;
  if (cross_adapter) {
    throw unsupported(`${path}cross_adapter`, "needs cross-attention", "the hosts here have none: set it to false");
  }
  if (inv_adapter === "glow") {
    throw unsupported(`${path}inv_adapter`, "is glow, whose library class is broken", 'use "nice" or null');
  }
  const spelling = typeof raw.non_linearity === "string" ? raw.non_linearity : read.non_linearity;
  const config = { ...read, architecture: null, cross_adapter, inv_adapter, non_linearity_spelling: spelling };
  checkLeaveOut(config.leave_out, host.layers, path);
  checkSites(config, path);
  checkResiduals(config, host, path);
  checkWidths(config, host, path);
  checkInvertible(config, host, path);
  if (config.phm_layer) checkPhm(config, host, path);
  return config;
}

function checkSites(config: BottleneckConfig, path: string): void {
  const places = config.mh_adapter || config.output_adapter;
  if (config.layer_adapter && places) {
    const where = `${path}layer_adapter`;
    throw badField(where, "excludes mh_adapter and output_adapter", "use two adapters, or a union");
  }
  if (config.layer_adapter && !config.is_parallel) {
    throw badField(`${path}is_parallel`, "is false at the layer site", "set it to true: a light path has no skip");
  }
  if (!config.layer_adapter && !places) {
    throw badField(`${path}mh_adapter, ${path}output_adapter`, "are both false", "set at least one of them to true");
  }
}

function checkResiduals(config: BottleneckConfig, host: AdapterHost, path: string): void {
  if (config.is_parallel && config.original_ln_before) {
    const fix = "leave it at its default, or set is_parallel to false";
    throw badField(
      `${path}original_ln_before`,
      "contradicts is_parallel: a parallel adapter reads the stream as it is",
      fix,
    );
  }
  if (!config.original_ln_after && !config.original_ln_before) {
    const where = `${path}original_ln_after`;
    throw badField(
      where,
      "is false without original_ln_before",
      "set original_ln_before to true: the host's add is lost",
    );
  }
  // A parallel adapter has no skip of its own: the library reads neither this field nor adapter_residual_before_ln there (MATHS §2.2).
  if (config.residual_before_ln !== "post_add" || config.is_parallel) return;
  const where = `${path}residual_before_ln`;
  if (host.normPosition === "pre") {
    throw badField(where, "is post_add on a host that norms first", "use true or false on this host");
  }
  if (!config.original_ln_before) {
    throw badField(where, "is post_add without original_ln_before", "set original_ln_before to true");
  }
}

function checkWidths(config: BottleneckConfig, host: AdapterHost, path: string): void {
  const where = `${path}reduction_factor`;
  const map = config.reduction_factor;
  const layers = layersOf(config, host);
  if (typeof map !== "number") {
    const outside = Object.keys(map).filter((layer) => layer !== "default" && Number(layer) >= host.layers);
    if (outside.length > 0) {
      throw badField(where, `names layers ${outside.join(", ")}`, `the host has layers 0 to ${host.layers - 1}`);
    }
    const missing = Object.hasOwn(map, "default") ? [] : layers.filter((layer) => !Object.hasOwn(map, layer));
    if (missing.length > 0) throw badField(where, `lacks layers ${missing.join(", ")}`, 'add them, or a "default"');
  }
  const widths = layers.map((layer) => bottleneckWidth(config, host.width, layer));
  const unsafe = widths.find((width) => !Number.isSafeInteger(width * host.width));
  if (unsafe !== undefined) throw badField(where, `gives a bottleneck of ${unsafe}`, "give a larger factor");
  if (config.cross_layer_sharing && new Set(widths).size > 1) {
    throw badField(where, "differs between layers that share weights", "give one number for cross_layer_sharing");
  }
}

function checkInvertible(config: BottleneckConfig, host: AdapterHost, path: string): void {
  if (config.inv_adapter === null) return;
  const where = `${path}inv_adapter_reduction_factor`;
  if (config.inv_adapter_reduction_factor === null) {
    throw badField(where, "is missing beside inv_adapter", "give a number, such as 2");
  }
  const empty = Object.values(invertibleWidths(config, host.width)).some(({ hidden }) => hidden < 1);
  if (empty) throw badField(where, `leaves no width of ${host.width} / 2`, "give a smaller factor");
}

function checkPhm(config: BottleneckConfig, host: AdapterHost, path: string): void {
  const { phm_dim, init_weights } = config;
  if (init_weights !== "bert") {
    const fix = 'use "bert", which leaves them to phm_c_init and hypercomplex_nonlinearity';
    throw badField(`${path}init_weights`, `is ${init_weights}, which PHM layers do not have`, fix);
  }
  if (config.shared_W_phm && !config.factorized_phm_W) {
    const fix = "set factorized_phm_W to true";
    throw unsupported(`${path}shared_W_phm`, "without factorized_phm_W fails in the library", fix);
  }
  if (config.shared_W_phm && typeof config.reduction_factor !== "number") {
    throw badField(`${path}reduction_factor`, "is a map beside shared_W_phm", "give one number for all layers");
  }
  // One factor gives every layer the width of layer 0, and the shared factors theirs where all layers are left out.
  const layers = typeof config.reduction_factor === "number" ? [0] : layersOf(config, host);
  const widths = [host.width, ...layers.map((layer) => bottleneckWidth(config, host.width, layer))];
  const odd = widths.find((width) => width % phm_dim !== 0);
  if (odd === undefined) return;
  throw badField(`${path}phm_dim`, `${phm_dim} does not divide the width ${odd}`, "change phm_dim or reduction_factor");
}
