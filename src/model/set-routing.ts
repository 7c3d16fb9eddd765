/** @file A routing policy as a model takes it: checked against the host and its adapters. */

import type { HostShape } from "../hosts/host.ts";
import { EngineError } from "../errors.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { routingFingerprint } from "../routing/fingerprint.ts";
import type { AdapterStore } from "./adapter-store.ts";

/**
 * @returns the text of what a policy does to a graph
 * @throws EngineError BAD_CONFIG for what is no policy or does not fit the host; UNKNOWN_NAME for an adapter that is not here;
 * UNSUPPORTED for a light path without anything on it
 */
export function checkRouting(policy: CodaPolicy, shape: HostShape, store: AdapterStore): string {
  if (policy.kind !== "coda")
    throw new EngineError("BAD_CONFIG", "setRouting takes the result of coda(...) or null", { where: "setRouting" });
  if (policy.adapter !== null) expectLight(policy.adapter, store);
  return routingFingerprint(policy, shape);
}

/** The light path computes bottlenecks and nothing else: what else an adapter has would be left out in silence. */
function expectLight(name: string, store: AdapterStore): void {
  const { layers, embedding } = store.get(name).resident.packed.structure;
  const some = layers.some(({ bottlenecks }) => Object.keys(bottlenecks).length > 0);
  const others = layers.some(({ linear, prefix }) => prefix !== null || Object.keys(linear).length > 0);
  if (some && !others && embedding.prompt === null && !embedding.invertible) return;
  const found = some ? "has more than bottlenecks" : "has no bottleneck";
  throw new EngineError("UNSUPPORTED", `the adapter ${name} ${found}, and a light path computes nothing else`, {
    where: "coda.adapter",
    fix: "name an adapter of bottlenecks alone, or make this one active: its other methods then run on the heavy path",
  });
}
