/**
 * @file A run of an encoder against float64: the graph before any pass, through the references, with the same f32
 * weights. Choices of routers are checked in full; of the hidden states some rows may do.
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
import type { ReferenceTensor } from "../reference/tensor.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { checkedChoices } from "./checked-choices.ts";
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

/**
 * Compares hidden states, all of them or the rows that are asked for, and every choice of the routers in full with float64. The worst
 * comparison is returned.
 */
export async function compareWithFloat64(run: EncoderRunToCheck): Promise<Comparison> {
  const { encoder, graph, inputs, sizes, outputs, policy, lengths, rows, say } = run;
  const rounding = hiddenTolerance(encoder.sizes, lengths);
  const weights = await encoder.truths(graph);
  const shapes = new Map(graph.nodes.map((node) => [node.label, node]));
  const findings: Comparison[] = [];
  const expected = interpretRows(graph, {
    references: references as Readonly<Record<string, Reference>>,
    sources: (name, kind) =>
      kind === "parameter" ? (weights.get(name) as ReferenceTensor) : inputTensor(inputs, name, shapes.get(name)),
    sizes,
    wanted: { hidden: rows },
    override: checkedChoices(
      graph,
      { values: (name) => (outputs[name] as HostTensor).data, policy, rounding, lengths },
      findings,
    ),
    progress: (done, total) => say(`float64 op ${done} of ${total}`),
  });
  const hidden = expected.get("hidden") as ReferenceTensor;
  const { data } = outputs.hidden as HostTensor;
  const found = rows === null ? data : pickRows(data, rows, hidden.shape[1] as number);
  const comparison = compare("hidden", found, hidden.data, rounding);
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
