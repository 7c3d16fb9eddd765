/** @file The routing trace of a batch: tokens, sounds, pictures and answers beside what each layer chose. */

import { basename } from "node:path";
import type { HostInput } from "../../hosts/host.ts";
import { prepareAudio } from "../../inputs/audio.ts";
import type { RoutedPart } from "../../routing/coda.ts";
import { audioTrace, imageTrace } from "../../routing/trace-media.ts";
import { makeTrace } from "../../routing/trace.ts";
import type { SequenceFacts, SequenceTrace, TraceHead } from "../../routing/trace.ts";
import type { BatchResult, Prepared } from "./batches.ts";
import type { InputOptions } from "./options.ts";

/** What a trace says besides what comes out of the runs. */
export interface TraceOptions {
  readonly head: TraceHead;
  readonly part: RoutedPart;
  readonly input: HostInput;
  readonly crop: InputOptions["crop"];
}

/** First row and the row behind the last. */
export type Span = readonly [number, number];

/** Rows of every view: the tokens, with the rows of prompts, once per copy. */
export function spansOf({ batch, output }: BatchResult): Span[] {
  const segments = output.hidden?.segments;
  if (segments !== undefined)
    return Array.from(segments.subarray(1), (end, index) => [segments[index] as number, end] as const);
  let end = 0;
  return batch.map(({ tokens }) => [end, (end += tokens.length)] as const);
}

/** The sound as the model heard it; the frames are the tokens behind the class token. */
function soundOf(samples: Float32Array, sampleRate: number, { input, crop }: TraceOptions): SequenceFacts {
  if (input.kind !== "audio") return {};
  const heard = prepareAudio([samples], { sampleRate, modelRate: input.sampleRate, samples: input.samples, crop });
  return { audio: audioTrace(heard, { sampleRate: input.sampleRate, frames: input.frames }) };
}

/** The picture, where pages can draw it: grey or in three colours, and in square patches. */
function pictureOf(image: Parameters<typeof imageTrace>[0], { input }: TraceOptions): SequenceFacts {
  if (input.kind !== "image") return {};
  const [height, width] = input.patch;
  const colours = image.shape[0] === 1 || image.shape[0] === 3;
  return height === width && colours ? { image: imageTrace(image, height) } : {};
}

/** What belongs to the tokens, and so only to a sequence whose rows are its tokens. */
function tokenFacts({ sequence: { data }, tokens }: Prepared, options: TraceOptions): SequenceFacts {
  if (data.kind === "audio") return soundOf(data.samples, data.sampleRate, options);
  if (data.kind === "image") return pictureOf(data.image, options);
  // A number that stands for an id is no digit of a text.
  return data.kind === "ids" ? { types: tokens.map(() => "id") } : {};
}

/**
 * Makes the traces of a batch.
 * @param predicted the model's answer per view, undefined where it gives none
 * @returns one trace per view: of copies that `parallel(…)` makes each has its own
 */
export function traceBatch(
  result: BatchResult,
  options: TraceOptions,
  predicted: readonly (string | undefined)[],
): readonly SequenceTrace[] {
  const { batch, output } = result;
  const views = spansOf(result).map(([from, to], index) => {
    const prepared = batch[index % batch.length] as Prepared;
    const { data, place, label } = prepared.sequence;
    const own = prepared.tokens.length === to - from;
    const answer = predicted[index];
    const facts: SequenceFacts = {
      text: data.kind === "text" ? [data.text].flat().join(" | ") : basename(place),
      ...(label === undefined ? {} : { label }),
      ...(answer === undefined ? {} : { predicted: answer }),
      ...(own ? tokenFacts(prepared, options) : {}),
    };
    // Among the rows of prompts tokens stand at other places than in the text.
    return { facts, tokens: own ? prepared.tokens : Array.from({ length: to - from }, (_, row) => `row ${row}`) };
  });
  const part = options.part === "layer" ? {} : { part: options.part };
  const routing = (output.routing ?? []).map((layer) => (layer === null ? null : { ...layer, ...part }));
  const [tokens, facts] = [views.map((view) => view.tokens), views.map((view) => view.facts)];
  return makeTrace({ ...options.head, tokens, facts, routing }).sequences;
}
