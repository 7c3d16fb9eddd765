/**
 * @file What a routing policy does to a graph, as text. Routers are code, so a plan is not found again by their names but by the
 * very operations that they build: two policies with the same text have the same plan, whatever made them.
 */

import { GraphBuilder } from "../graph/builder.ts";
import { runtimeDim } from "../ops/op.ts";
import { reductions } from "./coda.ts";
import type { CodaPolicy } from "./coda.ts";
import { route } from "./route.ts";

/** @returns the operations of all routed layers of a host, in order. */
export function routingFingerprint(policy: CodaPolicy, { layers, width }: { layers: number; width: number }): string {
  const b = new GraphBuilder();
  const x = b.input("x", [runtimeDim("rows"), width]);
  const segments = b.input("segments", [runtimeDim("offsets")], "u32");
  const results = reductions(policy, layers).flatMap((reduction, layer) => {
    if (reduction === null) return [];
    const at = { layer, reduction, sequences: runtimeDim("sequences") };
    const { keys, ...own } = route(b, x, segments, policy, at);
    return [own, keys].flatMap((choice) =>
      choice === null ? [] : Object.values(choice).filter((value) => value !== null && value !== undefined),
    );
  });
  const { nodes, outputs } = b.finish(Object.fromEntries(results.map((value, index) => [String(index), value])));
  const number = new Map(nodes.map((node, index) => [node, index]));
  const text = nodes.map(({ kind, label, inputs, attributes }) => {
    const from = Object.entries(inputs).map(([role, { node, output }]) => [role, number.get(node), output]);
    return [kind, label, from, attributes];
  });
  const ends = [...outputs.values()].map(({ node, output }) => [number.get(node), output]);
  const { attention, part } = policy;
  const keys = policy.router.keys?.weigh ?? null;
  return JSON.stringify([attention, part, keys, reductions(policy, layers).map((r) => r !== null), text, ends]);
}
