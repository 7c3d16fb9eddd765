/**
 * @file A run of an encoder against float64: the graph before any pass, through the references, with the same f32
 * weights. Routing is checked choice by choice, then taken over, so that a tie that falls the other way in the last bit
 * cannot hide or fake an error further down: scores within rounding, λ from those scores within the solver's rounding,
 * and the selected rows exactly the top-k of those scores. All of that is checked in full; of the hidden states some rows may do.
 */

import { compare } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import { toleranceFor } from "../cases/case.ts";
import type { Reference } from "../graph/interpret.ts";
import { interpretRows } from "../graph/interpret-rows.ts";
import type { WantedRows } from "../graph/interpret-rows.ts";
import type { HostTensor } from "../graph/plan.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { Graph, Node } from "../graph/value.ts";
import { references } from "../reference/index.ts";
import type { ReferenceTensor, ReferenceTensors } from "../reference/tensor.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import type { Encoder } from "./encoder.ts";
import { isGated } from "./encoder-host.ts";
import type { EncoderSizes } from "./encoder-host.ts";

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
  /** Rows of the hidden states that are compared; null for all. Choices of routers are always compared in full. */
  readonly rows: WantedRows;
  readonly say: (doing: string) => void;
}

/**
 * Rounding of hidden states after all layers, as a share of their scale: the reductions of a layer err independently, and
 * so do the layers, whose norms keep an error at its size.
 */
export function hiddenTolerance(sizes: EncoderSizes, lengths: readonly number[]): number {
  const { layers, width, ffnWidth, bottleneck } = sizes;
  // q·k, projections in and out, up, norms; the gate.
  const perWidth = Array.from({ length: isGated(sizes) ? 6 : 5 }, () => toleranceFor(width));
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

/**
 * Compares hidden states, all of them or the rows that are asked for, and every choice of the routers in full with float64. The worst
 * comparison is returned.
 */
export async function compareWithFloat64(run: EncoderRunToCheck): Promise<Comparison> {
  const { encoder, graph, inputs, sizes, outputs, lengths, rows, say } = run;
  const weights = await encoder.truths(graph);
  const shapes = new Map(graph.nodes.map((node) => [node.label, node]));
  const choices = choicesOf(graph);
  const findings: Comparison[] = [];
  const expected = interpretRows(graph, {
    references: references as Readonly<Record<string, Reference>>,
    sources: (name, kind) =>
      kind === "parameter" ? (weights.get(name) as ReferenceTensor) : inputTensor(inputs, name, shapes.get(name)),
    sizes,
    wanted: { hidden: rows },
    override: (node, computed) => checkedChoice(run, choices.get(node) ?? [], computed, findings),
    progress: (done, total) => say(`float64 op ${done} of ${total}`),
  });
  const hidden = expected.get("hidden") as ReferenceTensor;
  const { data } = outputs.hidden as HostTensor;
  const found = rows === null ? data : pickRows(data, rows, hidden.shape[1] as number);
  const comparison = compare("hidden", found, hidden.data, hiddenTolerance(encoder.sizes, lengths));
  return findings.find(({ ok }) => !ok) ?? (rows === null ? comparison : withRows(comparison, rows));
}

/** Names the rows of a comparison of some rows. */
function withRows(comparison: Comparison, rows: Uint32Array): Comparison {
  return {
    ...comparison,
    detail: `${comparison.detail} in ${rows.length} rows, ${rows.slice(0, 3).join(", ")} … ${rows.at(-1)}`,
  };
}

function pickRows(data: HostTensor["data"], rows: Uint32Array, width: number): Float64Array {
  const picked = new Float64Array(rows.length * width);
  rows.forEach((row, at) => picked.set(data.subarray(row * width, (row + 1) * width), at * width));
  return picked;
}

function inputTensor(inputs: EncoderRunToCheck["inputs"], name: string, node: Node | undefined): ReferenceTensor {
  const data = inputs[name] as Float32Array | Uint32Array;
  const width = node?.outputs.value?.type.shape[1];
  const shape = typeof width === "number" ? [data.length / width, width] : [data.length];
  return { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) };
}

/** An output of the graph that tells what a router decided. */
interface Choice {
  readonly name: string;
  /** The output of its node. */
  readonly output: string;
}

/** The choices of all routers by the nodes that make them. */
function choicesOf(graph: Graph): ReadonlyMap<Node, readonly Choice[]> {
  const choices = new Map<Node, Choice[]>();
  for (const [name, { node, output }] of graph.outputs) {
    if (name.startsWith("routing.")) choices.set(node, [...(choices.get(node) ?? []), { name, output }]);
  }
  return choices;
}

/** Checks what a router gave against float64 and passes the device's own numbers on. */
function checkedChoice(
  { outputs, policy, encoder, lengths }: EncoderRunToCheck,
  choices: readonly Choice[],
  computed: ReferenceTensors,
  findings: Comparison[],
): ReferenceTensors {
  const taken: Record<string, ReferenceTensor> = { ...computed };
  for (const { name, output } of choices) {
    const { data } = outputs[name] as HostTensor;
    const tensor = computed[output] as ReferenceTensor;
    // Rows are the top-k of scores that were taken over before, so they are equal or wrong.
    const exact = data instanceof Uint32Array;
    const rounding = name.endsWith(".weights")
      ? lambdaTolerance(policy as CodaPolicy, lengths)
      : hiddenTolerance(encoder.sizes, lengths);
    findings.push(compare(name, data, tensor.data, exact ? 0 : rounding));
    if (!exact) taken[output] = { shape: tensor.shape, data: Float64Array.from(data) };
  }
  return taken;
}
