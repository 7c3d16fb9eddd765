/** @file The routing of one model: the policy that is set, and the vectors of its routers, which stay what they are when it is set again. */

import { EngineError } from "../errors.ts";
import type { HostShape } from "../hosts/host.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import type { AdapterStore } from "./adapter-store.ts";
import { routerVectors } from "./router-vectors.ts";
import type { Routing } from "./runner.ts";
import { checkRouting } from "./set-routing.ts";

/** Vectors by parameter. Their identity counts: the runner writes those that are not on the GPU. */
type Vectors = Routing["vectors"];

interface Known {
  readonly vectors: Map<string, Float32Array>;
  trained: boolean;
}

/** Routers of one name and seed with the same vectors are the same routers, whatever they are told to select. */
function keyOf({ router, seed }: CodaPolicy, names: Iterable<string>): string {
  return JSON.stringify([router.name, seed, ...names]);
}

/** What is routed, and what was learned about it. */
export class RouterStore {
  readonly #shape: HostShape;
  readonly #adapters: AdapterStore;
  /** Vectors that nobody gave: drawn, later perhaps trained. */
  readonly #drawn = new Map<string, Known>();
  #current: Routing | null = null;
  /** Vectors of which the GPU holds newer values than the host. */
  #held: Vectors | null = null;

  constructor(shape: HostShape, adapters: AdapterStore) {
    this.#shape = shape;
    this.#adapters = adapters;
  }

  /** What the following runs are routed by; null: they are dense. */
  get current(): Routing | null {
    return this.#current;
  }

  /**
   * Sets a policy, or makes the following runs dense. Vectors that it does not give are drawn with its seed, unless routers of its kind
   * were set before: then they are theirs, trained if those were.
   * @throws EngineError BAD_CONFIG for what is no policy or does not fit the host; UNKNOWN_NAME for an adapter that is not here;
   * UNSUPPORTED for a light path without anything on it, and for other routers while some are trained
   */
  set(policy: CodaPolicy | null): void {
    this.#current = policy === null ? null : this.#routingOf(policy);
  }

  #routingOf(policy: CodaPolicy): Routing {
    const fingerprint = checkRouting(policy, this.#shape, this.#adapters);
    const fresh = routerVectors(policy, this.#shape);
    const known = policy.weights === null ? this.#knownOf(policy, fresh) : null;
    const vectors = known?.vectors ?? fresh;
    if (this.#held !== null && vectors !== this.#held && vectors.size > 0)
      throw new EngineError("UNSUPPORTED", "other routers cannot be set while routers are trained", {
        where: "setRouting",
        fix: "end the training first, or set routers of the same kind and seed without weights",
      });
    if (known?.trained !== true) return { policy, vectors, fingerprint };
    return { policy: { ...policy, weights: [...vectors.values()] }, vectors, fingerprint };
  }

  #knownOf(policy: CodaPolicy, fresh: Vectors): Known {
    const key = keyOf(policy, fresh.keys());
    const known = this.#drawn.get(key) ?? { vectors: new Map(fresh), trained: false };
    this.#drawn.set(key, known);
    return known;
  }

  /** The vectors that are being trained; null where none are. */
  get held(): Vectors | null {
    return this.#held;
  }

  /** Keeps the vectors that are on the GPU there until null is given: they are newer than the host's. */
  hold(vectors: Vectors | null): void {
    this.#held = vectors;
  }

  /** Takes what routers were trained to, which the GPU holds. They count as trained from the next call on. */
  learned(vectors: Vectors, values: ReadonlyMap<string, Float32Array>): void {
    // In place: these vectors are the ones on the GPU, and calls that were made before mean them too.
    for (const [name, value] of values) (vectors as Map<string, Float32Array>).set(name, value);
    for (const known of this.#drawn.values()) if (known.vectors === vectors) known.trained = true;
    const routing = this.#current;
    if (routing?.vectors !== vectors) return;
    this.#current = { ...routing, policy: { ...routing.policy, weights: [...vectors.values()] } };
  }
}
