/** @file What is trained: stretches of resident parameters, named by what they belong to. */

import { slotParts } from "../adapters/unpack-parts.ts";
import type { SlotPart } from "../adapters/unpack-parts.ts";
import { sourcesOf } from "../adapters/unpack.ts";
import type { EntrySources } from "../adapters/unpack.ts";
import { EngineError } from "../errors.ts";
import type { Leaf } from "../graph/differentiate.ts";
import { fusionsOf } from "../model/composed.ts";
import type { Inside } from "../model/model.ts";
import { sourceParameter } from "./derived.ts";
import type { DerivedAdapter } from "./derived.ts";
import { hostTrainables } from "./trainable-host.ts";
import type { HostTargets } from "./trainable-host.ts";

/** What a trained stretch is, for writing it back. */
export type TrainedThing =
  | { readonly kind: "adapter"; readonly name: string; readonly table: string; readonly room: number }
  | { readonly kind: "tensor"; readonly name: string; readonly key: string }
  | { readonly kind: "head"; readonly name: string; readonly tail: string }
  | { readonly kind: "fusion"; readonly name: string }
  | { readonly kind: "router" }
  | { readonly kind: "host" };

/** A stretch of elements of a resident parameter of which some are trained. */
export interface Trainable extends Leaf {
  /** What it belongs to, such as `adapter bbbp` or `head bbbp`. */
  readonly owner: string;
  readonly thing: TrainedThing;
  /** Elements of a parameter, or of its slot. */
  readonly elements: number;
  /** The trained ones among them, the first ones first. */
  readonly parts: readonly SlotPart[];
}

/** What a training is told to train. */
export interface TrainTargets {
  readonly adapters?: readonly string[];
  readonly heads?: readonly string[];
  /** AdapterFusions in what is active; their adapters stay frozen. */
  readonly fusions?: readonly string[];
  /** The vectors of the routers that are set. */
  readonly routers?: boolean;
  /** Weights of the host. */
  readonly host?: HostTargets;
}

/** All elements of a stretch as one part. */
export function wholePart(elements: number, decays: boolean): readonly SlotPart[] {
  return [{ from: 0, elements, decays, mask: null }];
}

/** The slot of an adapter in every table, without what is no copy of its tensors. */
function adapterTrainables({ store, parts }: Inside, name: string, derived: readonly DerivedAdapter[]): Trainable[] {
  const { definition, resident } = store.get(name);
  const own = derived.find((one) => one.name === name);
  const { entries } = own?.copied ?? sourcesOf(name, definition, parts.host.shape);
  return store.bank.stretchesOf(resident).map(({ table, room, ...stretch }, index): Trainable => {
    const entry = resident.packed.entries[index] as (typeof resident.packed.entries)[number];
    const trained = slotParts(entry, entries.get(table) as EntrySources, room);
    const thing = { kind: "adapter", name, table, room } as const;
    return { ...stretch, owner: `adapter ${name}`, thing, parts: trained };
  });
}

/** What the slots of an adapter are computed of. */
function derivedTrainables(derived: DerivedAdapter): Trainable[] {
  return [...derived.derivation.sources].flatMap(([key, { shape, trained, data }]) => {
    const elements = data.length;
    const parameter = sourceParameter(derived, key);
    const thing = { kind: "tensor", name: derived.name, key } as const;
    const parts = wholePart(elements, shape.length > 1);
    return trained ? [{ parameter, owner: `adapter ${derived.name}`, thing, elements, parts }] : [];
  });
}

/** The matrices of a fusion. */
function fusionTrainables({ store }: Inside, name: string): Trainable[] {
  return store.fusions.stretchesOf(name).map(({ parameter, elements, bias }) => ({
    parameter,
    owner: `fusion ${name}`,
    thing: { kind: "fusion", name },
    elements,
    parts: wholePart(elements, !bias),
  }));
}

function headTrainables({ heads }: Inside, name: string): Trainable[] {
  return heads.stretchesOf(name).map(({ tail, ...stretch }) => ({
    ...stretch,
    owner: `head ${name}`,
    thing: { kind: "head", name, tail },
    parts: wholePart(stretch.elements, !tail.endsWith("bias")),
  }));
}

function routerTrainables({ routers }: Inside): Trainable[] {
  return Array.from(routers.current?.vectors ?? [], ([parameter, { length }]) => ({
    parameter,
    owner: "routers",
    thing: { kind: "router" },
    elements: length,
    parts: wholePart(length, true),
  }));
}

/** A fusion computes its adapters from copies that are made when it is prepared: what is trained meanwhile would not reach it. */
function refuseFused({ request }: Inside, adapters: readonly string[]): void {
  for (const { name, children } of fusionsOf(request(null).composed.dense.program)) {
    const fused = children.flatMap(({ residents }) => residents).find((one) => adapters.includes(one.name));
    if (fused === undefined) continue;
    throw new EngineError("UNSUPPORTED", `the adapter ${fused.name} is part of the fusion ${name}, which is active`, {
      where: "train.adapters",
      fix: "train adapters one by one, and then their fusion",
    });
  }
}

/** Two that are trained at once may not be slots of one table: a gradient is of one slot. */
function refuseShared(trainables: readonly Pick<Trainable, "parameter" | "owner">[]): void {
  const owners = new Map<string, string>();
  for (const { parameter, owner } of trainables) {
    const other = owners.get(parameter);
    if (other !== undefined)
      throw new EngineError("UNSUPPORTED", `${other} and ${owner} share the table ${parameter}`, {
        where: "train",
        fix: "train one after the other: slots of one table are trained one at a time",
      });
    owners.set(parameter, owner);
  }
}

/** Two adapters whose slots are computed may not be slots of one table either. */
function refuseSharedSlots(derived: readonly DerivedAdapter[], trainables: readonly Trainable[]): void {
  const slots = derived.flatMap(({ name, slots: own }) =>
    Array.from(own.values(), ({ parameter }) => ({ parameter, owner: `adapter ${name}` })),
  );
  refuseShared([
    ...slots,
    ...trainables.filter(({ owner }) => derived.every(({ name }) => owner !== `adapter ${name}`)),
  ]);
}

/**
 * @param derived of the adapters, those of which slots are computed: of `deriveAdapters`
 * @returns the trained stretches of a model. Adapters must be in their slots: a run has named them, or they were admitted.
 * @throws EngineError BAD_CONFIG where there is nothing to train; UNKNOWN_NAME; UNSUPPORTED for two adapters of one table, and for a
 * host whose weights cannot be trained
 */
export function trainablesOf(
  inside: Inside,
  targets: TrainTargets,
  derived: readonly DerivedAdapter[] = [],
): readonly Trainable[] {
  const all = [
    ...(targets.adapters ?? []).flatMap((name) => adapterTrainables(inside, name, derived)),
    ...derived.flatMap(derivedTrainables),
    ...(targets.heads ?? []).flatMap((name) => headTrainables(inside, name)),
    ...(targets.fusions ?? []).flatMap((name) => fusionTrainables(inside, name)),
    ...(targets.routers === true ? routerTrainables(inside) : []),
    ...(targets.host === undefined ? [] : hostTrainables(inside, targets.host)),
  ].filter(({ parts }) => parts.length > 0);
  refuseShared(all);
  refuseSharedSlots(derived, all);
  refuseFused(inside, targets.adapters ?? []);
  if (all.length > 0) return all;
  throw new EngineError("BAD_CONFIG", "there is nothing to train", {
    where: "train",
    fix: "name adapters, heads, fusions, routers or weights of the host",
  });
}
