/** @file Random adapters, fusions and heads in the library's own folders and key names. */

import type { Config, Files } from "./adapter-files.ts";
import { Draw, TensorList, pythonJson } from "./random-draw.ts";
import { linearTensors, prefixTensors } from "./random-methods.ts";
import { drawBottleneck, drawLinear, drawPrefix, drawPrompt } from "./random-configs.ts";
import type { LinearKind } from "./random-configs.ts";
import type { RandomHost } from "./random-host.ts";

/** What can be drawn. */
export type AdapterKind = "bottleneck" | LinearKind | "prefix" | "prompt" | "mam" | "unipelt";

/** All kinds that a host can carry. */
export function kindsFor(host: RandomHost): readonly AdapterKind[] {
  const common: readonly AdapterKind[] = ["bottleneck", "lora", "ia3", "prefix", "mam", "unipelt"];
  return host.family === "bert" ? [...common, "dora", "vera", "dvora", "prompt"] : [...common, "dora"];
}

/** The path of the adapters of a residual site. */
function siteOf(host: RandomHost, layer: number, attention: boolean): string {
  if (host.family === "gpt2") return `h.${layer}.${attention ? "attention_adapters" : "output_adapters"}`;
  return `encoder.layer.${layer}.${attention ? "attention.output" : "output"}`;
}

/**
 * A random adapter folder: `adapter_config.json` and `adapter.safetensors`.
 * @param fields override fields of the (first) drawn configuration, such as `leave_out` or `is_parallel`.
 */
export function randomAdapter(
  host: RandomHost,
  name: string,
  kind: AdapterKind,
  seed: number,
  fields: Record<string, unknown> = {},
): Files {
  const draw = new Draw(seed);
  const methods = drawMethods(host, kind, draw, fields);
  const config: Config = methods.length === 1 ? (methods[0] as Config) : { architecture: "union", configs: methods };
  const tensors = new TensorList(draw);
  for (const method of methods) addMethod(tensors, host, name, method);
  const prefix = host.family === "bert" ? draw.pick(["bert.", ""]) : draw.pick(["transformer.", ""]);
  return {
    "adapter_config.json": pythonJson(envelope(host, name, config)),
    "adapter.safetensors": tensors.write(prefix),
  };
}

function drawMethods(host: RandomHost, kind: AdapterKind, draw: Draw, fields: Record<string, unknown>): Config[] {
  switch (kind) {
    case "bottleneck":
      return [drawBottleneck(host, draw, fields)];
    case "prefix":
      return [{ ...drawPrefix(draw, host.layers), ...fields }];
    case "prompt":
      return [{ ...drawPrompt(draw), ...fields }];
    case "mam": {
      const own = { is_parallel: true, original_ln_before: false, original_ln_after: true, mh_adapter: false };
      return [
        { ...drawPrefix(draw, host.layers), flat: false, use_gating: false, ...fields },
        drawBottleneck(host, draw, { ...own, output_adapter: true, ...fields }),
      ];
    }
    case "unipelt":
      return [
        { ...drawPrefix(draw, host.layers), use_gating: true, ...fields },
        drawBottleneck(host, draw, { use_gating: true, inv_adapter: null, ...fields }),
        { ...drawLinear(host, draw, "lora"), use_gating: true, ...fields },
      ];
    default:
      return [{ ...drawLinear(host, draw, kind), ...fields }];
  }
}

function envelope(host: RandomHost, name: string, config: Config): Config {
  return {
    config,
    hidden_size: host.width,
    model_class: host.family === "bert" ? "BertAdapterModel" : "GPT2AdapterModel",
    model_name: "",
    model_type: host.family,
    name,
    version: "adapters.1.2.0",
  };
}

function addMethod(tensors: TensorList, host: RandomHost, name: string, method: Config): void {
  switch (method["architecture"] ?? null) {
    case "prefix_tuning":
      prefixTensors(tensors, host, name, method);
      return;
    case "prompt_tuning": {
      const length = Number(method["prompt_length"]);
      tensors.add(`prompt_tuning.prompt_tunings.${name}.prompt_embedding.weight`, [length, host.width], 0.5);
      return;
    }
    case "lora":
      linearTensors(tensors, host, name, method);
      return;
    default:
      bottleneckTensors(tensors, host, name, method);
  }
}

function bottleneckTensors(tensors: TensorList, host: RandomHost, name: string, method: Config): void {
  const left = method["leave_out"] as number[];
  for (let layer = 0; layer < host.layers; layer++) {
    if (left.includes(layer)) continue;
    if (method["mh_adapter"] === true) oneBottleneck(tensors, host, name, method, layer, true);
    if (method["output_adapter"] === true) oneBottleneck(tensors, host, name, method, layer, false);
  }
  if (method["inv_adapter"] === "nice") {
    const half = host.width / 2;
    const inner = Math.floor(half / Number(method["inv_adapter_reduction_factor"]));
    for (const net of ["F", "G"]) {
      const path = `invertible_adapters.${name}.${net}`;
      tensors.linear(`${path}.0`, inner, half).linear(`${path}.2`, half, inner, 0.7);
    }
  }
  if (method["phm_layer"] === true) sharedPhm(tensors, host, name, method);
}

function widthOf(host: RandomHost, method: Config, layer: number): number {
  const factor = method["reduction_factor"] as number | Record<string, number>;
  const own = typeof factor === "number" ? factor : Number(factor[String(layer)] ?? factor["default"]);
  return Math.max(1, Math.floor(host.width / own));
}

