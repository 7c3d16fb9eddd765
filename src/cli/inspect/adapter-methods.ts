/** @file What an adapter is, in words: its methods, where they stand, and the preset that it equals. */

import { methodsOf } from "../../adapters/config/methods.ts";
import { readAdapterConfig } from "../../adapters/config/read.ts";
import { adapterPresets } from "../../adapters/config/presets.ts";
import type { AdapterHost, BottleneckConfig, LoraConfig, MethodConfig } from "../../adapters/config/types.ts";
import { bottleneckWidth } from "../../adapters/config/shapes.ts";
import type { StoredAdapter } from "../../formats/adapter-hub/types.ts";

/** Layers with the same sites. */
export interface SiteGroup {
  readonly layers: readonly number[];
  readonly sites: readonly string[];
}

function listed(parts: readonly (string | false)[]): string {
  return parts.filter((part) => part !== false).join(", ");
}

function bottleneckText(config: BottleneckConfig, host: AdapterHost): string {
  const { mh_adapter: attention, output_adapter: ffn, layer_adapter: layer } = config;
  const places = layer ? "around the layer" : listed([attention && "attention", ffn && "feed-forward"]);
  const first = Array.from({ length: host.layers }, (_, index) => index).find((i) => !config.leave_out.includes(i));
  const width = bottleneckWidth(config, host.width, first ?? 0);
  const { scaling } = config;
  return listed([
    `${config.is_parallel ? "parallel bottleneck" : "bottleneck"} at ${places}`,
    `${host.width} → ${width} → ${host.width}`,
    config.non_linearity_spelling,
    config.phm_layer && `PHM of ${config.phm_dim} parts`,
    scaling !== 1 && `scaling ${scaling}`,
    config.ln_before && "norm before",
    config.ln_after && "norm after",
    config.use_gating && "gated",
    config.cross_layer_sharing && "one set of weights for all layers",
    config.inv_adapter !== null && "invertible at the embedding",
  ]);
}

function loraText(config: LoraConfig): string {
  const { composition_mode: mode, vera_d: vera, use_dora: dora, r, alpha } = config;
  const maps = [
    ...(config.selfattn_lora ? config.attn_matrices : []),
    ...(config.intermediate_lora ? ["up"] : []),
    ...(config.output_lora ? ["down"] : []),
  ];
  const name = mode === "scale" ? "IA³" : vera === null ? (dora ? "DoRA" : "LoRA") : dora ? "DVoRA" : "VeRA";
  return listed([
    `${name} on ${maps.join(", ")}`,
    mode === "add" && `rank ${r}`,
    mode === "add" && `alpha ${alpha}`,
    config.use_gating && "gated",
  ]);
}

function methodText(config: MethodConfig, host: AdapterHost): string {
  switch (config.architecture) {
    case "lora":
      return loraText(config);
    case "prefix_tuning":
      return listed([
        `prefix of ${config.prefix_length} keys and values`,
        config.flat ? "flat" : `through a bottleneck of ${config.bottleneck_size}`,
        config.use_gating && "gated",
      ]);
    case "prompt_tuning":
      return `prompt of ${config.prompt_length} rows, ${config.combine === "prefix" ? "before all tokens" : "after the first token"}`;
    default:
      return bottleneckText(config, host);
  }
}

function peftText({ config, tensors }: StoredAdapter): string {
  const type = String(config["peft_type"]);
  if (type === "PREFIX_TUNING" || type === "PROMPT_TUNING") {
    const kind = type === "PREFIX_TUNING" ? "prefix of keys and values" : "prompt of word vectors";
    return `${kind}, ${String(config["num_virtual_tokens"])} rows (PEFT)`;
  }
  const maps = new Set([...tensors.keys()].flatMap((name) => /^layers\.\d+\.(\w+)\./.exec(name)?.[1] ?? []));
  const ranks = new Set<number>();
  for (const [name, { shape }] of tensors) if (name.endsWith(".lora_A")) ranks.add(shape[0] as number);
  const dora = [...tensors.keys()].some((name) => name.endsWith(".m.weight"));
  const name = type === "IA3" ? "IA³" : dora ? "DoRA" : "LoRA";
  return listed([`${name} on ${[...maps].join(", ")}`, ranks.size > 0 && `rank ${[...ranks].join(", ")}`, "(PEFT)"]);
}

