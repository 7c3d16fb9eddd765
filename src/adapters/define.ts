/**
 * @file An adapter as it is defined: a configuration with tensors that fit it and the host, checked as a whole before
 * anything is packed. What does not fit is listed in one error.
 */

import { methodsOf } from "./config/methods.ts";
import { EngineError } from "../errors.ts";
import type { LinearMap } from "../sites/site.ts";
import { initialTensors } from "./config/initial.ts";
import type { BaseRowNorms } from "./config/initial.ts";
import { readAdapterConfig } from "./config/read.ts";
import { expectedTensors } from "./config/shapes.ts";
import type { AdapterConfig, AdapterHost } from "./config/types.ts";
import type { FrozenMap, PartSettings } from "./linear-parts.ts";
import { packAdapter, packPeft, groupShape } from "./pack.ts";
import type { PeftParts } from "./pack.ts";
import { groupOf } from "./pack-linear.ts";
import type { PackedAdapter } from "./packed.ts";
import { misfits, need, refuseMisfits } from "./tensors.ts";
import type { AdapterTensors } from "./tensors.ts";

/** An adapter's own description, as a file or a program gives it. */
export interface AdapterSource {
  readonly format: "hub" | "peft";
  readonly config: string | Readonly<Record<string, unknown>>;
  /** By canonical name; absent: fresh ones are drawn. */
  readonly tensors?: AdapterTensors | undefined;
  /** Of fresh ones, where the configuration has none; 0 when absent. */
  readonly seed?: number | undefined;
  /** File keys that belong to nothing. */
  readonly unexpected?: readonly string[];
  /** For messages. */
  readonly where: string;
}

/** A checked adapter. */
export interface AdapterDefinition {
  readonly format: "hub" | "peft";
  /** The configuration with every field; null for PEFT, whose own description is kept as it is. */
  readonly config: AdapterConfig | null;
  readonly peft: Readonly<Record<string, unknown>> | null;
  readonly tensors: AdapterTensors;
}

/** @returns whether tensors are those of a DoRA. */
export function measuresHost(tensors: AdapterTensors): boolean {
  return [...tensors.keys()].some((name) => name.endsWith(".m.weight"));
}

/** @returns true when packing asks for the frozen weights: DoRA's norm is over W + BA. */
export function needsFrozen(source: AdapterSource): boolean {
  if (source.tensors !== undefined) return measuresHost(source.tensors);
  const { config } = source;
  return typeof config === "string" ? /^dv?ora$/.test(config) : JSON.stringify(config).includes('"use_dora":true');
}

/**
 * Checks an adapter against a host.
 * @throws EngineError BAD_CONFIG, UNSUPPORTED; BAD_WEIGHTS listing every missing, unexpected, wrongly shaped or non-finite tensor
 */
export function defineAdapter(source: AdapterSource, host: AdapterHost, frozen?: FrozenMap): AdapterDefinition {
  const expected = source.format === "hub" ? readAdapterConfig(source.config, host) : null;
  if (source.tensors === undefined) {
    if (expected === null) throw new EngineError("BAD_CONFIG", "a PEFT adapter needs tensors", { where: source.where });
    const norms = frozen === undefined ? undefined : rowNorms(frozen);
    return { format: "hub", config: expected, peft: null, tensors: initialTensors(expected, host, source.seed, norms) };
  }
  const shapes = expected === null ? peftShapes(source, host) : libraryShapes(expected, source.tensors, host);
  const tensors = checkTensors(source.tensors, shapes, source);
  const peft = expected === null ? (source.config as Readonly<Record<string, unknown>>) : null;
  return { format: source.format, config: expected, peft, tensors };
}

/** Packs a checked adapter for the bank. */
export function packDefinition(definition: AdapterDefinition, host: AdapterHost, frozen?: FrozenMap): PackedAdapter {
  const { config, peft, tensors } = definition;
  if (config !== null) return packAdapter(config, tensors, host, frozen);
  return packPeft(peftParts(peft as Readonly<Record<string, unknown>>), tensors, host, frozen);
}

