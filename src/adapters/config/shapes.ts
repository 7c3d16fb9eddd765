/**
 * @file The tensors of an adapter: canonical names and shapes, row-major f32, Linear weights [out, in] (MATHS §2.1, §2.7, §2.8).
 * They are grouped into modules, which is how fresh ones are drawn.
 */

import type { AdapterConfig, AdapterHost, BottleneckConfig, LoraConfig, MethodConfig } from "./types.ts";
import type { PrefixConfig } from "./types.ts";

/** A tensor's shape. */
export type Shape = readonly number[];

/** The linear maps of a layer that a method of the LoRA family can change. */
export type LoraMapName = "query" | "key" | "value" | "proj" | "up" | "down";

/** A linear map with its widths. */
export interface LoraMap {
  readonly name: LoraMapName;
  readonly inputs: number;
  readonly outputs: number;
}

/** Tensors that belong together, under one prefix; `tensors` has them in the order in which they are drawn. */
export interface AdapterModule {
  readonly kind: "bottleneck" | "phm" | "invertible" | "lora" | "vera" | "prefix" | "prefix gate" | "prompt";
  readonly prefix: string;
  readonly config: MethodConfig;
  /** The layer, null where the module serves several. */
  readonly layer: number | null;
  readonly map: LoraMap | null;
  readonly tensors: ReadonlyMap<string, Shape>;
}

/** The layers that carry a method. */
export function layersOf(config: { readonly leave_out: readonly number[] }, host: AdapterHost): number[] {
  return Array.from({ length: host.layers }, (_, layer) => layer).filter((layer) => !config.leave_out.includes(layer));
}

/** b = width // factor as Python divides floats, at least 1; or the fixed width (MATHS §2.1). */
export function bottleneckWidth(
  config: Pick<BottleneckConfig, "reduction_factor" | "bottleneck_width">,
  width: number,
  layer: number,
): number {
  if (config.bottleneck_width !== null) return config.bottleneck_width;
  const map = config.reduction_factor;
  const factor = typeof map === "number" ? map : ((Object.hasOwn(map, layer) ? map[layer] : map.default) ?? 1);
  return Math.max(1, Math.round((width - (width % factor)) / factor));
}

/** Widths of the two networks of a NICE coupling: F reads the second half and writes the first, G the other way. */
export function invertibleWidths(
  config: Pick<BottleneckConfig, "inv_adapter_reduction_factor">,
  width: number,
): Record<"F" | "G", { readonly inputs: number; readonly hidden: number; readonly outputs: number }> {
  const first = Math.floor(width / 2);
  const second = width - first;
  const factor = config.inv_adapter_reduction_factor ?? 1;
  const hidden = (inputs: number): number => Math.round((inputs - (inputs % factor)) / factor);
  return {
    F: { inputs: second, hidden: hidden(second), outputs: first },
    G: { inputs: first, hidden: hidden(first), outputs: second },
  };
}

/** The linear maps that a configuration changes in every layer it does not leave out. */
export function loraMaps(config: LoraConfig, host: AdapterHost): LoraMap[] {
  const { width, ffnWidth } = host;
  const inner = host.heads * host.headWidth;
  const chosen = (letter: LoraConfig["attn_matrices"][number]): boolean =>
    config.selfattn_lora && config.attn_matrices.includes(letter);
  const all: [boolean, LoraMap][] = [
    [chosen("q"), { name: "query", inputs: width, outputs: inner }],
    [chosen("k"), { name: "key", inputs: width, outputs: inner }],
    [chosen("v"), { name: "value", inputs: width, outputs: inner }],
    [chosen("o"), { name: "proj", inputs: inner, outputs: width }],
    [config.intermediate_lora, { name: "up", inputs: width, outputs: ffnWidth }],
    [config.output_lora, { name: "down", inputs: ffnWidth, outputs: width }],
  ];
  return all.filter(([wanted]) => wanted).map(([, map]) => map);
}

/**
 * Canonical names and shapes of everything that a checked configuration owns on a host.
 * @example
 * expectedTensors(readAdapterConfig("seq_bn", host), host).get("layers.0.ffn.adapter_down.0.weight"); // [48, 768]
 */
