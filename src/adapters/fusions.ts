/**
 * @file The fusions of one model: weights by name, folded on the GPU for the adapters that they join (DESIGN §5.2). A fusion
 * is folded anew when one of its adapters was replaced, a weight forced to 0, or adapters pruned.
 */

import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Place } from "./structure.ts";
import type { Resident } from "./bank.ts";
import type { FusionChoice, UnfoldedChoice } from "./fusion-build.ts";
import { allocateUnfolded, freeUnfolded, writeUnfolded } from "./fusion-build.ts";
import type { UnfoldedWeights } from "./fusion-build.ts";
import type { FusionConfig } from "./fusion-config.ts";
import { fusionTemperature } from "./fusion-config.ts";
import { FusionFolder, allocateFolded, freeFolded, fusionRoom } from "./fusion-fold.ts";
import type { FusedAdapter, FusionShape } from "./fusion-fold.ts";
import { isBottleneck } from "./packed.ts";
import type { BottleneckEntry } from "./packed.ts";
import type { AdapterTensors } from "./tensors.ts";
import { need } from "./tensors.ts";

/** Where a fusion stands. */
export interface FusionPlace {
  readonly layer: number;
  readonly place: Place;
}

/** The weights of a fusion and what was done to it. */
export interface Fusion {
  /** Names of the adapters (of the last one of a nested stack), in order. */
  readonly names: readonly string[];
  readonly config: FusionConfig;
  readonly tensors: AdapterTensors;
  /** Where at least one of its adapters stands. */
  readonly places: readonly FusionPlace[];
  /** Adapters left out of the softmax, by `layer.place`. */
  readonly pruned: ReadonlyMap<string, ReadonlySet<string>>;
  /** Adapters whose weight is 0 after the softmax. */
  readonly forced: ReadonlySet<string>;
  /** Layers without this fusion. */
  readonly dropped: ReadonlySet<number>;
}

/** One child of a fusion: its adapters in order, of which the last one at a place is fused, and whether that reads the fusion's own x. */
export interface FusionChild {
  readonly residents: readonly Resident[];
  readonly direct: boolean;
}

/** How a fusion is computed at one place. */
export type FusionSite =
  | { readonly form: "folded"; readonly choice: FusionChoice; readonly children: readonly number[] }
  | { readonly form: "unfolded"; readonly choice: UnfoldedChoice; readonly children: readonly number[] };

interface Prepared {
  readonly fusion: Fusion;
  readonly children: readonly FusionChild[];
  readonly compatCalls: number | undefined;
  readonly sites: ReadonlyMap<string, FusionSite>;
}

/** @returns the key of a place, as in the canonical names of tensors. */
export function placeKey({ layer, place }: FusionPlace): string {
  return `${layer}.${place}`;
}

/** Fusions by name. */
export class Fusions {
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;
  readonly #width: number;
  readonly #known = new Map<string, Fusion>();
  readonly #prepared = new Map<string, Prepared>();
  readonly #versions = new Map<string, number>();
  readonly #calls = new Map<string, number>();

  constructor(gpu: Gpu, parameters: Parameters, width: number) {
    this.#gpu = gpu;
    this.#parameters = parameters;
    this.#width = width;
  }

