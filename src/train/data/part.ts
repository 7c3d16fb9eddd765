/** @file Examples as a part of a step: the input of a run, and the targets of its rows. */

import type { RunInput } from "../../model/types.ts";
import type { ObjectiveKind } from "../config/run.ts";
import type { Example } from "./data.ts";
import { maskSequence } from "./masking.ts";
import type { Masking } from "./masking.ts";
import type { StepPart } from "../trainer.ts";

/** The epoch whose masks an evaluation takes: always the same ones, and none that a training shows. */
export const EVALUATION_EPOCH: number = 2 ** 32 - 1;

function inputOf(examples: readonly Example[], ids: readonly Uint32Array[]): RunInput {
  const inputs = examples.map(({ input }) => input);
  const [first] = inputs;
  if (first?.kind === "ids") return { ids, types: inputs.map((input) => (input.kind === "ids" ? input.types : [])) };
  if (first?.kind === "audio") {
    const audio = inputs.flatMap((input) => (input.kind === "audio" ? [input.samples] : []));
    return { audio, sampleRate: first.sampleRate };
  }
  return { images: inputs.flatMap((input) => (input.kind === "image" ? [input.image] : [])) };
}

/**
 * Puts examples together.
 * @param examples of one set
 * @param places of the examples in it
 * @param masking null unless tokens are hidden
 */
export function partOf(
  examples: readonly Example[],
  places: readonly number[],
  objective: ObjectiveKind,
  masking: Masking | null,
  epoch: number,
): StepPart {
  const own = places.map((place) => examples[place] as Example);
  if (masking === null) {
    const ids = own.flatMap(({ input }) => (input.kind === "ids" ? [input.ids] : []));
    const targets = own.flatMap(({ targets: some }) => [...some]);
    return { input: inputOf(own, ids), targets: objective === "cross-entropy" ? targets : Float32Array.from(targets) };
  }
  const masked = own.flatMap(({ input }, index) =>
    input.kind === "ids" ? [maskSequence(input.ids, masking, { epoch, sequence: places[index] as number })] : [],
  );
  const ids = masked.map(({ ids: shown }) => shown);
  return { input: inputOf(own, ids), targets: masked.flatMap(({ targets }) => [...targets]) };
}
