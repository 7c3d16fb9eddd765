/** @file Writes PEFT folders with PEFT's keys. */

import { EngineError } from "../../errors.ts";
import { families } from "../adapter-hub/families.ts";
import type { Family } from "../adapter-hub/families.ts";
import { jsonBytes } from "../adapter-hub/json-text.ts";
import { stackRows } from "../adapter-hub/tidy.ts";
import type { PlainTensor } from "../adapter-hub/types.ts";
import { sameBits, writeWeightsFile } from "../adapter-hub/weights-file.ts";
import type { WeightsWriting } from "../adapter-hub/weights-file.ts";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { isFused, modulePath } from "./module-paths.ts";
import { KEY_PREFIX } from "./module-tensors.ts";
import { PROMPT_KEY, peftWeights } from "./read.ts";

/** What is written: a `StoredAdapter` of the format `peft`, or the same data from elsewhere. */
export interface PeftToWrite {
  /** `{ peft_type, modules, … }` as `readAdapterFolder` gives it. */
  readonly config: Readonly<JsonObject>;
  readonly tensors: ReadonlyMap<string, PlainTensor>;
}

/** Choices of {@link writePeftAdapter}. */
export interface PeftWriteOptions extends WeightsWriting {
  readonly family: Family;
  /** Module paths without the base model's prefix, as from a model without a head. T5 never has one. */
  readonly bare?: boolean;
  readonly gatedFfn?: boolean;
  /** Checkpoint name of the host, `base_model_name_or_path`. */
  readonly modelName?: string;
}

/** Per map of one PEFT module: its tensors by canonical tail. */
type Maps = Map<string, ReadonlyMap<string, PlainTensor>>;

/** PEFT modules by path. */
type Modules = Map<string, { readonly layer: string; readonly maps: Maps }>;

/** Endings of keys by canonical tail. */
const endings: Readonly<Record<string, string>> = {
  lora_A: "lora_A.weight",
  lora_B: "lora_B.weight",
  lora_bias: "lora_B.bias",
  "m.weight": "lora_magnitude_vector",
};

/**
 * Writes an adapter as PEFT saves it. Read back, tensors and settings are equal bit for bit.
 * @throws EngineError `BAD_INPUT` with every tensor that PEFT has no key for; `UNSUPPORTED` where a fused map would need
 * different matrices A.
 */
export function writePeftAdapter(adapter: PeftToWrite, options: PeftWriteOptions): Map<string, Uint8Array> {
  const type = adapter.config["peft_type"];
  if (type === "PREFIX_TUNING" || type === "PROMPT_TUNING") return promptFiles(adapter, options);
  const modules = groupByModule(adapter.tensors, options);
  const tensors = new Map<string, PlainTensor>();
  for (const [path, { maps }] of modules) {
    for (const [key, tensor] of moduleTensors(path, maps, type === "IA3")) tensors.set(KEY_PREFIX + key, tensor);
  }
  const config = type === "IA3" ? ia3Config(tensors) : loraConfig(adapter.config, modules);
  const fanInFanOut = options.family === "gpt2";
  return files({ ...config, target_modules: [...modules.keys()], fan_in_fan_out: fanInFanOut }, type, tensors, options);
}

function files(
  config: JsonObject,
  type: unknown,
  tensors: ReadonlyMap<string, PlainTensor>,
  options: PeftWriteOptions,
): Map<string, Uint8Array> {
  const common = {
    base_model_name_or_path: options.modelName ?? null,
    inference_mode: true,
    peft_type: type,
    task_type: null,
  };
  return new Map([
    ["adapter_config.json", jsonBytes({ ...config, ...common })],
    writeWeightsFile(tensors, peftWeights, options),
  ]);
}

function promptFiles({ config, tensors }: PeftToWrite, options: PeftWriteOptions): Map<string, Uint8Array> {
  const type = config["peft_type"];
  const name = type === "PREFIX_TUNING" ? "prefix.embeddings" : "prompt.weight";
  const tensor = tensors.get(name);
  if (tensor === undefined || tensors.size > 1)
    throw homeless(
      [...tensors.keys()].filter((key) => key !== name),
      name,
    );
  const { modules: _, ...fields } = config;
  return files({ ...fields, num_transformer_submodules: 1 }, type, new Map([[PROMPT_KEY, tensor]]), options);
}

function groupByModule(tensors: ReadonlyMap<string, PlainTensor>, options: PeftWriteOptions): Modules {
  const { family, bare = family === "t5", gatedFfn = false } = options;
  const modules: Modules = new Map();
  const strangers: string[] = [];
  for (const [name, tensor] of tensors) {
    const [, layer = "", map = "", tail = ""] = /^layers\.(\d+)\.([a-z]+)\.(.+)$/.exec(name) ?? [];
    const inner = modulePath(family, layer, map, gatedFfn);
    if (inner === undefined || (tail !== "ia3_in" && !Object.hasOwn(endings, tail))) {
      strangers.push(name);
      continue;
    }
    const path = (bare || family === "t5" ? "" : families[family].prefix) + inner;
    const { maps } = modules.get(path) ?? { maps: new Map<string, ReadonlyMap<string, PlainTensor>>() };
    maps.set(map, new Map([...(maps.get(map) ?? []), [tail, tensor]]));
    modules.set(path, { layer, maps });
  }
  if (strangers.length > 0) throw homeless(strangers, undefined);
  for (const [path, { maps }] of modules) checkWhole(path, maps, family);
  return modules;
}