export function expectedTensors(config: AdapterConfig, host: AdapterHost): Map<string, Shape> {
  return new Map(
    adapterModules(config, host).flatMap(({ prefix, tensors }) =>
      Array.from(tensors, ([tail, shape]) => [prefix + tail, shape] as const),
    ),
  );
}

/** The modules of a checked configuration, layer by layer. */
export function adapterModules(config: AdapterConfig, host: AdapterHost): AdapterModule[] {
  switch (config.architecture) {
    case "union":
      return config.configs.flatMap((method) => adapterModules(method, host));
    case "lora":
      return loraModules(config, host);
    case "prefix_tuning":
      return prefixModules(config, host);
    case "prompt_tuning": {
      const tensors = new Map([["weight", [config.prompt_length, host.width]]]);
      return [{ kind: "prompt", prefix: "prompt.", config, layer: null, map: null, tensors }];
    }
    default:
      return bottleneckModules(config, host);
  }
}

function bottleneckModules(config: BottleneckConfig, host: AdapterHost): AdapterModule[] {
  const { width } = host;
  const layers = layersOf(config, host);
  const places = config.layer_adapter
    ? [""]
    : [...(config.mh_adapter ? ["attention."] : []), ...(config.output_adapter ? ["ffn."] : [])];
  const common = { config, map: null };
  const modules: AdapterModule[] = [];
  const shared = config.phm_layer ? sharedPhmTensors(config, width) : new Map<string, Shape>();
  if (shared.size > 0) {
    modules.push({ kind: "phm", prefix: "shared_parameters.", ...common, layer: null, tensors: shared });
  }
  // Layers that share are one module; its width is that of any of them.
  const owners = config.cross_layer_sharing ? layers.slice(0, 1) : layers;
  for (const owner of owners) {
    const layer = config.cross_layer_sharing ? null : owner;
    const room = layer === null ? "shared." : `layers.${layer}.`;
    const tensors = bottleneckTensors(config, width, bottleneckWidth(config, width, owner));
    for (const place of places) {
      const named = layer === null && place === "" ? "layer." : place;
      modules.push({ kind: "bottleneck", prefix: room + named, ...common, layer, tensors });
    }
  }
  if (config.inv_adapter === null) return modules;
  for (const [name, { inputs, hidden, outputs }] of Object.entries(invertibleWidths(config, width))) {
    const tensors = new Map([...linear("0.", inputs, hidden), ...linear("2.", hidden, outputs)]);
    modules.push({ kind: "invertible", prefix: `invertible.${name}.`, ...common, layer: null, tensors });
  }
  return modules;
}

function linear(prefix: string, inputs: number, outputs: number): [string, Shape][] {
  return [
    [`${prefix}weight`, [outputs, inputs]],
    [`${prefix}bias`, [outputs]],
  ];
}

function bottleneckTensors(config: BottleneckConfig, width: number, bottleneck: number): Map<string, Shape> {
  const project = config.phm_layer ? phmTensors.bind(null, config) : linear;
  const norm = (name: string): [string, Shape][] => [
    [`${name}.weight`, [width]],
    [`${name}.bias`, [width]],
  ];
  const scaling: [string, Shape][] =
    typeof config.scaling === "number" ? [] : [["scaling", [config.scaling === "learned" ? 1 : width]]];
  return new Map([
    ...(config.ln_before ? norm("adapter_norm_before") : []),
    ...project("adapter_down.0.", width, bottleneck),
    ...project("adapter_up.", bottleneck, width),
    ...scaling,
    ...(config.ln_after ? norm("adapter_norm_after") : []),
    ...(config.use_gating ? linear("gate.", width, 1) : []),
  ]);
}

/** The factors of one PHM layer, W = Σ_i kron(R_i, L_i M_i); what is shared stands elsewhere. */
function phmTensors(config: BottleneckConfig, prefix: string, inputs: number, outputs: number): [string, Shape][] {
  const own: [string, Shape][] = [];
  if (!config.shared_phm_rule) own.push(...phmRule(config));
  if (!config.shared_W_phm) own.push(...phmFactors(config, "W", inputs, outputs));
  if (config.phm_bias) own.push(["b", [outputs]]);
  return own.map(([tail, shape]) => [prefix + tail, shape]);
}

