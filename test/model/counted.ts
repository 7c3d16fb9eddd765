/** @file What a composition on a host would cost: the graph as models build it, scheduled and counted, with nothing compiled or run. */

import { adapterLeaf } from "../../src/adapters/composition.ts";
import type { Composition } from "../../src/adapters/composition.ts";
import type { Encoder } from "../../src/bench/encoder.ts";
import { explain } from "../../src/graph/explain.ts";
import type { Explanation } from "../../src/graph/explain.ts";
import { planMemory } from "../../src/graph/memory.ts";
import { schedule, sizeLookup } from "../../src/graph/schedule.ts";
import { optimize } from "../../src/graph/passes/optimize.ts";
import type { Graph } from "../../src/graph/value.ts";
import { buildModel } from "../../src/model/build.ts";
import { compose } from "../../src/model/composed.ts";
import { knownTables } from "../../src/model/known-tables.ts";
import { lengthsFor } from "../../src/model/lengths.ts";
import type { CodaPolicy } from "../../src/routing/coda.ts";

/** What runs. */
export interface Form {
  /** An adapter, a composition, or one adapter per sequence. */
  readonly adapters?: string | Composition | readonly (string | null)[];
  readonly routing?: CodaPolicy;
}

/** The passes of a model, or none. */
export type Passes = "fused" | "plain";

const PASSES: Readonly<Record<Passes, (graph: Graph) => Graph>> = { fused: optimize, plain: (graph) => graph };

/** Counts one pass over sequences of these lengths, with the last hidden state as the only result. */
export function countedPass(
  { gpu, host, store }: Encoder,
  { adapters, routing }: Form,
  rows: readonly number[],
  passes: Passes = "fused",
): Explanation {
  const perSequence = Array.isArray(adapters) ? (adapters as readonly (string | null)[]) : undefined;
  const one = typeof adapters === "string" ? adapterLeaf(adapters) : (adapters as Composition | undefined);
  const active = perSequence === undefined && one !== undefined ? { composition: one, compat: false } : null;
  const { dense } = compose(store, { active, perSequence, light: null, dropped: new Set(), compat: false });
  for (const resident of dense.residents) store.bank.prepare(resident);
  store.bank.acquire(dense.residents);
  const programs = { dense: dense.program, light: dense.program };
  const signature = {
    source: "ids",
    composition: dense.key,
    light: null,
    compat: false,
    routing: routing ?? null,
    outputs: ["hidden"],
    heads: [],
    captures: [],
  } as const;
  const built = buildModel({ host, bank: store.bank, fusions: store.fusions, programs }, signature, PASSES[passes]);
  const hostFeed = host.feed?.({ source: "ids", rows }, new Map()) ?? { inputs: {}, sizes: {} };
  const parts = { shape: host.shape, rows, hostFeed, bank: store.bank, programs, types: null, slots: {} };
  const batch = lengthsFor(built, parts);
  const steps = schedule(built.graph, gpu.traits, batch.sizes);
  const memory = planMemory(built.graph, steps, sizeLookup(batch.sizes));
  return explain(steps, memory, batch.sizes, knownTables(batch));
}
