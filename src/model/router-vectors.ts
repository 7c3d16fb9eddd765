/** @file The router vector of every routed layer: given, or drawn with the policy's seed. */

import { EngineError } from "../errors.ts";
import type { HostShape } from "../hosts/host.ts";
import { gaussian, generator } from "../random.ts";
import { reductions } from "../routing/coda.ts";
import type { CodaPolicy } from "../routing/coda.ts";

/** @throws EngineError BAD_CONFIG for vectors of a wrong number, width or value */
export function routerVectors(policy: CodaPolicy, { width, layers }: HostShape): ReadonlyMap<number, Float32Array> {
  const routed = reductions(policy, layers).flatMap((reduction, layer) => (reduction === null ? [] : [layer]));
  const given = policy.weights;
  if (given !== null && (given.length !== routed.length || given.some((vector) => vector.length !== width))) {
    const message = `coda: weights holds ${given.length} vectors of ${given.map(({ length }) => length).join(", ")}, expected ${routed.length} of ${width}`;
    throw new EngineError("BAD_CONFIG", message, {
      where: "coda.weights",
      fix: "give one vector of the host's width per routed layer",
    });
  }
  if (given?.some((vector) => !vector.every(Number.isFinite)) === true) {
    throw new EngineError("BAD_CONFIG", "coda: weights holds a value that is not finite", { where: "coda.weights" });
  }
  const random = generator(policy.seed);
  const deviation = 1 / Math.sqrt(width);
  const draw = (): Float32Array => Float32Array.from({ length: width }, () => deviation * gaussian(random));
  return new Map(routed.map((layer, index) => [layer, given?.[index] ?? draw()]));
}
