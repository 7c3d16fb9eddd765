/** @file Reads AdapterFusion folders (MATHS §2.4, §3.1). */

import { badConfig, innerConfig, readEnvelope } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import type { Folder } from "../folder.ts";
import { sortKeys } from "./sort-keys.ts";
import type { StoredFusion } from "./types.ts";
import { readWeightsFile } from "./weights-file.ts";
import type { WeightNames } from "./weights-file.ts";

/** The configuration file of a fusion. */
export const FUSION_CONFIG = "adapter_fusion_config.json";

/** The weight files of a fusion. */
export const fusionWeights: WeightNames = {
  safetensors: "model_adapter_fusion.safetensors",
  torch: "pytorch_model_adapter_fusion.bin",
};

/**
 * Reads a fusion folder. Keys carry the comma-joined names of the fused adapters.
 * @throws EngineError `NOT_FOUND`, `BAD_FILE`, `BAD_CONFIG`, `BAD_WEIGHTS` or `UNSUPPORTED`, with everything that is wrong.
 */
export async function readFusionFolder(folder: Folder): Promise<StoredFusion> {
  const envelope = await readEnvelope(folder, FUSION_CONFIG);
  const config = innerConfig(envelope);
  const names = fusedNames(envelope);
  const read = await readWeightsFile(folder, fusionWeights);
  const joined = envelope.name ?? names.join(",");
  const owner = { name: joined, family: envelope.family };
  const sorted = sortKeys(read.tensors, owner, "fusion", `${folder.name}/${read.file}`);
  return {
    file: read.file,
    bytes: read.bytes,
    name: joined,
    family: envelope.family,
    hiddenSize: envelope.hiddenSize,
    version: envelope.version,
    modelClass: envelope.modelClass,
    modelName: envelope.modelName,
    names,
    config,
    tensors: sorted.tensors,
    unexpected: sorted.unexpected,
    left: sorted.left,
  };
}

/** `adapter_names`, or the name split at its commas: old files have no list. */
function fusedNames({ fields, name, where }: Envelope): string[] {
  const listed = fields["adapter_names"] ?? null;
  if (listed === null && name !== null) return checked(name.split(","), where);
  if (!Array.isArray(listed) || !listed.every((item) => typeof item === "string")) {
    throw badConfig(where, "adapter_names must be a list of names; without it, name must hold them, joined by commas.");
  }
  return checked(listed, where);
}

function checked(names: readonly string[], where: string): string[] {
  if (names.length < 2 || names.includes("") || new Set(names).size < names.length) {
    throw badConfig(where, `a fusion needs two or more different adapters, not ${JSON.stringify(names)}.`);
  }
  return [...names];
}
