/** @file PEFT configurations (MATHS §3.2): which fields are understood, and which are refused by name. */

import { EngineError } from "../../errors.ts";
import { badConfig } from "../adapter-hub/envelope.ts";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";

/** The methods that are read. */
export type PeftType = "LORA" | "IA3" | "PREFIX_TUNING" | "PROMPT_TUNING";

/** About the training run, not about the result. */
const metadata: readonly string[] =
  "peft_type task_type base_model_name_or_path revision inference_mode auto_mapping peft_version".split(" ");

/** Which modules are adapted: the keys of the weights say the same. */
const targets: readonly string[] = "target_modules exclude_modules fan_in_fan_out modules_to_save".split(" ");

const promptFields: readonly string[] =
  "num_virtual_tokens token_dim num_transformer_submodules num_attention_heads num_layers modules_to_save".split(" ");

/** Fields per method; what is not interpreted further on steers training or initial values only. */
const understood: Readonly<Record<PeftType, readonly string[]>> = {
  LORA: [
    ...targets,
    ..."r lora_alpha lora_dropout bias use_rslora init_lora_weights layers_to_transform layers_pattern".split(" "),
    ..."rank_pattern alpha_pattern use_dora lora_bias eva_config megatron_core qalora_group_size".split(" "),
    "ensure_weight_tying",
  ],
  IA3: [...targets, "feedforward_modules", "init_ia3_weights"],
  PREFIX_TUNING: [...promptFields, "encoder_hidden_size", "prefix_projection", "init_weights"],
  PROMPT_TUNING: [
    ...promptFields,
    ..."prompt_tuning_init prompt_tuning_init_text tokenizer_name_or_path tokenizer_kwargs".split(" "),
  ],
};

/** Known features of LoRA in PEFT that change the result and are not built. */
const unsupported: ReadonlySet<string> = new Set([
  ..."megatron_config layer_replication loftq_config trainable_token_indices target_parameters".split(" "),
  ..."use_qalora corda_config lora_ga_config arrow_config alora_invocation_tokens use_bdlora".split(" "),
]);

/** Ways to draw A and B that leave the frozen matrix alone; the others (pissa, olora, …) change it. */
const initialisations: ReadonlySet<unknown> = new Set([true, false, "gaussian", "eva", "orthogonal"]);

/**
 * Checks the fields of a configuration, whatever its method.
 * @throws EngineError `BAD_CONFIG` with every unknown field that is set; `UNSUPPORTED` for other methods, and with every
 * feature that would change the result.
 */
export function checkPeftConfig(fields: JsonObject, where: string): PeftType {
  const type = fields["peft_type"];
  if (typeof type !== "string" || !Object.hasOwn(understood, type)) {
    throw refused(where, [`peft_type ${JSON.stringify(type)}`], `Known are ${Object.keys(understood).join(", ")}.`);
  }
  const known = new Set([...metadata, ...understood[type as PeftType]]);
  const set = Object.entries(fields).filter(([field, value]) => !known.has(field) && isSet(value));
  const strangers = set.filter(([field]) => !unsupported.has(field));
  if (strangers.length > 0) {
    const listed = strangers.map(([field, value]) => `${field} (${JSON.stringify(value)})`).join(", ");
    throw badConfig(where, `unknown fields are set: ${listed}.`, "Remove the fields if they do not change the result.");
  }
  const features = set.map(([field]) => field);
  if (type === "LORA") {
    if (isSet(fields["bias"]) && fields["bias"] !== "none") features.push(`bias ${JSON.stringify(fields["bias"])}`);
    const initial = fields["init_lora_weights"] ?? true;
    if (!initialisations.has(initial)) features.push(`init_lora_weights ${JSON.stringify(initial)}`);
  }
  const submodules = fields["num_transformer_submodules"] ?? 1;
  if (submodules !== 1) features.push(`num_transformer_submodules ${JSON.stringify(submodules)}`);
  if (features.length > 0) throw refused(where, features, "Train or convert the adapter without them.");
  return type as PeftType;
}

function refused(where: string, features: readonly string[], fix: string): EngineError {
  return new EngineError("UNSUPPORTED", `${where}: not supported: ${features.join(", ")}.`, { fix, where });
}

function isSet(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === "") return false;
  if (Array.isArray(value)) return value.length > 0;
  return !isJsonObject(value) || Object.keys(value).length > 0;
}

/** A positive number, or its default. @throws EngineError `BAD_CONFIG` */
export function positive(fields: JsonObject, field: string, otherwise: number | undefined, where: string): number {
  const value = fields[field] ?? otherwise;
  if (typeof value === "number" && value > 0) return value;
  throw badConfig(where, `${field} must be a positive number, not ${JSON.stringify(value) ?? "missing"}.`);
}

/** A field that is true, false or absent. @throws EngineError `BAD_CONFIG` */
export function flag(fields: JsonObject, field: string, where: string): boolean {
  const value = fields[field] ?? false;
  if (typeof value === "boolean") return value;
  throw badConfig(where, `${field} must be true or false, not ${JSON.stringify(value)}.`);
}

/** A rate, 0 where the field is absent. @throws EngineError `BAD_CONFIG` */
export function rate(fields: JsonObject, field: string, where: string): number {
  const value = fields[field] ?? 0;
  if (typeof value === "number" && value >= 0 && value < 1) return value;
  throw badConfig(where, `${field} must be from 0 to below 1, not ${JSON.stringify(value)}.`);
}

/** A list of names, or null where the field is absent or one regular expression. @throws EngineError `BAD_CONFIG` */
export function nameList(fields: JsonObject, field: string, where: string): readonly string[] | null {
  const value = fields[field] ?? null;
  if (value === null || typeof value === "string") return null;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw badConfig(where, `${field} must be a list of names, not ${JSON.stringify(value)}.`);
}

/** Whether a module path is one of the names or ends with one, as PEFT matches lists. */
export function matchesName(path: string, names: readonly string[]): boolean {
  return names.some((name) => path === name || path.endsWith(`.${name}`));
}

/** Ranks or alphas of single modules. */
export type Pattern = readonly (readonly [string, number])[];

/**
 * Reads `rank_pattern` or `alpha_pattern`. PEFT takes the keys as regular expressions; here they may be paths or ends of
 * paths, with `^` for a whole path: hostile expressions could run for ever.
 * @throws EngineError `BAD_CONFIG`, `UNSUPPORTED` for other expressions.
 */
export function readPattern(fields: JsonObject, field: string, where: string): Pattern {
  const value = fields[field] ?? {};
  if (!isJsonObject(value)) throw badConfig(where, `${field} must be an object, not ${JSON.stringify(value)}.`);
  const expressions = Object.keys(value).filter((key) => !/^\^?[\w.-]+\$?$/.test(key));
  if (expressions.length > 0) {
    throw refused(
      where,
      expressions.map((key) => `${field} ${JSON.stringify(key)}`),
      "Spell out the module paths.",
    );
  }
  return Object.keys(value).map((key) => [
    key.replace(/\$$/, ""),
    positive(value, key, undefined, `${where}, ${field}`),
  ]);
}

/** The first pattern that fits a module path, as PEFT looks it up. */
export function lookUp(patterns: Pattern, path: string, otherwise: number): number {
  const fits = ([key]: readonly [string, number]): boolean =>
    key.startsWith("^") ? path === key.slice(1) : matchesName(path, [key]);
  return patterns.find(fits)?.[1] ?? otherwise;
}