/** A fused module is written whole: every map must be there, with one and the same A. */
function checkWhole(path: string, maps: Maps, family: Family): void {
  const inner = path.slice(path.startsWith(families[family].prefix) ? families[family].prefix.length : 0);
  if (!isFused(family, inner)) return;
  const shared = (tail: string): (PlainTensor | undefined)[] => [...maps.values()].map((tensors) => tensors.get(tail));
  const equal = ["lora_A", "ia3_in"].every((tail) => {
    const [first, ...others] = shared(tail);
    return others.every((other) =>
      first === undefined ? other === undefined : other !== undefined && sameBits(first, other),
    );
  });
  const tails = new Set([...maps.values()].map((tensors) => [...tensors.keys()].sort().join()));
  if (maps.size === 3 && equal && tails.size === 1) return;
  throw new EngineError("UNSUPPORTED", `PEFT adapts ${path} as one map: query, key and value must share their A.`, {
    fix: "Write this adapter in AdapterHub's format, which keeps the three apart.",
    where: path,
  });
}

function* moduleTensors(path: string, maps: Maps, ia3: boolean): Generator<readonly [string, PlainTensor]> {
  // Rows of a fused module follow one another in this order.
  const parts = ["query", "key", "value"].flatMap((map) => maps.get(map) ?? []);
  const ordered = parts.length > 0 ? parts : [...maps.values()];
  for (const [tail, tensor] of ordered[0] ?? []) {
    const joined = (): PlainTensor => stackRows(ordered.map((tensors) => tensors.get(tail) as PlainTensor));
    if (tail === "ia3_in") yield [`${path}.ia3_l`, { shape: [1, tensor.data.length], data: tensor.data }];
    else if (ia3) yield [`${path}.ia3_l`, joined()];
    else if (tail === "lora_A") yield [`${path}.${endings[tail]}`, tensor];
    else if (tail === "m.weight") {
      const column = joined();
      yield [`${path}.${endings[tail]}`, { shape: [column.data.length], data: column.data }];
    } else yield [`${path}.${endings[tail]}`, joined()];
  }
}

function ia3Config(tensors: ReadonlyMap<string, PlainTensor>): JsonObject {
  const inputs = [...tensors].filter(([, { shape }]) => shape[0] === 1 && shape[1] !== 1);
  const path = (key: string): string => key.slice(KEY_PREFIX.length, -".ia3_l".length);
  return { feedforward_modules: inputs.map(([key]) => path(key)), init_ia3_weights: true, modules_to_save: null };
}

/** The first module's rank and alpha as defaults, others as patterns of whole paths. */
function loraConfig(config: Readonly<JsonObject>, modules: Modules): JsonObject {
  const settings = isJsonObject(config["modules"]) ? config["modules"] : {};
  const ranks: Record<string, number> = {};
  const alphas: Record<string, number> = {};
  let bias = false;
  for (const [path, { layer, maps }] of modules) {
    const [map = "", tensors] = [...maps][0] ?? [];
    const own = settings[`layers.${layer}.${map}`];
    const r = tensors?.get("lora_A")?.shape[0] ?? 0;
    const alpha = isJsonObject(own) ? own["alpha"] : undefined;
    if (typeof alpha !== "number" || r === 0)
      throw homeless([`layers.${layer}.${map}`], "rank and alpha in config.modules");
    ranks[path] = r;
    alphas[path] = alpha;
    bias ||= tensors?.has("lora_bias") === true;
  }
  const r = Object.values(ranks)[0] ?? 8;
  const alpha = Object.values(alphas)[0] ?? 8;
  return {
    r,
    lora_alpha: alpha,
    lora_dropout: config["lora_dropout"] ?? 0,
    lora_bias: bias,
    bias: "none",
    rank_pattern: Object.fromEntries(Object.entries(ranks).filter(([, value]) => value !== r)),
    alpha_pattern: Object.fromEntries(Object.entries(alphas).filter(([, value]) => value !== alpha)),
    use_rslora: config["use_rslora"] === true,
    use_dora: config["use_dora"] === true,
    init_lora_weights: true,
    modules_to_save: null,
  };
}

function homeless(names: readonly string[], lacking: string | undefined): EngineError {
  const message =
    lacking === undefined || names.length > 0
      ? `PEFT has no place for, or lacks the settings of, ${names.length} tensors: ${names.join(", ")}.`
      : `The adapter lacks ${lacking}.`;
  return new EngineError("BAD_INPUT", message, {
    fix: "Write AdapterHub's format, or leave these tensors out.",
    where: "PEFT",
  });
}
