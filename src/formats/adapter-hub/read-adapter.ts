/** @file Reads adapter folders: AdapterHub's and PEFT's, told apart by their configuration. */

import { badConfig, envelopeOf, innerConfig, withoutPhantomInverse } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import { notFound } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { readJsonObject } from "../json.ts";
import { readPeftAdapter } from "../peft/read.ts";
import { HEAD_CONFIG } from "./read-head.ts";
import { sortKeys } from "./sort-keys.ts";
import { dropNormCopies, splitFused } from "./tidy.ts";
import type { StoredAdapter } from "./types.ts";
import { readWeightsFile } from "./weights-file.ts";
import type { WeightNames } from "./weights-file.ts";

/** The configuration file of both formats. */
export const ADAPTER_CONFIG = "adapter_config.json";

/** The weight files of AdapterHub adapters. */
export const adapterWeights: WeightNames = { safetensors: "adapter.safetensors", torch: "pytorch_adapter.bin" };

/**
 * Reads an adapter folder of either format. Tensors get canonical names; what old versions of the library wrote is
 * brought up to date; copies and tensors of other adapters are listed in `left`, unknown keys in `unexpected`.
 * @throws EngineError `NOT_FOUND`, `BAD_FILE`, `BAD_CONFIG`, `BAD_WEIGHTS` or `UNSUPPORTED`, with everything that is wrong.
 * @example
 * const adapter = await readAdapterFolder(folderFromUrl("/adapters/sentiment"));
 */
export async function readAdapterFolder(folder: Folder): Promise<StoredAdapter> {
  if (!(await folder.has(ADAPTER_CONFIG))) throw notFound(folder.name, ADAPTER_CONFIG, await folder.list());
  const where = `${folder.name}/${ADAPTER_CONFIG}`;
  const fields = readJsonObject(await folder.read(ADAPTER_CONFIG), where);
  const hasHead = await folder.has(HEAD_CONFIG);
  if (fields["peft_type"] !== undefined) return readPeftAdapter(folder, fields, where, hasHead);
  if (fields["config"] !== undefined) return readHubAdapter(folder, envelopeOf(fields, where), hasHead);
  throw badConfig(where, 'it is neither AdapterHub\'s (no "config") nor PEFT\'s (no "peft_type").');
}

async function readHubAdapter(folder: Folder, envelope: Envelope, hasHead: boolean): Promise<StoredAdapter> {
  const stored = innerConfig(envelope);
  const read = await readWeightsFile(folder, adapterWeights);
  const where = `${folder.name}/${read.file}`;
  const { name, tensors: sorted, unexpected, left } = sortKeys(read.tensors, envelope, "adapter", where);
  const tensors = splitFused(dropNormCopies(sorted, left, where), stored, where);
  const [config, dropped] = withoutPhantomInverse(stored, envelope, tensors.keys());
  if (dropped) left.push({ name: "inv_adapter", reason: "old task adapters list one but have no weights for it" });
  return {
    format: "hub",
    file: read.file,
    bytes: read.bytes,
    name: name === "" ? envelope.name : name,
    family: envelope.family,
    hiddenSize: envelope.hiddenSize,
    version: envelope.version,
    modelClass: envelope.modelClass,
    modelName: envelope.modelName,
    config,
    tensors,
    unexpected,
    left,
    hasHead,
  };
}
