/** @file Scores that are no numbers: found on the GPU in every run, named here by layer, sequence and token. */

import { EngineError } from "../errors.ts";
import type { Plan, RunResult } from "../graph/plan.ts";
import type { Value } from "../graph/value.ts";
import { blocksOf } from "../routing/selection.ts";
import type { Lengths } from "./lengths.ts";

const NONE = 0xffffffff;

/** The table of the sequences whose rows a choice was made from. */
function sequencesOf(value: Value, { table }: Lengths): Uint32Array {
  const { label } = (value.node.inputs.segments as Value).node;
  const blocks = blocksOf(label);
  return table(blocks === null ? label : `${blocks.prefix}segments`);
}

/** The first row of a run whose score is not a number: the cause of the error of {@link checkScores}. */
export class ScoreFault extends Error {
  override readonly name = "ScoreFault";
  readonly layer: number;
  readonly sequence: number;
  readonly token: number;

  constructor(at: Pick<ScoreFault, "layer" | "sequence" | "token">) {
    super("a score is not a number");
    this.layer = at.layer;
    this.sequence = at.sequence;
    this.token = at.token;
  }
}

/** @returns whether an error is one of {@link checkScores}. */
export function isScoreFault(error: unknown): error is EngineError {
  return error instanceof EngineError && error.cause instanceof ScoreFault;
}

/**
 * Refuses the result of a run in which a router could not rank its rows: a selection among such scores would mean nothing.
 * @throws EngineError BAD_INPUT naming the lowest layer and its first row
 */
export function checkScores(plan: Pick<Plan, "graph">, { outputs }: RunResult, lengths: Lengths): void {
  for (const [name, value] of plan.graph.outputs) {
    const match = /^routing\.(\d+)(\.keys)?\.invalid$/.exec(name);
    const row = match === null ? undefined : outputs[name]?.data.find((entry) => entry !== NONE);
    if (match === null || row === undefined) continue;
    const table = sequencesOf(value, lengths);
    const sequence = table.findIndex((offset, s) => offset <= row && row < (table[s + 1] ?? 0));
    const token = row - (table[sequence] as number);
    const which = match[2] === undefined ? "router's" : "key router's";
    const message = `layer ${match[1]}: the ${which} score of row ${row} (sequence ${sequence}, token ${token}) is not a number`;
    throw new EngineError("BAD_INPUT", message, {
      where: `layers.${match[1]}`,
      cause: new ScoreFault({ layer: Number(match[1]), sequence, token }),
      fix: "look for NaN or infinity in the input, the adapters and the router vectors; the hidden states before this layer can be captured",
    });
  }
}
