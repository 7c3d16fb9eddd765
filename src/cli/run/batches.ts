/** @file Sequences into batches of a bounded number of tokens, and batches through the model. */

import { EngineError } from "../../errors.ts";
import type { Model } from "../../model/model.ts";
import type { RunInput, RunOptions, RunOutput } from "../../model/types.ts";
import type { Io } from "../command.ts";
import { startProgress } from "../progress.ts";
import type { InputOptions } from "./options.ts";
import type { Sequence } from "./inputs.ts";

/** A sequence with its tokens, as many as it will have hidden rows. */
export interface Prepared {
  readonly sequence: Sequence;
  readonly tokens: readonly string[];
}

/** One batch and what came out of it. */
export interface BatchResult {
  readonly batch: readonly Prepared[];
  readonly output: RunOutput;
}

/** A packed batch has no padding, so that a batch's cost is its tokens. */
const BATCH_TOKENS = { software: 1024, hardware: 8192 } as const;

function tokensOf({ data, place }: Sequence, model: Model): readonly string[] {
  if (data.kind === "ids") return data.ids.map(String);
  if (data.kind === "text") {
    const text = typeof data.text === "string" ? data.text : ([...data.text] as [string, string]);
    const tokens = model.tokenize(text);
    if (tokens === null)
      throw new EngineError("BAD_INPUT", `${place}: this model has no tokenizer`, {
        where: place,
        fix: "pass --tokenizer",
      });
    return tokens;
  }
  const { input } = model.host.shape;
  if (input.kind === "image") {
    const patches = Array.from({ length: input.patches }, (_, patch) => `patch ${patch}`);
    return input.classToken ? ["[class]", ...patches] : patches;
  }
  const frames = input.kind === "audio" ? input.frames : 0;
  return ["[class]", ...Array.from({ length: frames }, (_, frame) => `frame ${frame}`)];
}

/**
 * Tokenizes everything first, so that a sequence that is too long is found before the run.
 * @throws EngineError BAD_INPUT with the places of all that are too long, unless they are to be skipped
 */
export function prepare(
  sequences: readonly Sequence[],
  model: Model,
  options: InputOptions,
): { ready: Prepared[]; skipped: number } {
  const all = sequences.map((sequence) => ({ sequence, tokens: tokensOf(sequence, model) }));
  const { maxTokens, family } = model.host.shape;
  const long = all.filter(({ tokens }) => tokens.length > maxTokens);
  if (long.length > 0 && !options.skipLong) {
    const places = long.slice(0, 5).map(({ sequence, tokens }) => `${sequence.place} (${tokens.length})`);
    const more = long.length > places.length ? `, and ${long.length - places.length} more` : "";
    const message = `sequences over the ${maxTokens} tokens that the position table of this ${family} holds: ${places.join(", ")}${more}`;
    throw new EngineError("BAD_INPUT", message, {
      where: long[0]?.sequence.place ?? "",
      fix: "cut them into pieces, or pass --skip-long",
    });
  }
  return { ready: all.filter(({ tokens }) => tokens.length <= maxTokens), skipped: long.length };
}

function rateOf({ sequence: { data } }: Prepared): number {
  return data.kind === "audio" ? data.sampleRate : 0;
}

/** Groups neighbours: at most `most` sequences, at most the tokens that suit the device, one sampling rate. */
export function intoBatches(ready: readonly Prepared[], software: boolean, most: number = Infinity): Prepared[][] {
  const budget = software ? BATCH_TOKENS.software : BATCH_TOKENS.hardware;
  const batches: Prepared[][] = [];
  let tokens = 0;
  for (const item of ready) {
    const last = batches.at(-1);
    // A chosen number of sequences is taken at its word, whatever their tokens.
    const full =
      last === undefined || last.length >= most || (most === Infinity && tokens + item.tokens.length > budget);
    if (!full && rateOf(last[0] as Prepared) === rateOf(item)) {
      last.push(item);
      tokens += item.tokens.length;
    } else {
      batches.push([item]);
      tokens = item.tokens.length;
    }
  }
  return batches;
}

/** @returns the input of a batch, whose sequences are of one kind. */
export function inputOf(batch: readonly Prepared[], crop: InputOptions["crop"]): RunInput {
  const data = batch.map(({ sequence }) => sequence.data);
  const texts = data.flatMap((item) => (item.kind === "text" ? [item.text] : []));
  if (texts.length > 0) return { texts };
  const ids = data.flatMap((item) => (item.kind === "ids" ? [item] : []));
  if (ids.length > 0)
    return { ids: ids.map((item) => item.ids), types: ids.map((item) => item.types ?? item.ids.map(() => 0)) };
  const images = data.flatMap((item) => (item.kind === "image" ? [item.image] : []));
  if (images.length > 0) return { images };
  const clips = data.flatMap((item) => (item.kind === "audio" ? [item] : []));
  const input = { audio: clips.map(({ samples }) => samples), sampleRate: clips[0]?.sampleRate ?? 0 };
  return crop === undefined ? input : { ...input, crop };
}

/** The model names a sequence by its place in the batch; people know it by its place in the file. */
function withPlace(error: unknown, batch: readonly Prepared[]): unknown {
  if (!(error instanceof EngineError)) return error;
  const [, index] = /^(?:ids|types|texts|audio|images)\[(\d+)\]/.exec(error.where) ?? [];
  const place = index === undefined ? undefined : batch[Number(index)]?.sequence.place;
  if (place === undefined) return error;
  return new EngineError(error.code, `${place}: ${error.message}`, { where: place, fix: error.fix, cause: error });
}

/** What is asked of every batch. */
export interface BatchOptions extends Pick<RunOptions, "capture" | "compat"> {
  readonly outputs: (batch: readonly Prepared[]) => readonly string[];
}

/** The adapter of every sequence, where they have their own. */
function adaptersOf(batch: readonly Prepared[]): Pick<RunOptions, "adapters"> {
  const names = batch.map(({ sequence }) => sequence.adapter);
  return names.includes(undefined) ? {} : { adapters: names.map((name) => name ?? null) };
}

/** Runs the batches one after the other; stops at the next batch when the signal is aborted. */
export async function* runBatches(
  model: Model,
  batches: readonly (readonly Prepared[])[],
  { outputs, ...options }: BatchOptions,
  io: Io,
  crop: InputOptions["crop"],
): AsyncGenerator<BatchResult> {
  const count = (batch: readonly Prepared[]): number => batch.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const progress = startProgress(
    io,
    "running",
    batches.reduce((sum, batch) => sum + count(batch), 0),
    "tokens",
  );
  let done = 0;
  try {
    for (const batch of batches) {
      progress.update(done);
      const output = await model
        .run(inputOf(batch, crop), {
          ...options,
          ...adaptersOf(batch),
          outputs: outputs(batch),
          signal: io.signal,
        })
        .catch((error: unknown) => {
          throw withPlace(error, batch);
        });
      done += count(batch);
      yield { batch, output };
    }
  } finally {
    progress.finish();
  }
}
