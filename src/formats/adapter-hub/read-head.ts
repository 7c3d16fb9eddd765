/** @file Reads prediction heads: flexible ones, and those of Hugging Face's own classes (MATHS §3.1). */

import { badConfig, readEnvelope } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import type { Folder } from "../folder.ts";
import { isJsonObject } from "../json.ts";
import type { JsonObject } from "../json.ts";
import { staticHead } from "./static-heads.ts";
import type { LeftTensor, PlainTensor, StoredHead } from "./types.ts";
import { badWeights, readWeightsFile } from "./weights-file.ts";
import type { WeightNames } from "./weights-file.ts";

/** The configuration file of a head. */
export const HEAD_CONFIG = "head_config.json";

/** The weight files of a head. */
export const headWeights: WeightNames = { safetensors: "model_head.safetensors", torch: "pytorch_model_head.bin" };

interface SortedHead {
  readonly name: string | null;
  readonly config: JsonObject;
  readonly tensors: Map<string, PlainTensor>;
  readonly unexpected: string[];
  readonly left: LeftTensor[];
}

/**
 * Reads the prediction head of a folder. Tensors are named by what follows `heads.{N}.`. Heads of the plain classes
 * (`BertForSequenceClassification`, …) come as the flexible head that computes the same; of classes without such a
 * counterpart with `head_type: null` and their own keys.
 * @throws EngineError `NOT_FOUND`, `BAD_FILE`, `BAD_CONFIG` or `BAD_WEIGHTS`, with everything that is wrong.
 */
export async function readHeadFolder(folder: Folder): Promise<StoredHead> {
  const envelope = await readEnvelope(folder, HEAD_CONFIG);
  const inner = envelope.fields["config"] ?? null;
  if (inner !== null && !isJsonObject(inner)) throw badConfig(envelope.where, '"config" must be an object or null.');
  const read = await readWeightsFile(folder, headWeights);
  const where = `${folder.name}/${read.file}`;
  const head =
    inner === null ? sortStatic(read.tensors, envelope) : sortFlexible(read.tensors, inner, envelope.name, where);
  return {
    file: read.file,
    bytes: read.bytes,
    family: envelope.family,
    hiddenSize: envelope.hiddenSize,
    version: envelope.version,
    modelClass: envelope.modelClass,
    modelName: envelope.modelName,
    ...head,
  };
}

/** Tails begin with the number of the module in the head's sequence. */
const headKey = /^heads\.(.+?)\.((?:\d+\.)+\w+)$/;

function sortFlexible(
  tensors: ReadonlyMap<string, PlainTensor>,
  config: JsonObject,
  wanted: string | null,
  where: string,
): SortedHead {
  const owners = new Map<string, Map<string, PlainTensor>>();
  const unexpected: string[] = [];
  for (const [key, tensor] of tensors) {
    // A name may hold dots, so the wanted one is compared before any is searched for.
    const mine = wanted === null ? null : `heads.${wanted}.`;
    const [, owner, tail] =
      mine !== null && key.startsWith(mine)
        ? [key, wanted as string, key.slice(mine.length)]
        : (headKey.exec(key) ?? []);
    if (owner === undefined || tail === undefined) unexpected.push(key);
    else owners.set(owner, (owners.get(owner) ?? new Map<string, PlainTensor>()).set(tail, tensor));
  }
  const name = wanted ?? (owners.size === 1 ? ([...owners.keys()][0] as string) : "");
  const own = owners.get(name);
  if (own === undefined) {
    const there =
      [...owners.keys()].map((owner) => JSON.stringify(owner)).join(", ") || unexpected.join(", ") || "nothing";
    throw badWeights(
      where,
      `it holds no head ${JSON.stringify(wanted)}; there: ${there}.`,
      'Correct "name" in the configuration.',
    );
  }
  const left: LeftTensor[] = [];
  for (const [owner, others] of owners) {
    if (owner === name) continue;
    for (const tail of others.keys()) {
      left.push({ name: `heads.${owner}.${tail}`, reason: `belongs to the head ${JSON.stringify(owner)}` });
    }
  }
  return { name, config, tensors: own, unexpected, left };
}

function sortStatic(tensors: ReadonlyMap<string, PlainTensor>, envelope: Envelope): SortedHead {
  const { fields, name, modelClass } = envelope;
  const common = { num_labels: fields["num_labels"] ?? null, label2id: fields["label2id"] ?? null };
  const known = staticHead(modelClass);
  if (known === undefined) {
    return { name, config: { ...common, head_type: null }, tensors: new Map(tensors), unexpected: [], left: [] };
  }
  const config: JsonObject = { ...known.config, ...common };
  const result = new Map<string, PlainTensor>();
  const unexpected: string[] = [];
  for (const [key, tensor] of tensors) {
    const dot = key.lastIndexOf(".");
    const place = known.modules.indexOf(key.slice(0, dot));
    // The flexible head is dropout, linear, activation, dropout, linear.
    if (place < 0) unexpected.push(key);
    else result.set(`${1 + 3 * place}${key.slice(dot)}`, tensor);
  }
  return { name, config, tensors: result, unexpected, left: [] };
}
