/** @file A whole model in float64: the graph before any pass, interpreted with the references. */

import type { AdapterBank } from "../../src/adapters/bank.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import type { TinyModel } from "../tiny-models.ts";
import { buildModel } from "../../src/model/build.ts";
import type { Signature } from "../../src/model/build.ts";
import { lengthsFor } from "../../src/model/lengths.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";

/** What the interpreter takes besides the model: arrays of the batch, and parameters that the host does not have. */
export interface TruthInput {
  readonly signature: Signature;
  readonly rows: readonly number[];
  readonly arrays: Readonly<Record<string, ReferenceTensor>>;
  readonly parameters?: Readonly<Record<string, ReferenceTensor>>;
  readonly bank?: AdapterBank | null;
}

/** @returns every output of the signature in float64. */
export function modelTruth({ host, parameter, tensors }: TinyModel, input: TruthInput): Map<string, ReferenceTensor> {
  const { graph } = buildModel(host, input.bank ?? null, input.signature);
  const tables = new Map(
    (host.tables ?? []).map(({ tensor }) => [tensor, Uint32Array.from((tensors[tensor] as { data: Int32Array }).data)]),
  );
  const feed = host.feed?.({ source: input.signature.source, rows: input.rows }, tables) ?? { inputs: {}, sizes: {} };
  const { inputs, sizes } = lengthsFor(graph, host.shape, input.rows, feed);
  const sources = (name: string, kind: "input" | "parameter"): ReferenceTensor => {
    if (kind === "parameter") return input.parameters?.[name] ?? parameter(name);
    const table = inputs[name];
    return input.arrays[name] ?? { shape: [table?.length ?? 0], data: table as Uint32Array };
  };
  return interpret(graph, { references: references as Record<string, Reference>, sources, sizes });
}

/** Largest |a − b| relative to the largest |b|. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let scale = 1e-30;
  let worst = 0;
  for (let i = 0; i < expected.length; i += 1) {
    scale = Math.max(scale, Math.abs(expected[i] as number));
    worst = Math.max(worst, Math.abs((actual[i] as number) - (expected[i] as number)));
  }
  return actual.length === expected.length ? worst / scale : Infinity;
}
