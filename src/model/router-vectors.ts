/** @file The trained vectors of every routed layer: given, or drawn with the policy's seed. */

import { EngineError } from "../errors.ts";
import type { HostShape } from "../hosts/host.ts";
import { gaussian, generator } from "../random.ts";
import { reductions } from "../routing/coda.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { routerName } from "../routing/route.ts";

/**
 * @returns the vectors by the names of their parameters
 * @throws EngineError BAD_CONFIG for vectors of a wrong number, width or value
 */
export function routerVectors(policy: CodaPolicy, { width, layers }: HostShape): ReadonlyMap<string, Float32Array> {
  const routed = reductions(policy, layers).flatMap((reduction, layer) => (reduction === null ? [] : [layer]));
  const { weights: given, router } = policy;
  const names = router.vectors.flatMap((vector) => routed.map((layer) => routerName(layer, vector)));
  if (given !== null) checkVectors(given, names.length, width);
  const random = generator(policy.seed);
  const deviation = 1 / Math.sqrt(width);
  const draw = (): Float32Array => Float32Array.from({ length: width }, () => deviation * gaussian(random));
  return new Map(names.map((name, index) => [name, given?.[index]?.slice() ?? draw()]));
}

function checkVectors(given: readonly Float32Array[], count: number, width: number): void {
  if (given.length !== count || given.some((vector) => vector.length !== width)) {
    const widths = [...new Set(given.map(({ length }) => length))].join(", ");
    const found = `${given.length} vectors${given.length === 0 ? "" : ` of ${widths}`}`;
    const message = `coda: weights holds ${found}, expected ${count} of ${width}, the host's width`;
    throw new EngineError("BAD_CONFIG", message, {
      where: "coda.weights",
      fix: "give one vector of the host's width per routed layer and kind of vector that the router has",
    });
  }
  if (given.some((vector) => !vector.every(Number.isFinite)))
    throw new EngineError("BAD_CONFIG", "coda: weights holds a value that is not finite", { where: "coda.weights" });
}
