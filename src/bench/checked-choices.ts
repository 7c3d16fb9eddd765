/**
 * @file What the routers of a run chose, checked choice by choice against float64 and then taken over, so that a tie that falls the other way
 * in the last bit cannot hide or fake an error further down: scores within rounding, λ from those scores within the solver's rounding, and
 * the selected rows exactly those that these scores give.
 */

import { compare } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import type { Graph, Node } from "../graph/value.ts";
import type { ReferenceTensor, ReferenceTensors } from "../reference/tensor.ts";
import type { CodaPolicy } from "../routing/coda.ts";

/** What a run gave, and how far it may be from float64. */
export interface ChosenByRun {
  /** Outputs of the graph that tell what routers decided, by name. */
  readonly values: (name: string) => Float32Array | Uint32Array;
  readonly policy: CodaPolicy | null;
  /** Rounding of hidden states, as a share of their scale. */
  readonly rounding: number;
  readonly lengths: readonly number[];
}

/** An output of the graph that tells what a router decided. */
interface Choice {
  readonly name: string;
  /** The output of its node. */
  readonly output: string;
}

const EPSILON_F32 = 2 ** -24;

/**
 * Rounding of λ from given scores. An error of iteration t moves the threshold by ε_t times as much, and the weight divides
 * it by the final ε; the sum of n positive terms in at least 16 lanes errs like √n / 16 and a few roundings.
 */
export function lambdaTolerance(policy: CodaPolicy, lengths: readonly number[]): number {
  const sum = (4 + Math.sqrt(Math.max(1, ...lengths)) / 16) * EPSILON_F32;
  const gains: number[] = [];
  for (let t = 0, current = Math.max(policy.epsilonStart, policy.epsilon); t < policy.iterations; t += 1) {
    gains.push(current / policy.epsilon);
    current = Math.max(current * policy.epsilonDecay, policy.epsilon);
  }
  return sum * Math.hypot(...gains);
}

/** The choices of all routers by the nodes that make them. */
function choicesOf(graph: Graph): ReadonlyMap<Node, readonly Choice[]> {
  const choices = new Map<Node, Choice[]>();
  for (const [name, { node, output }] of graph.outputs) {
    if (/^routing\..*\.(selected|weights|scores)$/.test(name))
      choices.set(node, [...(choices.get(node) ?? []), { name, output }]);
  }
  return choices;
}

/**
 * @param findings gets a comparison per choice
 * @returns what an interpreter of the graph takes as its `override`
 */
export function checkedChoices(
  graph: Graph,
  { values, policy, rounding, lengths }: ChosenByRun,
  findings: Comparison[],
): (node: Node, computed: ReferenceTensors) => ReferenceTensors {
  const choices = choicesOf(graph);
  return (node, computed) => {
    const taken: Record<string, ReferenceTensor> = { ...computed };
    for (const { name, output } of choices.get(node) ?? []) {
      const data = values(name);
      const tensor = computed[output] as ReferenceTensor;
      // Rows are the top-k of scores that were taken over before, so they are equal or wrong.
      const exact = data instanceof Uint32Array;
      const own = name.endsWith(".weights") ? lambdaTolerance(policy as CodaPolicy, lengths) : rounding;
      findings.push(compare(name, data, tensor.data, exact ? 0 : own));
      if (!exact) taken[output] = { shape: tensor.shape, data: Float64Array.from(data) };
    }
    return taken;
  };
}
