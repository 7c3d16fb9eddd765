/** @file All routers, and those that can be had by name. */

import { EngineError } from "../../errors.ts";
import type { Router } from "../router.ts";
import { norm, random, strided, truncation } from "./fixed.ts";
import { firstK, learned, mixtureOfDepths, sigmoidGate, straightThrough } from "./learned.ts";
import { oracle } from "./oracle.ts";
import { separate } from "./separate.ts";
import { threshold } from "./threshold.ts";

export type { OracleIndices } from "./oracle.ts";
export type { SeparateOptions } from "./separate.ts";

/** Makers of routers; each is described where it is defined. */
export const routers: {
  readonly learned: typeof learned;
  readonly sigmoid: typeof sigmoidGate;
  readonly straightThrough: typeof straightThrough;
  readonly truncation: typeof truncation;
  readonly random: typeof random;
  readonly norm: typeof norm;
  readonly firstK: typeof firstK;
  readonly strided: typeof strided;
  readonly oracle: typeof oracle;
  readonly threshold: typeof threshold;
  readonly mixtureOfDepths: typeof mixtureOfDepths;
  readonly separate: typeof separate;
} = Object.freeze({
  learned,
  sigmoid: sigmoidGate,
  straightThrough,
  truncation,
  random,
  norm,
  firstK,
  strided,
  oracle,
  threshold,
  mixtureOfDepths,
  separate,
});

const NAMED: Readonly<Record<string, (seed: number) => Router>> = {
  learned: () => learned(),
  sigmoid: () => sigmoidGate(),
  "straight-through": () => straightThrough(),
  truncation: () => truncation(),
  random: (seed) => random({ seed }),
  norm: () => norm(),
  "first-k": () => firstK(),
  strided: () => strided(),
  threshold: () => threshold(),
  "mixture-of-depths": () => mixtureOfDepths(),
  separate: () => separate(),
};

/** Names that `coda({ router })` takes: all routers but the oracle, which needs indices. */
export const routerNames: readonly string[] = Object.keys(NAMED);

/**
 * @param seed of the random router
 * @returns the router of that name, with its defaults
 * @throws EngineError UNKNOWN_NAME
 */
export function routerNamed(name: string, seed: number): Router {
  const make = Object.hasOwn(NAMED, name) ? NAMED[name] : undefined;
  if (make !== undefined) return make(seed);
  const message = `coda: there is no router ${JSON.stringify(name)}; known: ${routerNames.join(", ")}`;
  throw new EngineError("UNKNOWN_NAME", message, {
    where: "coda.router",
    fix: "name one of these, or pass a router object such as routers.oracle({ indices })",
  });
}
