/** @file `--route r=3,attention=k-to-all,…`: routing options as one word of a command line. */

import { codaFromJson, codaToJson, routerSettings } from "../routing/coda-json.ts";
import type { CodaOptions, CodaPolicy } from "../routing/coda.ts";
import type { Json } from "../routing/trace.ts";
import { readRouters } from "../model/routers-file.ts";
import type { RouterChanges } from "../model/routers-file.ts";
import { readBytes } from "./files.ts";
import { EngineError } from "../errors.ts";

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

const words: ReadonlySet<string> = new Set(["attention", "part", "router", "softTopK", "adapter"]);

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
 * @returns options as JSON, of which only the form is checked
 * @throws EngineError BAD_CONFIG or UNKNOWN_NAME
 */
export function routeOptions(text: string): RouterChanges {
  const options: Record<string, unknown> = {};
  for (const part of text.split(",")) {
    const cut = part.indexOf("=");
    const name = part.slice(0, Math.max(cut, 0)).trim();
    const value = part.slice(cut + 1).trim();
    if (cut < 1 || value === "") refuse(`--route: ${JSON.stringify(part)} is not name=value`);
    const own = routerSettings.includes(name) ? name : undefined;
    const field = own ?? (Object.hasOwn(fields, name) ? fields[name] : undefined);
    if (field === undefined) {
      const known = [...Object.keys(fields), ...routerSettings].join(", ");
      const message = `--route does not know ${JSON.stringify(name)}; known: ${known}`;
      throw new EngineError("UNKNOWN_NAME", message, { where: "--route", fix: EXAMPLE });
    }
    if (field in options) refuse(`--route: ${field} stands there twice`);
    options[field] = valueOf(field, name, value);
  }
  return options as RouterChanges;
}

function valueOf(field: string, name: string, value: string): unknown {
  if (field === "reduction") return reductionOf(value);
  if (field === "weighKeys") return value === "true" || (value === "false" ? false : value);
  return words.has(field) ? value : numberOf(name, value);
}

/**
 * @returns the policy that `--route` names
 * @throws EngineError BAD_CONFIG or UNKNOWN_NAME
 */
export function parseRoute(text: string): CodaPolicy {
  const options = routeOptions(text);
  if (options.reduction === undefined) refuse("--route needs r, the reduction factor");
  return codaFromJson({ ...options });
}

/**
 * @param route the text of `--route`
 * @param routers the file that `--routers` names; what `--route` says stands in for the options in it
 * @returns null without either
 * @throws EngineError BAD_CONFIG, UNKNOWN_NAME, NOT_FOUND, BAD_FILE
 */
export async function routePolicy(route: string | undefined, routers: string | undefined): Promise<CodaPolicy | null> {
  if (routers === undefined) return route === undefined ? null : parseRoute(route);
  return readRouters(await readBytes(routers), routers, route === undefined ? {} : routeOptions(route));
}

/** @returns the policy as a report and a result record it. */
export function routeRecord(policy: CodaPolicy): { readonly [key: string]: Json } {
  const { iterations, epsilonStart, epsilonDecay, ...rest } = codaToJson(policy);
  // The exact soft top-k has no iterations, so their settings would only mislead.
  const scaling = policy.softTopK === "paper" ? { iterations, epsilonStart, epsilonDecay } : {};
  return { ...rest, ...(scaling as { readonly [key: string]: Json }), trained: policy.weights !== null };
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