/** Presets that describe the same adapter on this host. */
function presetsOf(config: unknown, host: AdapterHost): string[] {
  const text = JSON.stringify(config);
  return Object.keys(adapterPresets).filter((preset) => {
    try {
      return JSON.stringify(readAdapterConfig(preset, host)) === text;
    } catch {
      // A preset that cannot stand on this host, such as one whose parts do not divide the width.
      return false;
    }
  });
}

/**
 * @returns one line per method, and the names of presets that are the same
 * @throws EngineError BAD_CONFIG, UNSUPPORTED, UNKNOWN_NAME for a configuration that cannot be
 */
export function describeMethods(stored: StoredAdapter, host: AdapterHost): { methods: string[]; presets: string[] } {
  if (stored.format === "peft") return { methods: [peftText(stored)], presets: [] };
  const { preset } = stored.config;
  const config = readAdapterConfig(typeof preset === "string" ? preset : stored.config, host);
  const parts = methodsOf(config);
  return { methods: parts.map((part) => methodText(part, host)), presets: presetsOf(config, host) };
}

function siteOf(name: string): { layer: number | null; site: string } | null {
  const [, layer, part = ""] = /^layers\.(\d+)\.([a-z_]+)/.exec(name) ?? [];
  const known: Readonly<Record<string, string>> = { adapter_down: "layer", adapter_up: "layer", prefix_gate: "prefix" };
  if (layer !== undefined) return { layer: Number(layer), site: known[part] ?? part };
  const shared = /^shared\.(attention|ffn|layer)\./.exec(name)?.[1];
  if (shared !== undefined) return { layer: null, site: shared };
  return name.startsWith("prefix.") ? { layer: null, site: "prefix" } : null;
}

/** @returns the sites of every layer, as the tensors name them, and those at the embedding. */
export function sitesOf(
  { tensors, config }: StoredAdapter,
  layers: number,
): { groups: SiteGroup[]; embedding: string[] } {
  const found = Array.from({ length: layers }, () => new Set<string>());
  const parts = (config["configs"] ?? [config]) as readonly Readonly<Record<string, unknown>>[];
  const leftOut = (prefix: boolean): Set<number> => {
    const own = parts.filter(({ architecture }) => (architecture === "prefix_tuning") === prefix);
    return new Set(own.flatMap((part) => (part["leave_out"] as readonly number[] | undefined) ?? []));
  };
  for (const name of tensors.keys()) {
    const at = siteOf(name);
    if (at === null) continue;
    if (at.layer !== null) found[at.layer]?.add(at.site);
    else {
      const left = leftOut(at.site === "prefix");
      found.forEach((sites, layer) => left.has(layer) || sites.add(at.site));
    }
  }
  const groups = new Map<string, { layers: number[]; sites: string[] }>();
  found.forEach((sites, layer) => {
    const key = [...sites].sort().join();
    const group = groups.get(key) ?? { layers: [], sites: [...sites] };
    group.layers.push(layer);
    groups.set(key, group);
  });
  const names = [...tensors.keys()];
  const embedding = ["prompt", "invertible"].filter((kind) => names.some((name) => name.startsWith(`${kind}.`)));
  return { groups: [...groups.values()], embedding };
}

/** @returns layer numbers with runs drawn together: 0–4, 7. */
export function formatLayers(layers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === layer - 1) last[1] = layer;
    else runs.push([layer, layer]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}–${to}`)).join(", ");
}
