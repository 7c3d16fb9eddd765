/** @file CoDA's options as JSON: those of {@link coda} with a router by its name, and the router's own settings beside them. */

import { EngineError } from "../errors.ts";
import { coda } from "./coda.ts";
import type { CodaOptions, CodaPolicy } from "./coda.ts";
import type { Router } from "./router.ts";
import { routers } from "./routers/index.ts";
import type { SeparateOptions } from "./routers/index.ts";
import type { Json } from "./trace-types.ts";

/** Options as JSON holds them. */
export interface CodaJson extends Omit<CodaOptions, "router" | "weights"> {
  readonly router?: string;
  /** Of the router `threshold`. */
  readonly threshold?: number;
  /** Of the router `separate`. */
  readonly keyReduction?: number;
  readonly weighKeys?: boolean;
}

/** Routers that have settings of their own, and what these are called. */
const SETTINGS: Readonly<Record<string, { readonly names: readonly string[]; readonly make: (own: never) => Router }>> =
  {
    threshold: {
      names: ["threshold"],
      make: (own: { readonly threshold: number }) => routers.threshold(own),
    },
    separate: {
      names: ["keyReduction", "weighKeys"],
      make: (own: SeparateOptions) => routers.separate(own),
    },
  };

/** Names of all settings of routers. */
export const routerSettings: readonly string[] = Object.values(SETTINGS).flatMap(({ names }) => names);

function refuse(name: string, value: unknown, expected: string): never {
  const message = `coda: ${name} is ${JSON.stringify(value)}, expected ${expected}`;
  throw new EngineError("BAD_CONFIG", message, { where: `coda.${name}` });
}

/** The router where settings of one are given; they must be its own. */
function routerWith(router: unknown, own: Readonly<Record<string, unknown>>): Router {
  const known = typeof router === "string" && Object.hasOwn(SETTINGS, router) ? SETTINGS[router] : undefined;
  for (const [name, value] of Object.entries(own)) {
    const [owner] = Object.entries(SETTINGS).find(([, { names }]) => names.includes(name)) as [string, unknown];
    if (known?.names.includes(name) !== true)
      refuse(name, value, `nothing: it is a setting of the router ${owner}, not of ${String(router ?? "learned")}`);
    if (name === "weighKeys" && typeof value !== "boolean") refuse(name, value, "true or false");
  }
  return (known as NonNullable<typeof known>).make(own as never);
}

/**
 * @param fields those of {@link CodaJson}, unchecked
 * @param weights trained vectors, in the order in which `coda` takes them; null: drawn from the seed
 * @throws EngineError BAD_CONFIG naming the field; UNKNOWN_NAME for a router that has no name here
 */
export function codaFromJson(
  fields: Readonly<Record<string, unknown>>,
  weights: readonly Float32Array[] | null = null,
): CodaPolicy {
  const isOwn = ([name]: readonly [string, unknown]): boolean => routerSettings.includes(name);
  const entries = Object.entries(fields);
  const own = Object.fromEntries(entries.filter(isOwn));
  const options = Object.fromEntries(entries.filter((entry) => !isOwn(entry)));
  const made = Object.keys(own).length === 0 ? {} : { router: routerWith(options.router, own) };
  const given = weights === null ? {} : { weights };
  return coda({ ...options, ...made, ...given } as unknown as CodaOptions);
}

/** @returns the options of a policy, from which {@link codaFromJson} makes it again where its router has a name. */
export function codaToJson(policy: CodaPolicy): { readonly [key: string]: Json } {
  const { kind: _, weights: __, lambda, adapter, block, router, ...rest } = policy;
  return {
    ...rest,
    router: router.name,
    ...router.settings,
    ...(lambda === null ? {} : { lambda }),
    ...(adapter === null ? {} : { adapter }),
    ...(block === null ? {} : { block }),
  };
}
