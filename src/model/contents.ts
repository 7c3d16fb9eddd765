/** @file What was added to a model, as definitions: for saving, inspecting and changing it. */

import { fusionName, isBlock, leavesOf } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import type { AdapterDefinition } from "../adapters/define.ts";
import type { Fusion, FusionPlace } from "../adapters/fusion-sites.ts";
import { placeKey } from "../adapters/fusion-sites.ts";
import type { HeadConfig } from "../adapters/heads-config.ts";
import type { AdapterStructure } from "../adapters/structure.ts";
import type { AdapterTensors } from "../adapters/tensors.ts";
import type { SubLayer } from "../sites/site.ts";
import type { AdapterStore } from "./adapter-store.ts";
import type { AddedHeads } from "./added-heads.ts";
import type { Active } from "./composed.ts";
import type { Routing } from "./runner.ts";
import type { Tasks } from "./tasks.ts";

/** The adapters that a fusion mixes at one place. */
export interface FusionMembers {
  readonly layer: number;
  readonly place: SubLayer;
  /** In the order of the columns of `layers.N.fusion.weights`. */
  readonly adapters: readonly string[];
}

/** Definitions by name; all of them throw UNKNOWN_NAME for what is not here. */
export interface ModelContents {
  readonly adapter: (name: string) => AdapterDefinition;
  /** What of an adapter stands where. */
  readonly structure: (name: string) => AdapterStructure;
  readonly head: (name: string) => { readonly config: HeadConfig; readonly tensors: AdapterTensors };
  readonly fusion: (name: string) => Fusion;
  /**
   * Where a fusion runs now, dropped layers left out; `all` lists pruned adapters too. An adapter stands for its child of the active
   * composition, which may be a stack that ends in it.
   */
  readonly fusionMembers: (name: string, all?: boolean) => readonly FusionMembers[];
  /** Layer norms of a task that differ from the host's, by the checkpoint's own names. */
  readonly norms: (task: string) => AdapterTensors;
  /** What the following runs are routed by, with the vectors of its routers by parameter; null where they are dense. */
  readonly routing: Pick<Routing, "policy" | "vectors"> | null;
  /** The composition that runs, and whether with the library's quirks. */
  readonly active: { readonly composition: Composition; readonly compat: boolean } | null;
}

/** Looks definitions up where they are kept. */
export function contentsOf(parts: {
  readonly store: AdapterStore;
  readonly heads: AddedHeads;
  readonly tasks: Tasks;
  readonly dropped: ReadonlySet<number>;
  readonly active: Active | null;
  readonly routing: Routing | null;
}): ModelContents {
  const { store, heads, tasks, dropped, active, routing } = parts;
  const structure = (name: string): AdapterStructure => store.get(name).resident.packed.structure;
  return {
    adapter: (name) => store.get(name).definition,
    structure,
    head: (name) => ({ config: heads.configOf(name), tensors: heads.tensorsOf(name) }),
    fusion: (name) => store.fusions.get(name),
    fusionMembers: (name, all = false) => {
      const fusion = store.fusions.get(name);
      const children = active === null ? undefined : childrenOf(active.composition, name);
      const { names, pruned, dropped: own } = fusion;
      const stands = ({ layer, place }: FusionPlace, index: number): boolean =>
        (children?.[index] ?? [names[index] as string]).some(
          (adapter) => structure(adapter).layers[layer]?.bottlenecks[place] !== undefined,
        );
      return fusion.places.flatMap((at) => {
        const gone = all ? undefined : pruned.get(placeKey(at));
        if (!all && (own.has(at.layer) || dropped.has(at.layer))) return [];
        const adapters = names.filter((adapter, index) => stands(at, index) && gone?.has(adapter) !== true);
        return adapters.length === 0 ? [] : [{ layer: at.layer, place: at.place as SubLayer, adapters }];
      });
    },
    norms: (task) => tasks.get(task)?.tensors ?? new Map(),
    active,
    routing,
  };
}

/** The adapters of every child of the fusion of that name; undefined where the composition does not hold it. */
function childrenOf(composition: Composition, name: string): readonly string[][] | undefined {
  if (!isBlock(composition)) return undefined;
  if (composition.kind === "fuse" && fusionName(composition) === name) return composition.children.map(leavesOf);
  return composition.children.map((child) => childrenOf(child, name)).find((found) => found !== undefined);
}
