/** @file How fusions stand at their places: which adapters take part, in which form they are computed, and with which weights. */

import type { Parameters } from "../graph/parameters.ts";
import type { Resident } from "./bank.ts";
import { allocateUnfolded, freeUnfolded, writeTemperature, writeUnfolded } from "./fusion-build.ts";
import type { FusionChoice, UnfoldedChoice, UnfoldedForm, UnfoldedWeights } from "./fusion-build.ts";
import type { FusionConfig } from "./fusion-config.ts";
import { allocateFolded, freeFolded, fusionRoom } from "./fusion-fold.ts";
import type { FusedAdapter, FusionFolder, FusionShape } from "./fusion-fold.ts";
import { allocateTrained, freeTrained, writeTrained, writeTrainedTable } from "./fusion-trained.ts";
import type { TrainedChoice } from "./fusion-trained.ts";
import { isBottleneck } from "./packed.ts";
import type { BottleneckEntry } from "./packed.ts";
import type { Place } from "./structure.ts";
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

/**
 * How a fusion is computed while it is trained: `folded` in the graph itself, where it can be and that pays, or everywhere from its
 * adapters' outputs.
 */
export type TrainedForm = "folded" | UnfoldedForm;

/** How a fusion is computed at one place: `trained` is folded by the graph, from matrices that are trained. */
export type FusionSite =
  | { readonly form: "folded"; readonly choice: FusionChoice; readonly children: readonly number[] }
  | { readonly form: "trained"; readonly choice: TrainedChoice; readonly children: readonly number[] }
  | {
      readonly form: "unfolded";
      readonly choice: UnfoldedChoice;
      readonly children: readonly number[];
      /** Its matrices are trained. */
      readonly held?: boolean;
    };

/** @returns the key of a place, as in the canonical names of tensors. */
export function placeKey({ layer, place }: FusionPlace): string {
  return `${layer}.${place}`;
}

/** What a site is made of. */
export interface SiteParts {
  readonly name: string;
  readonly fusion: Fusion;
  readonly children: readonly FusionChild[];
  /** The width of the host. */
  readonly width: number;
  /** The fusion is trained, in this form; null where it is not. */
  readonly held: TrainedForm | null;
}

/** @returns how a fusion is computed at a place, or null where it has nothing. */
export function siteFor({ name, fusion, children, width, held }: SiteParts, at: FusionPlace): FusionSite | null {
  const present = keptOf(fusion, at, children.length).flatMap((index) => {
    const child = children[index] as FusionChild;
    const found = fusedAt(child, at);
    return found === null ? [] : [{ child, ...found, index }];
  });
  if (present.length === 0) return null;
  const { query, key, value, residual_before } = fusion.config;
  const shape: FusionShape = {
    width,
    adapters: present.length,
    bottleneck: fusionRoom(Math.max(...present.map(({ entry }) => entry.width))),
    query,
    key,
    value,
    residualBefore: residual_before,
  };
  const folds =
    (held === null || held === "folded") &&
    present.every(({ child, resident }) => child.direct && !readsNormed(resident, at)) &&
    foldingPays(shape);
  const choice = { name: `fusion.${name}.${placeKey(at)}`, shape };
  const members = present.map(({ index }) => index);
  if (folds) return { form: held === null ? "folded" : "trained", choice, children: members };
  const form: UnfoldedForm = held === "literal" ? "literal" : "pulled";
  return { form: "unfolded", choice: { ...choice, form }, children: members, held: held !== null };
}

/** Allocates what a site reads, and writes or folds it. */
export async function fillSite(
  parameters: Parameters,
  site: FusionSite,
  at: FusionPlace,
  from: Pick<SiteParts, "fusion" | "children"> & {
    readonly temperature: number;
    readonly folder: (shape: FusionShape) => Promise<FusionFolder>;
  },
): Promise<void> {
  const { fusion, temperature } = from;
  const { choice } = site;
  const weights = weightsAt(fusion, at);
  const fused = fusedIn(site, at, from);
  if (site.form === "unfolded") {
    allocateUnfolded(parameters, choice);
    writeUnfolded(parameters, choice, weights, { temperature, forced: forcedIn(site, fusion) });
  } else if (site.form === "trained") {
    allocateTrained(parameters, choice);
    writeTrained(parameters, choice, fused, weights, temperature);
  } else {
    allocateFolded(parameters, choice.name, choice.shape);
    const folder = await from.folder(choice.shape);
    await folder.fold(fused, weights, { parameters, name: choice.name, temperature });
  }
}

/** Gives a site that is computed from the fusion's own matrices another temperature. */
export function reheatSite(
  parameters: Parameters,
  site: FusionSite,
  at: FusionPlace,
  from: Pick<SiteParts, "fusion" | "children"> & { readonly temperature: number },
): void {
  if (site.form === "unfolded") writeTemperature(parameters, site.choice, from.temperature);
  else if (site.form === "trained")
    writeTrainedTable(parameters, site.choice, fusedIn(site, at, from), from.temperature);
}

/** Frees what {@link fillSite} allocated. */
export function freeSite(parameters: Parameters, { form, choice }: FusionSite): void {
  if (form === "folded") freeFolded(parameters, choice.name, choice.shape);
  else if (form === "trained") freeTrained(parameters, choice);
  else freeUnfolded(parameters, choice);
}

/** Places of the adapters of a site that are forced to 0. */
function forcedIn({ children }: FusionSite, { names, forced }: Fusion): number[] {
  return children.flatMap((index, place) => (forced.has(names[index] as string) ? [place] : []));
}

/** The adapters of a site whose children all read its x; none of an unfolded one. */
function fusedIn(
  site: FusionSite,
  at: FusionPlace,
  { fusion, children }: Pick<SiteParts, "fusion" | "children">,
): FusedAdapter[] {
  if (site.form === "unfolded") return [];
  const forced = forcedIn(site, fusion);
  return site.children.map((index, place): FusedAdapter => ({
    ...(fusedAt(children[index] as FusionChild, at) as { entry: BottleneckEntry }).entry,
    ...(forced.includes(place) ? { state: "forced" } : {}),
  }));
}

/** @returns numbers of the children that are not pruned; none in a dropped layer. */
export function keptOf({ names, pruned, dropped }: Fusion, at: FusionPlace, children: number): readonly number[] {
  if (dropped.has(at.layer)) return [];
  const gone = pruned.get(placeKey(at));
  return Array.from({ length: children }, (_, index) => index).filter(
    (index) => gone?.has(names[index] as string) !== true,
  );
}

/** @returns whether these are the same adapters in the same roles. */
export function sameChildren(a: readonly FusionChild[], b: readonly FusionChild[]): boolean {
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
