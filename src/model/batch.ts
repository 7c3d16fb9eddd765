/** @file One run's input, checked and packed: arrays for the graph and the number of hidden rows of every sequence. */

import { EngineError } from "../errors.ts";
import type { BatchLengths, HostShape } from "../hosts/host.ts";
import { prepareAudio } from "../inputs/audio.ts";
import { cutPatches } from "../inputs/image.ts";
import type { Tokenizer } from "../inputs/tokenizer.ts";
import type { RunInput } from "./types.ts";

/** A batch ready for the graph. */
export interface Batch extends BatchLengths {
  readonly arrays: Readonly<Record<string, Float32Array | Uint32Array>>;
  /** Texts of the tokens, where the input was text. */
  readonly tokens: readonly (readonly string[])[] | null;
}

/** What hosts of a kind take. */
const TAKEN: Readonly<Record<HostShape["input"]["kind"], string>> = {
  ids: "ids or texts",
  audio: "audio or features",
  image: "images or features",
};
/** What a batch of a host's own kind of input holds: images are cut into rows of features before they are run. */
export const sources: Readonly<Record<HostShape["input"]["kind"], Batch["source"]>> = {
  ids: "ids",
  audio: "audio",
  image: "features",
};
const KINDS = ["ids", "texts", "audio", "images", "features"] as const;

function refuse(message: string, where: string, fix: string): never {
  throw new EngineError("BAD_INPUT", message, { where, fix });
}

/**
 * Packs an input for a host.
 * @throws EngineError BAD_INPUT naming the sequence
 */
export function packBatch(shape: HostShape, tokenizer: (() => Tokenizer) | null, input: RunInput): Batch {
  const given = KINDS.filter((kind) => input[kind] !== undefined);
  if (given.length !== 1) {
    refuse(
      `a run takes exactly one of ${KINDS.join(", ")}; given: ${given.join(", ") || "none"}`,
      "input",
      "pass one kind of input",
    );
  }
  const { input: reads } = shape;
  if (input.texts !== undefined && reads.kind === "ids") {
    if (tokenizer === null)
      refuse("texts need a tokenizer", "texts", 'pass tokenizer: "smiles", "wordpiece" or a folder to loadModel');
    const encoder = (tokenizer as () => Tokenizer)();
    const encodings = input.texts.map((text) => encoder.encode(text as string | [string, string]));
    const batch = packIds(
      shape,
      encodings.map(({ ids }) => ids),
      encodings.map(({ types }) => types),
    );
    return { ...batch, tokens: encodings.map(({ tokens }) => tokens) };
  }
  if (input.ids !== undefined && reads.kind === "ids") return packIds(shape, input.ids, input.types);
  if (input.audio !== undefined && reads.kind === "audio") return packAudio(shape, input);
  if (input.images !== undefined && reads.kind === "image") return packImages(shape, input.images);
  if (input.features !== undefined && reads.kind !== "ids") return packFeatures(shape, input.features);
  return refuse(`a ${shape.family} model does not take ${given[0]}`, String(given[0]), `pass ${TAKEN[reads.kind]}`);
}

function packIds(
  shape: HostShape,
  sequences: readonly ArrayLike<number>[],
  types?: readonly ArrayLike<number>[],
): Batch {
  const { vocabulary, types: typeCount } = shape.input as Extract<HostShape["input"], { kind: "ids" }>;
  if (types !== undefined && types.length !== sequences.length) {
    refuse(
      `types holds ${types.length} sequences, ids ${sequences.length}`,
      "types",
      "give types for every sequence or leave them away",
    );
  }
  const rows = sequences.map((sequence, index) => {
    checkLength(shape, sequence.length, `ids[${index}]`);
    return sequence.length;
  });
  const total = rows.reduce((sum, count) => sum + count, 0);
  const ids = new Uint32Array(total);
  const typeIds = new Uint32Array(total);
  let at = 0;
  sequences.forEach((sequence, index) => {
    const own = types?.[index];
    if (own !== undefined && own.length !== sequence.length) {
      refuse(
        `types[${index}] has ${own.length} tokens, ids[${index}] ${sequence.length}`,
        `types[${index}]`,
        "give one type per token",
      );
    }
    for (let token = 0; token < sequence.length; token += 1) {
      ids[at] = inRange(sequence[token] as number, vocabulary, `ids[${index}][${token}]`);
      typeIds[at] =
        own === undefined ? 0 : inRange(own[token] as number, Math.max(typeCount, 1), `types[${index}][${token}]`);
      at += 1;
    }
  });
  return { source: "ids", rows, arrays: { ids, types: typeIds }, tokens: null };
}

function inRange(value: number, limit: number, where: string): number {
  if (Number.isInteger(value) && value >= 0 && value < limit) return value;
  return refuse(
    `${where} is ${String(value)}, expected a whole number from 0 to ${limit - 1}`,
    where,
    "check the tokenizer or the ids",
  );
}

function checkLength(shape: HostShape, length: number, where: string): void {
  if (length === 0) refuse(`${where} is empty`, where, "leave empty sequences out");
  if (length <= shape.maxTokens) return;
  refuse(
    `${where} has ${length} tokens; the position table of this ${shape.family} holds ${shape.maxTokens}`,
    where,
    "cut the sequence into pieces",
  );
}

function packAudio(shape: HostShape, { audio, sampleRate, crop }: RunInput): Batch {
  const { sampleRate: modelRate, samples, frames } = shape.input as Extract<HostShape["input"], { kind: "audio" }>;
  const packed = prepareAudio(audio as readonly Float32Array[], { sampleRate, modelRate, samples, crop });
  const rows = (audio as readonly Float32Array[]).map(() => frames + 1);
  return { source: "audio", rows, arrays: { audio: packed }, tokens: null };
}

function packImages(shape: HostShape, images: NonNullable<RunInput["images"]>): Batch {
  const features = cutPatches(images, shape.input as Extract<HostShape["input"], { kind: "image" }>);
  return { source: "features", rows: images.map(() => shape.maxTokens), arrays: { features }, tokens: null };
}

function packFeatures(shape: HostShape, features: NonNullable<RunInput["features"]>): Batch {
  const reads = shape.input as Exclude<HostShape["input"], { kind: "ids" }>;
  const { featureWidth } = reads;
  const classRows = reads.kind === "image" && !reads.classToken ? 0 : 1;
  const rows = features.map(({ data, shape: given }, index) => {
    const where = `features[${index}]`;
    const [count, width] = given;
    if (given.length !== 2 || width !== featureWidth || data.length !== (count as number) * featureWidth) {
      refuse(
        `${where} has shape [${given.join(", ")}] and ${data.length} values, expected [n, ${featureWidth}]`,
        where,
        "give n rows of features",
      );
    }
    if (!data.every(Number.isFinite))
      refuse(`${where} holds a value that is not finite`, where, "remove NaN and infinities");
    if (count === 0) refuse(`${where} is empty`, where, "leave empty sequences out");
    const length = (count as number) + classRows;
    checkLength(shape, length, where);
    if (reads.kind === "image" && length !== shape.maxTokens) {
      const expected = `${reads.patches} patches of ${featureWidth} values`;
      refuse(`${where} has ${count} patches; the model takes ${expected}`, where, "give every patch of the image");
    }
    return length;
  });
  const packed = new Float32Array(features.reduce((sum, { data }) => sum + data.length, 0));
  let at = 0;
  for (const { data } of features) {
    packed.set(data, at);
    at += data.length;
  }
  return { source: "features", rows, arrays: { features: packed }, tokens: null };
}
