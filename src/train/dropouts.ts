/** @file What a training leaves out at random: the rates it goes by, and what is drawn on the host for a pass. */

import { FUSION_DROP, drawOf } from "../adapters/evaluate/dropout.ts";
import type { Dropouts, FusionDraw, FusionDropout } from "../adapters/evaluate/dropout.ts";
import { EngineError } from "../errors.ts";
import { sizeLookup } from "../graph/schedule.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { Graph, Value } from "../graph/value.ts";
import type { Host } from "../hosts/host.ts";
import { philox } from "../random.ts";

/** Name of the run-time input that what is drawn at random follows from: u32 [seed, pass]. */
export const SEED = "train.seed";

/** Rates that stand in for those of the checkpoint's configuration. What adapters, heads and fusions name for themselves comes first. */
export interface DropoutSettings {
  /** Of the host's embeddings and of what its sub-layers give; 0 when absent, whatever its configuration says. */
  readonly hidden?: number;
  readonly head?: number;
  /** Of the scores of fusions. */
  readonly attention?: number;
  /** Leaves whole adapters out of the fusions that are trained; none when absent. */
  readonly fusion?: FusionDropout;
}

function checked(name: string, rate: number): number {
  if (rate >= 0 && rate < 1) return rate;
  throw new EngineError("BAD_CONFIG", `dropout: ${name} is ${rate}, expected a number from 0 to below 1`, {
    where: `dropout.${name}`,
  });
}

/**
 * @param settings null: nothing is left out
 * @throws EngineError BAD_CONFIG naming a rate
 */
export function dropoutsOf({ dropout }: Host, settings: DropoutSettings | null = {}): Dropouts | null {
  if (settings === null) return null;
  const { hidden = 0, head = dropout?.head ?? 0, attention = dropout?.attention ?? 0, fusion = null } = settings;
  if (fusion !== null) checked("fusion.rate", fusion.rate);
  const rates = {
    hidden: checked("hidden", hidden),
    head: checked("head", head),
    attention: checked("attention", attention),
  };
  return { seed: SEED, ...rates, fusion };
}

const WORDS = 4;
/** A word of the counter that the dropout of elements leaves at 0. */
const ADAPTERS = 1;

/** Random words, one per adapter. */
function wordsOf(count: number, row: number, [seed, pass]: readonly [number, number], stream: number): number[] {
  const calls = Math.ceil(count / WORDS);
  const words = Array.from({ length: calls }, (_, call) =>
    philox([row * calls + call, pass, ADAPTERS, 0], [seed, stream]),
  );
  return words.flat().slice(0, count);
}

/** 1 for adapters that take part, -1 for those that are left out; one takes part always: the one with the largest word. */
function drawRow({ rate, reading }: FusionDraw, words: readonly number[]): number[] {
  const ranks = words.map((word, a) => words.filter((other, b) => other < word || (other === word && b < a)).length);
  const last = words.length - 1;
  const most = Math.min(Math.round(rate * words.length), last);
  const gone = (word: number, a: number): boolean =>
    reading === "count" ? (ranks[a] as number) < most : word < rate * 2 ** 32 && ranks[a] !== last;
  return words.map((word, a) => (gone(word, a) ? -1 : 1));
}

/** @returns which adapters of the fusions of a graph take part in a pass, by run-time input: f32 [sequences, N]. */
export function drawsOf(graph: Graph, sizes: Sizes, seeds: readonly [number, number]): Record<string, Float32Array> {
  const size = sizeLookup(sizes);
  const tables: Record<string, Float32Array> = {};
  for (const { kind, label, outputs } of graph.nodes) {
    if (kind !== "input" || !label.startsWith(FUSION_DROP)) continue;
    const [sequences = 0, adapters = 0] = (outputs.value as Value).type.shape.map(size);
    const draw = drawOf(label);
    const rowOf = (row: number): number => (draw.by === "batch" ? 0 : row);
    const rows = Array.from({ length: sequences }, (_, row) =>
      drawRow(draw, wordsOf(adapters, rowOf(row), seeds, draw.stream)),
    );
    tables[label] = Float32Array.from(rows.flat());
  }
  return tables;
}
