/** @file One host, its adapters and its routing put together as a graph. The only place where the three meet. */

import { slotsInput } from "../adapters/bank.ts";
import type { AdapterBank } from "../adapters/bank.ts";
import { EngineError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { optimize } from "../graph/passes/optimize.ts";
import type { Graph, Value } from "../graph/value.ts";
import type { Host, Stream } from "../hosts/host.ts";
import { SEQUENCES } from "../hosts/symbols.ts";
import { reductions } from "../routing/coda.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { combine, route } from "../routing/route.ts";

/** What a plan computes: everything that changes the graph, and nothing else. */
export interface Signature {
  readonly source: "ids" | "audio" | "features";
  /** Is an adapter active on dense layers, and on the light path of routed ones? */
  readonly adapters: { readonly dense: boolean; readonly light: boolean };
  readonly routing: CodaPolicy | null;
  readonly outputs: readonly string[];
  readonly captures: readonly string[];
}

/** Name of the run-time input with the slot of every sequence, on dense layers and on light paths. */
export const SLOT_INPUTS = { dense: "slots.dense", light: "slots.light" } as const;

/** Prefix of captured values among the outputs of a graph. */
export const CAPTURE = "capture ";

function buildLayer(
  b: GraphBuilder,
  host: Host,
  bank: AdapterBank | null,
  signature: Signature,
  stream: Stream,
  index: number,
): { x: Value; outputs: [string, Value][] } {
  const { hidden: x, segments } = stream;
  b.name("input", x);
  const layer = host.layer(b, index, stream, {});
  const { routing, adapters } = signature;
  const reduction = routing === null ? null : (reductions(routing, host.shape.layers)[index] as number | null);
  const adapted = (kind: "dense" | "light", residual: Value): Value =>
    bank === null || !adapters[kind]
      ? residual
      : bank.build(b, index, layer.siteInput, residual, segments, slotsInput(b, SLOT_INPUTS[kind], SEQUENCES));
  if (routing === null || reduction === null) {
    const { output } = layer.heavy({ selection: null });
    return { x: b.name("output", adapted("dense", output)), outputs: [] };
  }
  const chosen = route(b, layer.siteInput, segments, routing, { layer: index, reduction });
  const keys = routing.attention === "k-to-k" ? "selected" : "all";
  const { delta } = layer.heavy({ selection: chosen, keys });
  const y = combine(b, adapted("light", x), delta(), chosen);
  const at = `routing.${index}`;
  const outputs: [string, Value][] = [
    [`${at}.selected`, chosen.rows],
    [`${at}.weights`, chosen.weights],
    [`${at}.scores`, chosen.scores],
  ];
  return { x: b.name("output", y), outputs };
}

/** Builds the graph of a signature, before any pass. */
export function buildModel(host: Host, bank: AdapterBank | null, signature: Signature): Graph {
  const b = new GraphBuilder();
  const results = new Map<string, Value>();
  const embedded = b.scope("", () => host.embed(b, signature.source));
  const { segments } = embedded;
  let x = b.name("embeddings", embedded.hidden);
  for (let index = 0; index < host.shape.layers; index += 1) {
    const layer = b.scope(`layers.${index}`, () =>
      buildLayer(b, host, bank, signature, { hidden: x, segments }, index),
    );
    x = layer.x;
    if (signature.outputs.includes("routing")) for (const [name, value] of layer.outputs) results.set(name, value);
  }
  const hidden = b.name(
    "hidden",
    b.scope("final", () => host.finish(b, x)),
  );
  if (signature.outputs.includes("hidden")) results.set("hidden", hidden);
  if (host.head !== null && signature.outputs.includes("heads.default")) {
    const { head } = host;
    results.set(
      "heads.default",
      b.scope("head", () => head.build(b, { hidden, segments })),
    );
  }
  for (const name of signature.captures) {
    const value = b.names.get(name);
    if (value === undefined) {
      const known = [...b.names.keys()].join(", ");
      throw new EngineError("UNKNOWN_NAME", `there is no value named ${name}; known: ${known}`, { where: name });
    }
    results.set(`${CAPTURE}${name}`, value);
  }
  return b.finish(results);
}

/** The graph that is planned and run. */
export function buildOptimized(host: Host, bank: AdapterBank | null, signature: Signature): Graph {
  return optimize(buildModel(host, bank, signature));
}
