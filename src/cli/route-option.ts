/** @file `--route r=3,attention=k-to-all,…`: routing options as one word of a command line. */

import { coda } from "../routing/coda.ts";
import { routers } from "../routing/routers/index.ts";
import type { Router } from "../routing/router.ts";
import type { CodaOptions, CodaPolicy } from "../routing/coda.ts";
import type { Json } from "../routing/trace.ts";
import { EngineError } from "../errors.ts";

/** Settings of routers that have some, by the names that `--route` takes. */
const SETTINGS: Readonly<Record<string, (value: number) => { readonly router: string; readonly made: Router }>> = {
  threshold: (value) => ({ router: "threshold", made: routers.threshold({ threshold: value }) }),
  keyReduction: (value) => ({ router: "separate", made: routers.separate({ keyReduction: value }) }),
};

/** Fields by the names that `--route` takes. `r` is short for `reduction`. */
const fields: Readonly<Record<string, keyof CodaOptions>> = {
  r: "reduction",
  reduction: "reduction",
  attention: "attention",
  part: "part",
  block: "block",
  router: "router",
  softTopK: "softTopK",
  epsilon: "epsilon",
  iterations: "iterations",
  epsilonStart: "epsilonStart",
  epsilonDecay: "epsilonDecay",
  lambda: "lambda",
  adapter: "adapter",
  seed: "seed",
};

const words: ReadonlySet<keyof CodaOptions> = new Set(["attention", "part", "router", "softTopK", "adapter"]);

const EXAMPLE = "write, for example, --route r=3,attention=k-to-all";

function refuse(message: string): never {
  throw new EngineError("BAD_CONFIG", message, { where: "--route", fix: EXAMPLE });
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  return refuse(`--route: ${name} is ${JSON.stringify(text)}, expected a number`);
}

function reductionOf(text: string): CodaOptions["reduction"] {
  const one = (part: string): number | null => (part === "null" || part === "dense" ? null : numberOf("r", part));
  const parts = text.split("/").map(one);
  const [only] = parts;
  return parts.length === 1 && typeof only === "number" ? only : parts;
}

/**
 * Reads `--route`: fields separated by commas; `r` is one number for all layers or a list with `/`, in which `null`
 * leaves a layer dense: `r=1/2/null/3`.
 * @throws EngineError BAD_CONFIG or UNKNOWN_NAME
 */
export function parseRoute(text: string): CodaPolicy {
  const options: Record<string, unknown> = {};
  const settings = new Map<string, ReturnType<NonNullable<(typeof SETTINGS)[string]>>>();
  for (const part of text.split(",")) {
    const cut = part.indexOf("=");
    const name = part.slice(0, Math.max(cut, 0)).trim();
    const value = part.slice(cut + 1).trim();
    if (cut < 1 || value === "") refuse(`--route: ${JSON.stringify(part)} is not name=value`);
    const setting = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined;
    if (setting !== undefined) {
      if (settings.has(name)) refuse(`--route: ${name} stands there twice`);
      settings.set(name, setting(numberOf(name, value)));
      continue;
    }
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      const known = [...Object.keys(fields), ...Object.keys(SETTINGS)].join(", ");
      const message = `--route does not know ${JSON.stringify(name)}; known: ${known}`;
      throw new EngineError("UNKNOWN_NAME", message, { where: "--route", fix: EXAMPLE });
    }
    if (field in options) refuse(`--route: ${field} stands there twice`);
    options[field] = field === "reduction" ? reductionOf(value) : words.has(field) ? value : numberOf(name, value);
  }
  if (options.reduction === undefined) refuse("--route needs r, the reduction factor");
  for (const [name, { router, made }] of settings) {
    if (options.router !== router) refuse(`--route: ${name} is a setting of router=${router}`);
    options.router = made;
  }
  return coda(options as unknown as CodaOptions);
}

/** @returns the policy as a report and a result record it. */
export function routeRecord(policy: CodaPolicy): { readonly [key: string]: Json } {
  const { kind: _, weights, lambda, adapter, block, router, ...rest } = policy;
  const { iterations, epsilonStart, epsilonDecay, softTopK, ...shared } = rest;
  // The exact soft top-k has no iterations, so their settings would only mislead.
  const scaling = softTopK === "paper" ? { iterations, epsilonStart, epsilonDecay } : {};
  const given = {
    ...(lambda === null ? {} : { lambda }),
    ...(adapter === null ? {} : { adapter }),
    ...(block === null ? {} : { block }),
  };
  return {
    ...shared,
    router: router.name,
    ...router.settings,
    softTopK,
    ...scaling,
    ...given,
    trained: weights !== null,
  };
}

/** @returns the policy in a few words for people. */
export function routeLine(policy: CodaPolicy): string {
  const { reduction, attention, part, block, router, softTopK, epsilon, lambda, weights, seed } = policy;
  const r = typeof reduction === "number" ? String(reduction) : reduction.map((factor) => factor ?? "dense").join("/");
  const untrained = weights === null && router.vectors.length > 0;
  return [
    `r ${r}`,
    attention,
    ...(part === "layer" ? [] : [`${part} only`]),
    ...(block === null ? [] : [`blocks of ${block}`]),
    router.name === "learned" ? `${softTopK} soft top-k (epsilon ${epsilon})` : `${router.name} router`,
    ...(lambda === null ? [] : [`lambda ${lambda}`]),
  ]
    .join(", ")
    .concat(untrained ? `; routers are random (seed ${seed}), not trained` : "");
}