function oneBottleneck(
  tensors: TensorList,
  host: RandomHost,
  name: string,
  method: Config,
  layer: number,
  attention: boolean,
): void {
  const path = `${siteOf(host, layer, attention)}.adapters.${name}.`;
  const { width } = host;
  const inner = widthOf(host, method, layer);
  const before = method["ln_before"] === true;
  if (before) tensors.norm(`${path}adapter_norm_before`, width);
  // The library saves a norm inside the down projection under both of its names.
  if (before) tensors.copy(`${path}adapter_norm_before.`, `${path}adapter_down.0.`);
  const down = `${path}adapter_down.${before ? 1 : 0}`;
  if (method["phm_layer"] === true) {
    phmTensors(tensors, down, method, width, inner);
    phmTensors(tensors, `${path}adapter_up`, method, inner, width);
  } else {
    tensors.linear(down, inner, width, 1.2).linear(`${path}adapter_up`, width, inner);
  }
  if (method["scaling"] === "learned") tensors.add(`${path}scaling`, [1], 0.3, 1);
  if (method["scaling"] === "channel") tensors.add(`${path}scaling`, [width], 0.3, 1);
  if (method["use_gating"] === true) tensors.linear(`${path}gate`, 1, width);
  if (method["ln_after"] === true) tensors.norm(`${path}adapter_norm_after`, width);
}

/** A Kronecker sum's own factors; `from` and `to` are the widths it maps between. */
function phmTensors(tensors: TensorList, path: string, method: Config, from: number, to: number): void {
  const dim = Number(method["phm_dim"]);
  if (method["shared_W_phm"] !== true) {
    phmBlocks(tensors, `${path}.W`, method, [from / dim, to / dim]);
  }
  if (method["shared_phm_rule"] !== true) phmRule(tensors, path, method);
  if (method["phm_bias"] === true) tensors.add(`${path}.b`, [to], 0.1);
}

function phmBlocks(tensors: TensorList, name: string, method: Config, [from, to]: readonly [number, number]): void {
  const dim = Number(method["phm_dim"]);
  const rank = Number(method["phm_rank"]);
  if (method["factorized_phm_W"] !== true) {
    tensors.add(name, [dim, from, to], 0.5);
    return;
  }
  tensors.add(`${name}_left`, [dim, from, rank], 0.7).add(`${name}_right`, [dim, rank, to], 0.7);
}

function phmRule(tensors: TensorList, path: string, method: Config): void {
  const dim = Number(method["phm_dim"]);
  if (method["factorized_phm_rule"] === true) {
    tensors.add(`${path}.phm_rule_left`, [dim, dim, 1], 0.6).add(`${path}.phm_rule_right`, [dim, 1, dim], 0.6);
  } else {
    tensors.add(`${path}.phm_rule`, [dim, dim, dim], 0.5);
  }
}

function sharedPhm(tensors: TensorList, host: RandomHost, name: string, method: Config): void {
  const path = `shared_parameters.${name}`;
  const dim = Number(method["phm_dim"]);
  if (method["shared_phm_rule"] === true) phmRule(tensors, path, method);
  if (method["shared_W_phm"] !== true) return;
  const outer = host.width / dim;
  const inner = widthOf(host, method, 0) / dim;
  phmBlocks(tensors, `${path}.W_down`, method, [outer, inner]);
  phmBlocks(tensors, `${path}.W_up`, method, [inner, outer]);
}

/** A random fusion folder, with weights at both sites of every layer whatever its adapters have. */
export function randomFusion(
  host: RandomHost,
  names: readonly string[],
  seed: number,
  fields: Record<string, unknown> = {},
): Files {
  const draw = new Draw(seed);
  const config: Config = {
    dropout_prob: null,
    key: draw.chance(0.8),
    query: draw.chance(0.8),
    query_before_ln: draw.chance(0.3),
    regularization: true,
    residual_before: draw.chance(0.3),
    temperature: false,
    value: draw.chance(0.7),
    value_before_softmax: draw.chance(0.7),
    value_initialized: true,
    ...fields,
  };
  const name = names.join(",");
  const tensors = new TensorList(draw);
  for (let layer = 0; layer < host.layers; layer++) {
    for (const attention of [true, false]) {
      const path = `${siteOf(host, layer, attention)}.adapter_fusion_layer.${name}.`;
      for (const part of ["query", "key"])
        if (config[part] === true) tensors.linear(path + part, host.width, host.width, 0.5);
      if (config["value"] === true) tensors.add(`${path}value.weight`, [host.width, host.width], 0.25);
    }
  }
  const prefix = host.family === "bert" ? "bert." : "transformer.";
  return {
    "adapter_fusion_config.json": pythonJson({ ...envelope(host, name, config), adapter_names: names }),
    "model_adapter_fusion.safetensors": tensors.write(prefix),
  };
}

/** The files of a random classification head, which stand in the adapter's own folder. */
export function randomHead(host: RandomHost, name: string, seed: number): Files {
  const draw = new Draw(seed);
  const labels = draw.integer(2, 5);
  const layers = draw.integer(1, 2);
  const tensors = new TensorList(draw);
  for (let layer = 0; layer < layers; layer++) {
    tensors.linear(`heads.${name}.${1 + 3 * layer}`, layer + 1 < layers ? host.width : labels, host.width);
  }
  const config = {
    head_type: "classification",
    num_labels: labels,
    layers,
    activation_function: "tanh",
    label2id: Object.fromEntries(Array.from({ length: labels }, (_, i) => [`LABEL_${i}`, i])),
    use_pooler: false,
    bias: true,
    dropout_prob: null,
  };
  return { "head_config.json": pythonJson(envelope(host, name, config)), "model_head.safetensors": tensors.write() };
}