function phmRule({ phm_dim: n, factorized_phm_rule }: BottleneckConfig): [string, Shape][] {
  if (!factorized_phm_rule) return [["phm_rule", [n, n, n]]];
  return [
    ["phm_rule_left", [n, n, 1]],
    ["phm_rule_right", [n, 1, n]],
  ];
}

function phmFactors(config: BottleneckConfig, name: string, inputs: number, outputs: number): [string, Shape][] {
  const { phm_dim: n, phm_rank: rank } = config;
  if (!config.factorized_phm_W) return [[name, [n, inputs / n, outputs / n]]];
  return [
    [`${name}_left`, [n, inputs / n, rank]],
    [`${name}_right`, [n, rank, outputs / n]],
  ];
}

function sharedPhmTensors(config: BottleneckConfig, width: number): Map<string, Shape> {
  const bottleneck = bottleneckWidth(config, width, 0);
  return new Map([
    ...(config.shared_phm_rule ? phmRule(config) : []),
    ...(config.shared_W_phm
      ? [...phmFactors(config, "W_down", width, bottleneck), ...phmFactors(config, "W_up", bottleneck, width)]
      : []),
  ]);
}

function loraModules(config: LoraConfig, host: AdapterHost): AdapterModule[] {
  const maps = loraMaps(config, host);
  const modules: AdapterModule[] = [];
  const [first] = maps;
  const isVera = config.vera_d !== null;
  if (isVera && first !== undefined) {
    const tensors = new Map<string, Shape>(loraPair(config.r, first));
    modules.push({ kind: "vera", prefix: "shared_parameters.", config, layer: null, map: null, tensors });
  }
  for (const layer of layersOf(config, host)) {
    for (const map of maps) {
      const tensors = loraTensors(config, map);
      modules.push({ kind: "lora", prefix: `layers.${layer}.${map.name}.`, config, layer, map, tensors });
    }
  }
  return modules;
}

function loraPair(r: number, { inputs, outputs }: LoraMap): [string, Shape][] {
  return [
    ["lora_A", [r, inputs]],
    ["lora_B", [outputs, r]],
  ];
}

function loraTensors(config: LoraConfig, map: LoraMap): Map<string, Shape> {
  const { r } = config;
  const { inputs, outputs } = map;
  const vera: [string, Shape][] = [
    ["vera_D", [r, r]],
    ["vera_B", [outputs, outputs]],
  ];
  const own: [string, Shape][] =
    config.vera_d !== null ? vera : config.composition_mode === "scale" ? [["lora_B", [outputs, 1]]] : loraPair(r, map);
  return new Map([
    ...own,
    ...(config.use_dora ? ([["m.weight", [outputs, 1]]] as const) : []),
    ...(config.use_gating ? linear("gate.", inputs, 1) : []),
  ]);
}

function prefixModules(config: PrefixConfig, host: AdapterHost): AdapterModule[] {
  const { width } = host;
  const layers = layersOf(config, host);
  // Left-out layers have no block: the numbering of keys and values closes up (MATHS §2.8).
  const values = layers.length * 2 * host.heads * host.headWidth;
  const { prefix_length: length, bottleneck_size: bottleneck } = config;
  const tensors = new Map<string, Shape>(
    config.flat
      ? [["control_trans", [length * values]]]
      : [
          ["wte.weight", [length, width]],
          ...linear("control_trans.0.", width, bottleneck),
          ...linear("control_trans.2.", bottleneck, values),
        ],
  );
  const modules: AdapterModule[] = [{ kind: "prefix", prefix: "prefix.", config, layer: null, map: null, tensors }];
  if (!config.use_gating) return modules;
  const gate = new Map<string, Shape>(linear("", width, config.shared_gating ? 1 : 2));
  for (const layer of layers) {
    const prefix = `layers.${layer}.prefix_gate.`;
    modules.push({ kind: "prefix gate", prefix, config, layer, map: null, tensors: gate });
  }
  return modules;
}
