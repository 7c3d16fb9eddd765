/** @file From the outputs of a plan to what a run returns. */

import { launchTimes } from "../graph/launch-times.ts";
import { emptyTensor } from "../graph/plan.ts";
import type { HostTensor, Plan, RunResult } from "../graph/plan.ts";
import { sizeLookup } from "../graph/schedule.ts";
import type { Value } from "../graph/value.ts";
import type { HostShape } from "../hosts/host.ts";
import { reductions } from "../routing/coda.ts";
import { selectionOf, selectionTable } from "../routing/selection.ts";
import { CAPTURE } from "./build.ts";
import type { Signature } from "./build.ts";
import { isStage } from "./lengths.ts";
import type { Lengths } from "./lengths.ts";
import type { LayerRouting, RoutedRows, RunOutput, Tensor } from "./types.ts";

/** What a result is assembled from. */
export interface ResultParts {
  readonly shape: HostShape;
  readonly signature: Signature;
  readonly lengths: Lengths;
  readonly wall: number;
  /** Names of the added heads, in the order in which the graph has them. */
  readonly heads: readonly string[];
  /** Sequences that took the adapter of that name; null for all. */
  readonly sequencesOf: (head: string) => Uint32Array | null;
}

/** Begins the name of an added head among the outputs of a graph. */
export const ADDED = "heads #";

/** What a plan has read back, by name. */
type Outputs = Readonly<Record<string, HostTensor>>;

/** The segment table of a value's rows, if its rows belong to sequences. */
function segmentsOf(value: Value, outputs: Outputs, { lengths }: ResultParts): Uint32Array | undefined {
  const dim = value.type.shape[0];
  if (typeof dim !== "object") return undefined;
  if (dim.times !== 1) return undefined;
  const selected = selectionOf(dim.symbol);
  if (selected?.rule.kind === "counted") return outputs[`routing.${selected.rule.layer}.segments`]?.data as Uint32Array;
  if (selected !== null) return lengths.table(selectionTable(selected, "segments"));
  return isStage(dim.symbol) ? lengths.table(dim.symbol.replace(/rows$/, "segments")) : undefined;
}

function tensor(value: Value, output: HostTensor, outputs: Outputs, parts: ResultParts): Tensor {
  const segments = segmentsOf(value, outputs, parts);
  const data = output.data as Float32Array;
  return segments === undefined ? { data, shape: output.shape } : { data, shape: output.shape, segments };
}

/** Cuts packed attention probabilities into one [heads, q, kv] tensor per sequence. */
function probabilities(value: Value, output: HostTensor, { shape, lengths }: ResultParts): Tensor[] {
  const { q_segments, kv_segments } = value.node.inputs;
  const queries = lengths.table(q_segments?.node.label as string);
  const keys = lengths.table(kv_segments?.node.label as string);
  const tensors: Tensor[] = [];
  let at = 0;
  for (let sequence = 0; sequence + 1 < queries.length; sequence += 1) {
    const q = (queries[sequence + 1] as number) - (queries[sequence] as number);
    const kv = (keys[sequence + 1] as number) - (keys[sequence] as number);
    const count = shape.heads * q * kv;
    tensors.push({ data: (output.data as Float32Array).slice(at, at + count), shape: [shape.heads, q, kv] });
    at += count;
  }
  return tensors;
}

function routingOf(outputs: Record<string, HostTensor>, parts: ResultParts): RunOutput["routing"] {
  const { signature, shape } = parts;
  const policy = signature.routing;
  if (policy === null || !signature.outputs.includes("routing")) return null;
  const trained = policy.weights !== null;
  return reductions(policy, shape.layers).map((reduction, layer): LayerRouting | null => {
    if (reduction === null) return null;
    const rows = (name: string): RoutedRows => {
      const part = (kind: string): HostTensor => outputs[`${name}.${kind}`] as HostTensor;
      return {
        selected: part("selected").data as Uint32Array,
        weights: part("weights").data as Float32Array,
        scores: part("scores").data as Float32Array,
      };
    };
    const keys = policy.router.keys === undefined ? {} : { keys: rows(`routing.${layer}.keys`) };
    return { ...rows(`routing.${layer}`), ...keys, trained };
  });
}

/** The rows of a head that belong to some sequences: those that took its adapter. */
function ofSequences(logits: Tensor, sequences: Uint32Array | null): Tensor {
  if (sequences === null) return logits;
  const [, width = 1] = logits.shape;
  const at = logits.segments ?? Uint32Array.from({ length: (logits.shape[0] as number) + 1 }, (_, row) => row);
  const pieces = Array.from(sequences, (s) =>
    logits.data.subarray((at[s] as number) * width, (at[s + 1] as number) * width),
  );
  const data = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  const segments = new Uint32Array(pieces.length + 1);
  pieces.forEach((piece, index) => {
    data.set(piece, (segments[index] as number) * width);
    segments[index + 1] = (segments[index] as number) + piece.length / width;
  });
  const shape = [data.length / width, width];
  return logits.segments === undefined ? { data, shape, sequences } : { data, shape, segments, sequences };
}

/** Assembles the public result of a run. */
export function assemble(plan: Plan, result: RunResult, parts: ResultParts): RunOutput {
  const { outputs } = result;
  const heads: Record<string, Tensor> = {};
  const captures: Record<string, Tensor | readonly Tensor[]> = {};
  for (const [name, value] of plan.graph.outputs) {
    const output = outputs[name] as HostTensor;
    if (name.startsWith("heads.")) heads[name.slice("heads.".length)] = tensor(value, output, outputs, parts);
    if (name.startsWith(ADDED)) {
      const head = parts.heads[Number(name.slice(ADDED.length))] as string;
      heads[head] = ofSequences(tensor(value, output, outputs, parts), parts.sequencesOf(head));
    }
    if (!name.startsWith(CAPTURE)) continue;
    const captured =
      value.node.label === "attention-probabilities"
        ? probabilities(value, output, parts)
        : tensor(value, output, outputs, parts);
    captures[name.slice(CAPTURE.length)] = captured;
  }
  const hidden = plan.graph.outputs.get("hidden");
  const launches = launchTimes(plan.steps, result);
  return {
    ...(hidden === undefined ? {} : { hidden: tensor(hidden, outputs.hidden as HostTensor, outputs, parts) }),
    heads,
    captures,
    routing: routingOf(outputs, parts),
    timing: { gpu: result.gpuMilliseconds, wall: parts.wall, ...(launches === null ? {} : { launches }) },
  };
}

/** The outputs of a batch without any sequence: everything is there, and empty. */
export function emptyResult(plan: Pick<Plan, "graph">, lengths: Lengths): RunResult {
  const size = sizeLookup(lengths.sizes);
  const outputs = Object.fromEntries(
    [...plan.graph.outputs].map(([name, { type }]) => [name, emptyTensor(type, size)]),
  );
  return { outputs, gpuMilliseconds: 0, launchMilliseconds: null };
}