  get names(): readonly string[] {
    return [...this.#known.keys()];
  }

  has(name: string): boolean {
    return this.#known.has(name);
  }

  /** @throws EngineError UNKNOWN_NAME naming `addFusion` */
  get(name: string): Fusion {
    const fusion = this.#known.get(name);
    if (fusion !== undefined) return fusion;
    const known = this.names.join(" and ") || "none";
    throw new EngineError("UNKNOWN_NAME", `there are no fusion weights for ${name}; known: ${known}`, {
      where: name,
      fix: `add them with addFusion(${JSON.stringify(name.split(","))}, …)`,
    });
  }

  /** Adds a fusion, or changes one; what was folded is folded anew before the next run. */
  set(name: string, fusion: Fusion): void {
    this.#known.set(name, fusion);
    this.#versions.set(name, (this.#versions.get(name) ?? 0) + 1);
  }

  /** Forgets a fusion and frees what was folded. */
  delete(name: string): void {
    const prepared = this.#prepared.get(name);
    if (prepared !== undefined) this.#free(name, prepared);
    this.#known.delete(name);
  }

  /** Changes whenever a fusion does: part of the signature of plans that hold its buffers. */
  version(name: string): number {
    return this.#versions.get(name) ?? 0;
  }

  /** Counts a forward pass: upstream's temperature falls with each (compat only). */
  countCall(name: string): void {
    this.#calls.set(name, this.callsOf(name) + 1);
  }

  /** Forward passes under compat so far. */
  callsOf(name: string): number {
    return this.#calls.get(name) ?? 0;
  }

  /** @returns how a prepared fusion is computed at a place, or null where it has nothing. */
  siteOf(name: string, at: FusionPlace): FusionSite | null {
    return this.#prepared.get(name)?.sites.get(placeKey(at)) ?? null;
  }

  /** @returns which of a fusion's children take part at a place: the last of these that stands there says what all read. */
  keptAt(name: string, at: FusionPlace, children: number): readonly number[] {
    return keptOf(this.get(name), at, children);
  }

  /**
   * Folds a fusion for its adapters, unless that is done.
   * @param compatCalls forward passes so far, where upstream's falling temperature is reproduced
   */
  async prepare(name: string, children: readonly FusionChild[], compatCalls?: number): Promise<void> {
    const fusion = this.get(name);
    const known = this.#prepared.get(name);
    const calls = fusion.config.temperature ? compatCalls : undefined;
    if (known !== undefined && known.fusion === fusion && sameChildren(known.children, children)) {
      if (known.compatCalls === calls) return;
    }
    if (known !== undefined) this.#free(name, known);
    const sites = new Map<string, FusionSite>();
    const prepared = { fusion, children, compatCalls: calls, sites };
    this.#prepared.set(name, prepared);
    const folders = new Map<string, FusionFolder>();
    try {
      for (const at of fusion.places.filter(({ layer }) => !fusion.dropped.has(layer))) {
        const site = this.#siteFor(name, fusion, children, at);
        if (site === null) continue;
        await this.#fill(site, prepared, at, folders);
        sites.set(placeKey(at), site);
      }
    } catch (error) {
      this.#free(name, prepared);
      throw error;
    } finally {
      for (const folder of folders.values()) await folder.dispose();
    }
  }

  #siteFor(name: string, fusion: Fusion, children: readonly FusionChild[], at: FusionPlace): FusionSite | null {
    const kept = keptOf(fusion, at, children.length);
    const present = kept.flatMap((index) => {
      const child = children[index] as FusionChild;
      const found = fusedAt(child, at);
      return found === null ? [] : [{ child, ...found, index }];
    });
    if (present.length === 0) return null;
    const { query, key, value, residual_before } = fusion.config;
    const shape: FusionShape = {
      width: this.#width,
      adapters: present.length,
      bottleneck: fusionRoom(Math.max(...present.map(({ entry }) => entry.width))),
      query,
      key,
      value,
      residualBefore: residual_before,
    };
    const plain =
      present.every(({ child, resident }) => child.direct && !readsNormed(resident, at)) && foldingPays(shape);
    const choice = { name: `fusion.${name}.${placeKey(at)}`, shape };
    return { form: plain ? "folded" : "unfolded", choice, children: present.map(({ index }) => index) };
  }

