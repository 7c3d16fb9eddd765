/**
 * @file A run of an encoder against float64: the graph before any pass, through the references, with the same f32
 * weights. Routing is checked choice by choice, then taken over, so that a tie that falls the other way in the last bit
 * cannot hide or fake an error further down: scores within rounding, λ from those scores within the solver's rounding,
 * and the selected rows exactly the top-k of those scores.
 */

import { compare } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import { toleranceFor } from "../cases/case.ts";
import { interpret } from "../graph/interpret.ts";
import type { Reference } from "../graph/interpret.ts";
import type { HostTensor } from "../graph/plan.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { Graph, Node } from "../graph/value.ts";
import { references } from "../reference/index.ts";
import type { ReferenceTensor, ReferenceTensors } from "../reference/tensor.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import type { Encoder, EncoderSizes } from "./encoder.ts";

/** A finished run and the graph that says what it should have given. */
export interface EncoderRunToCheck {
  readonly encoder: Encoder;
  /** The graph before any pass. */
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly sizes: Sizes;
  readonly outputs: Readonly<Record<string, HostTensor>>;
  readonly policy: CodaPolicy | null;
  readonly lengths: readonly number[];
  readonly say: (doing: string) => void;
}

/**
 * Rounding of hidden states after all layers, as a share of their scale: the reductions of a layer err independently, and
 * so do the layers, whose norms keep an error at its size.
 */
export function hiddenTolerance(
  { layers, width, ffnWidth, bottleneck }: EncoderSizes,
  lengths: readonly number[],
): number {
  const perWidth = [1, 2, 3, 4, 5].map(() => toleranceFor(width)); // q·k, projections in and out, up, norms
  const layer = Math.hypot(
    ...perWidth,
    toleranceFor(ffnWidth),
    toleranceFor(bottleneck),
    toleranceFor(Math.max(1, ...lengths)),
  );
  return layer * Math.sqrt(layers);
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

/** Compares hidden states and every choice of the routers with float64. The worst comparison is returned. */
export async function compareWithFloat64(run: EncoderRunToCheck): Promise<Comparison> {
  const { encoder, graph, inputs, sizes, outputs, lengths, say } = run;
  const weights = await encoder.truths(graph);
  const shapes = new Map(graph.nodes.map((node) => [node.label, node]));
  const findings: Comparison[] = [];
  let done = 0;
  const expected = interpret(graph, {
    references: references as Readonly<Record<string, Reference>>,
    sources: (name, kind) =>
      kind === "parameter" ? (weights.get(name) as ReferenceTensor) : inputTensor(inputs, name, shapes.get(name)),
    sizes,
    override: (node, computed) => {
      say(`float64 op ${(done += 1)} of ${graph.nodes.length}`);
      return checkedChoice(run, node, computed, findings);
    },
  });
  const hidden = expected.get("hidden") as ReferenceTensor;
  const found = compare(
    "hidden",
    (outputs.hidden as HostTensor).data,
    hidden.data,
    hiddenTolerance(encoder.sizes, lengths),
  );
  return findings.find(({ ok }) => !ok) ?? found;
}

function inputTensor(inputs: EncoderRunToCheck["inputs"], name: string, node: Node | undefined): ReferenceTensor {
  const data = inputs[name] as Float32Array | Uint32Array;
  const width = node?.outputs.value?.type.shape[1];
  const shape = typeof width === "number" ? [data.length / width, width] : [data.length];
  return { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) };
}

/** Checks what a router gave against float64 and passes the device's own numbers on. */
function checkedChoice(
  run: EncoderRunToCheck,
  node: Node,
  computed: ReferenceTensors,
  findings: Comparison[],
): ReferenceTensors {
  const { outputs, policy, encoder, lengths } = run;
  const part = { "row-dot": "scores", "soft-top-k": "weights", "top-k": "selected" }[node.label];
  if (policy === null || part === undefined) return computed;
  const name = `routing.${node.scope.slice("layers.".length)}.${part}`;
  const { data } = outputs[name] as HostTensor;
  const role = { scores: "y", weights: "weights", selected: "rows" }[part] as string;
  const tolerances = {
    scores: hiddenTolerance(encoder.sizes, lengths),
    weights: lambdaTolerance(policy, lengths),
    selected: 0,
  };
  const tensor = computed[role] as ReferenceTensor;
  findings.push(compare(name, data, tensor.data, tolerances[part as keyof typeof tolerances]));
  // The selected rows are the top-k of scores that were taken over before, so they are equal or wrong.
  if (part === "selected") return computed;
  return { [role]: { shape: tensor.shape, data: Float64Array.from(data) } };
}