function rowNorms(frozen: FrozenMap): BaseRowNorms {
  return (layer, map) => {
    const { weight, outputs } = frozen(layer, map as LinearMap);
    const inputs = weight.length / outputs;
    return Float32Array.from({ length: outputs }, (_, row) => {
      let sum = 0;
      for (let at = row * inputs; at < (row + 1) * inputs; at += 1) sum += (weight[at] as number) ** 2;
      return Math.sqrt(sum);
    });
  };
}

/** What the library's files may lack: "o" writes no keys on some hosts, old files list an inverse that they do not hold (MATHS §3.1). */
function libraryShapes(
  config: AdapterConfig,
  tensors: AdapterTensors,
  host: AdapterHost,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map(expectedTensors(config, host));
  const methods = methodsOf(config);
  const output = methods.some((method) => method.architecture === "lora" && method.attn_matrices.includes("o"));
  const absent = (pattern: RegExp): boolean => [...tensors.keys()].every((name) => !pattern.test(name));
  const optional: RegExp[] = [];
  if (output && absent(/\.proj\./)) optional.push(/\.proj\./);
  if (absent(/^invertible\./)) optional.push(/^invertible\./);
  for (const name of shapes.keys()) if (optional.some((pattern) => pattern.test(name))) shapes.delete(name);
  return shapes;
}

function peftShapes(source: AdapterSource, host: AdapterHost): ReadonlyMap<string, readonly number[]> {
  const config = source.config as Readonly<Record<string, unknown>>;
  const tensors = source.tensors as AdapterTensors;
  const d = host.heads * host.headWidth;
  if (config.peft_type === "PREFIX_TUNING")
    return new Map([["prefix.embeddings", [Number(config.num_virtual_tokens), 2 * host.layers * d]]]);
  if (config.peft_type === "PROMPT_TUNING")
    return new Map([["prompt.weight", [Number(config.num_virtual_tokens), host.width]]]);
  const shapes = new Map<string, readonly number[]>();
  for (const [name, { shape }] of tensors) {
    const [, layer, map, tail] = /^layers\.(\d+)\.(query|key|value|proj|up|down)\.(.+)$/.exec(name) ?? [];
    if (map === undefined || Number(layer) >= host.layers) continue;
    const { inputs, columns } = groupShape(host, groupOf(map as LinearMap));
    const rank = tail === "lora_A" ? (shape[0] as number) : (shape[1] as number);
    const known: Readonly<Record<string, readonly number[]>> = {
      lora_A: [rank, inputs],
      lora_B: [columns, rank],
      lora_bias: [columns],
      "m.weight": [columns, 1],
      ia3_in: [inputs],
    };
    const expected = known[tail as string];
    if (expected !== undefined) shapes.set(name, expected);
  }
  return shapes;
}

function checkTensors(
  tensors: AdapterTensors,
  shapes: ReadonlyMap<string, readonly number[]>,
  { where, unexpected = [] }: AdapterSource,
): AdapterTensors {
  const problems = [...misfits(tensors, shapes), ...unexpected.map((name) => `unexpected: ${name}`)];
  if (shapes.size === 0) problems.push("nothing in it stands at a site of this host");
  const fix = "check the host's width, layers and family against the adapter's configuration";
  refuseMisfits(`${where} does not fit the host`, problems, { where, fix });
  return new Map([...shapes.keys()].map((name) => [name, need(tensors, name)]));
}

/** What a PEFT description says, as far as packing asks. */
export function peftParts(config: Readonly<Record<string, unknown>>): PeftParts {
  if (config.peft_type === "PREFIX_TUNING") return { kind: "prefix", rows: Number(config.num_virtual_tokens) };
  if (config.peft_type === "PROMPT_TUNING") return { kind: "prompt", rows: Number(config.num_virtual_tokens) };
  const modules = config.modules as Readonly<Record<string, { readonly scaling?: number }>>;
  const settings: PartSettings = {
    scale: (layer, map) => modules[`layers.${layer}.${map}`]?.scaling ?? 1,
    composition: config.peft_type === "IA3" ? "scale" : "add",
    alpha: 1,
    dora: "peft",
  };
  return { kind: "linear", settings, dropout: Number(config.lora_dropout ?? 0) };
}