  async #fill(
    site: FusionSite,
    prepared: Prepared,
    at: FusionPlace,
    folders: Map<string, FusionFolder>,
  ): Promise<void> {
    const { fusion, children, compatCalls } = prepared;
    const temperature = fusionTemperature(fusion.config, compatCalls);
    const weights = weightsAt(fusion, at);
    const { choice } = site;
    const forced = site.children.flatMap((index, place) =>
      fusion.forced.has(fusion.names[index] as string) ? [place] : [],
    );
    if (site.form === "unfolded") {
      allocateUnfolded(this.#parameters, choice);
      writeUnfolded(this.#parameters, choice, weights, { temperature, forced });
      return;
    }
    allocateFolded(this.#parameters, choice.name, choice.shape);
    const key = JSON.stringify(choice.shape);
    const folder = folders.get(key) ?? (await FusionFolder.create(this.#gpu, choice.shape));
    folders.set(key, folder);
    const fused = site.children.map((index, place): FusedAdapter => ({
      ...(fusedAt(children[index] as FusionChild, at) as { entry: BottleneckEntry }).entry,
      ...(forced.includes(place) ? { state: "forced" } : {}),
    }));
    await folder.fold(fused, weights, { parameters: this.#parameters, name: choice.name, temperature });
  }

  #free(name: string, { sites }: Prepared): void {
    for (const { form, choice } of sites.values()) {
      if (form === "folded") freeFolded(this.#parameters, choice.name, choice.shape);
      else freeUnfolded(this.#parameters, choice);
    }
    this.#prepared.delete(name);
    this.#versions.set(name, this.version(name) + 1);
  }
}

/** Numbers of the children that are not pruned; none in a dropped layer. */
function keptOf({ names, pruned, dropped }: Fusion, at: FusionPlace, children: number): readonly number[] {
  if (dropped.has(at.layer)) return [];
  const gone = pruned.get(placeKey(at));
  return Array.from({ length: children }, (_, index) => index).filter(
    (index) => gone?.has(names[index] as string) !== true,
  );
}

function sameChildren(a: readonly FusionChild[], b: readonly FusionChild[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ residents, direct }, index) => {
      const other = b[index] as FusionChild;
      const same =
        residents.length === other.residents.length && residents.every((one, i) => one === other.residents[i]);
      return same && direct === other.direct;
    })
  );
}

/**
 * Multiply-adds a token over d: folded N (3 B + 2), unfolded with the query pulled back 3 d + 2 N B (docs/fusion.md). Wide bottlenecks
 * of many adapters are cheaper one by one.
 */
function foldingPays({ width, adapters, bottleneck }: FusionShape): boolean {
  return adapters * (bottleneck + 2) <= 3 * width;
}

function weightsAt({ config, tensors }: Fusion, at: FusionPlace): UnfoldedWeights {
  const part = (name: string): Float32Array => need(tensors, `layers.${placeKey(at)}.${name}`).data;
  const both = (name: string): { weight: Float32Array; bias: Float32Array } => ({
    weight: part(`${name}.weight`),
    bias: part(`${name}.bias`),
  });
  return {
    ...(config.query ? { query: both("query") } : {}),
    ...(config.key ? { key: both("key") } : {}),
    ...(config.value ? { value: { weight: part("value.weight") } } : {}),
  };
}

/** The last adapter of a child that stands at a place, with its bottleneck there; null without one. */
function fusedAt({ residents }: FusionChild, at: FusionPlace): { resident: Resident; entry: BottleneckEntry } | null {
  const found = residents.flatMap((resident) => {
    const entry = entryOf(resident, at);
    return entry === null ? [] : [{ resident, entry }];
  });
  return found.at(-1) ?? null;
}

/** The bottleneck of an adapter at a place, or null. */
function entryOf({ packed }: Resident, { layer, place }: FusionPlace): BottleneckEntry | null {
  const table = packed.structure.layers[layer]?.bottlenecks[place]?.table;
  const entry = packed.entries.find((one) => one.table.name === table);
  return entry !== undefined && isBottleneck(entry) ? entry : null;
}

/** A bottleneck with a norm of its own does not read what the others read. */
function readsNormed({ packed }: Resident, { layer, place }: FusionPlace): boolean {
  return packed.structure.layers[layer]?.bottlenecks[place]?.normBefore === true;
}
