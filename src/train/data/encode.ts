/** @file Rows as examples: texts become ids, clips are resampled and cut to the model's length. */

import { EngineError } from "../../errors.ts";
import type { HostShape } from "../../hosts/host.ts";
import { prepareAudio } from "../../inputs/audio.ts";
import type { Tokenizer } from "../../inputs/tokenizer.ts";
import type { DataConfig } from "../config/data.ts";
import type { Example, Row } from "./data.ts";

/** What examples are encoded for. */
export interface EncodeContext {
  readonly shape: HostShape;
  /** Null where the model reads no texts. Throws where it has none. */
  readonly tokenizer: (() => Tokenizer) | null;
}

/** Examples that are named when some are too long. */
const NAMED = 5;

/** What a data set holds, by what the model reads. */
const HOLDS: Readonly<Record<HostShape["input"]["kind"], string>> = { ids: "texts", audio: "clips", image: "images" };

function refuse(message: string, where: string, fix: string): never {
  throw new EngineError("BAD_INPUT", message, { where, fix });
}

/** @returns the most tokens of a sequence. @throws EngineError BAD_CONFIG for more than the model takes */
export function mostTokens({ length }: DataConfig, { maxTokens, family }: HostShape): number {
  if (length === null || length <= maxTokens) return length ?? maxTokens;
  throw new EngineError("BAD_CONFIG", `data.length is ${length}, this ${family} takes at most ${maxTokens} tokens`, {
    where: "data.length",
  });
}

type Encoded = Omit<Example, "targets">;

function encodeTexts(rows: readonly Row[], context: EncodeContext, config: DataConfig): (Encoded | null)[] {
  const tokenizer = (context.tokenizer as () => Tokenizer)();
  const most = mostTokens(config, context.shape);
  const long: string[] = [];
  const encoded = rows.map(({ place, content }): Encoded | null => {
    if (content.kind !== "text") return null;
    const { ids, types } = tokenizer.encode(content.text as string | [string, string]);
    if (ids.length > most) {
      if (config.long === "refuse") long.push(`${place} (${ids.length})`);
      if (config.long === "leave-out") return null;
      // The last token closes the sequence; what stands before it is cut.
      ids.splice(most - 1, ids.length - most);
      types.splice(most - 1, types.length - most);
    }
    return {
      place,
      length: ids.length,
      input: { kind: "ids", ids: Uint32Array.from(ids), types: Uint32Array.from(types) },
    };
  });
  if (long.length > 0) {
    const more = long.length > NAMED ? `, and ${long.length - NAMED} more` : "";
    const message = `${long.length} sequences have more than ${most} tokens: ${long.slice(0, NAMED).join(", ")}${more}`;
    refuse(message, "data.long", 'say "long": "cut" or "leave-out", or raise data.length where the model takes more');
  }
  return encoded;
}

function encodeClips(rows: readonly Row[], { shape }: EncodeContext, { crop }: DataConfig): (Encoded | null)[] {
  const { input } = shape;
  if (input.kind !== "audio") return [];
  return rows.map(({ place, content }): Encoded | null => {
    if (content.kind !== "audio") return null;
    const sampleRate = content.sampleRate === 0 ? input.sampleRate : content.sampleRate;
    try {
      const samples = prepareAudio([content.samples], {
        sampleRate,
        modelRate: input.sampleRate,
        samples: input.samples,
        crop,
      });
      return { place, length: input.frames + 1, input: { kind: "audio", samples, sampleRate: input.sampleRate } };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      throw new EngineError(error.code, `${place}: ${error.message}`, { where: place, fix: error.fix, cause: error });
    }
  });
}

function encodeImages(rows: readonly Row[], { shape }: EncodeContext): (Encoded | null)[] {
  const { input } = shape;
  if (input.kind !== "image") return [];
  const length = input.patches + (input.classToken ? 1 : 0);
  return rows.map(({ place, content }) =>
    content.kind === "image" ? { place, length, input: { kind: "image", image: content.image } } : null,
  );
}

/**
 * Encodes rows.
 * @param targets of every row
 * @returns the examples, and how many rows were too long and left out
 * @throws EngineError BAD_INPUT where the model reads something else, or sequences are too long
 */
export function encodeRows(
  rows: readonly Row[],
  targets: readonly (readonly number[])[],
  context: EncodeContext,
  config: DataConfig,
): { readonly examples: readonly Example[]; readonly leftOut: number } {
  const [first] = rows;
  if (first === undefined) return { examples: [], leftOut: 0 };
  const { kind } = context.shape.input;
  if ((first.content.kind === "text" ? "ids" : first.content.kind) !== kind)
    refuse(
      `${first.place} is no part of ${HOLDS[kind]}, which this model reads`,
      "data.kind",
      `name a data set of ${HOLDS[kind]}`,
    );
  const encode = { ids: encodeTexts, audio: encodeClips, image: encodeImages }[kind];
  const encoded = encode(rows, context, config);
  const examples = encoded.flatMap((example, index): Example[] =>
    example === null ? [] : [{ ...example, targets: targets[index] as readonly number[] }],
  );
  return { examples, leftOut: rows.length - examples.length };
}
