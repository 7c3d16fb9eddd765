/** @file Reads PEFT folders (MATHS §3.2): LoRA, IA³, prefix and prompt tuning. */

import { badConfig } from "../adapter-hub/envelope.ts";
import type { LeftTensor, PlainTensor, StoredAdapter } from "../adapter-hub/types.ts";
import { badWeights, readWeightsFile } from "../adapter-hub/weights-file.ts";
import type { WeightNames } from "../adapter-hub/weights-file.ts";
import type { Folder } from "../folder.ts";
import type { JsonObject } from "../json.ts";
import { checkPeftConfig, nameList, positive } from "./config.ts";
import { readIa3 } from "./ia3.ts";
import { readLora } from "./lora.ts";
import type { ReadPeft } from "./module-tensors.ts";

/** The weight files of PEFT adapters. */
export const peftWeights: WeightNames = { safetensors: "adapter_model.safetensors", torch: "adapter_model.bin" };

/** The one tensor of prefix and prompt tuning. */
export const PROMPT_KEY = "prompt_embeddings";

/**
 * Reads a PEFT folder whose `adapter_config.json` was read already.
 * @throws EngineError as `readAdapterFolder` does.
 */
export async function readPeftAdapter(
  folder: Folder,
  fields: JsonObject,
  where: string,
  hasHead: boolean,
): Promise<StoredAdapter> {
  const type = checkPeftConfig(fields, where);
  const saved = nameList(fields, "modules_to_save", where) ?? [];
  const weights = await readWeightsFile(folder, peftWeights);
  const file = `${folder.name}/${weights.file}`;
  const read =
    type === "LORA"
      ? readLora(weights.tensors, fields, where, file)
      : type === "IA3"
        ? readIa3(weights.tensors, fields, where, file)
        : readPrompt(weights.tensors, fields, type, where, file);
  const unexpected: string[] = [];
  const left: LeftTensor[] = [];
  for (const key of read.rest) {
    const parts = key.split(".");
    const module = saved.find((name) => `.${key}.`.includes(`.${name}.`));
    if (module === undefined || parts.length < 2) unexpected.push(key);
    else left.push({ name: key, reason: `the whole module ${JSON.stringify(module)} of modules_to_save` });
  }
  const width = fields["token_dim"];
  const baseModel = fields["base_model_name_or_path"];
  return {
    format: "peft",
    file: weights.file,
    bytes: weights.bytes,
    name: null,
    family: null,
    hiddenSize: typeof width === "number" ? width : null,
    version: typeof fields["peft_version"] === "string" ? fields["peft_version"] : null,
    modelClass: null,
    modelName: typeof baseModel === "string" ? baseModel : null,
    config: read.config,
    tensors: read.tensors,
    unexpected,
    left,
    hasHead,
  };
}

/** Prefix: `[tokens, 2·layers·width]`, already projected; prompt: `[tokens, width]`. Both keep the file's layout. */
function readPrompt(
  tensors: ReadonlyMap<string, PlainTensor>,
  fields: JsonObject,
  type: "PREFIX_TUNING" | "PROMPT_TUNING",
  where: string,
  file: string,
): ReadPeft {
  const tokens = positive(fields, "num_virtual_tokens", undefined, where);
  const width = positive(fields, "token_dim", undefined, where);
  const layers = type === "PREFIX_TUNING" ? positive(fields, "num_layers", undefined, where) : null;
  for (const [field, value] of Object.entries({ tokens, width, layers: layers ?? 1 })) {
    if (!Number.isSafeInteger(value)) throw badConfig(where, `the number of ${field} is ${value}, not a count.`);
  }
  const expected = [tokens, layers === null ? width : 2 * layers * width];
  const tensor = tensors.get(PROMPT_KEY);
  if (tensor === undefined) {
    throw badWeights(file, `it lacks ${PROMPT_KEY}; there: ${[...tensors.keys()].join(", ") || "nothing"}.`);
  }
  if (tensor.shape.join() !== expected.join()) {
    throw badWeights(
      file,
      `${PROMPT_KEY} is [${tensor.shape.join(", ")}]; the configuration says [${expected.join(", ")}].`,
    );
  }
  const config: JsonObject = { peft_type: type, num_virtual_tokens: tokens, token_dim: width, modules: {} };
  if (layers !== null) config["num_layers"] = layers;
  const name = type === "PREFIX_TUNING" ? "prefix.embeddings" : "prompt.weight";
  return { config, tensors: new Map([[name, tensor]]), rest: [...tensors.keys()].filter((key) => key !== PROMPT_KEY) };
}
