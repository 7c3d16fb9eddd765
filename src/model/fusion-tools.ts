/**
 * @file What may be asked of an AdapterFusion and done to it (MATHS §2.6): its weights averaged over a data set, the least active
 * adapters pruned, adapters forced to weight 0, layers dropped.
 */

import { fusionName, isBlock } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import { placeKey } from "../adapters/fusion-sites.ts";
import type { Fusion } from "../adapters/fusion-sites.ts";
import { EngineError } from "../errors.ts";
import type { SubLayer } from "../sites/site.ts";
import type { FusionMembers } from "./contents.ts";
import { layerList } from "./layer-list.ts";
import type { Model } from "./model.ts";
import type { RunInput, Tensor } from "./types.ts";

/** The weights of a fusion at one place, averaged over rows. */
export interface FusionAverage {
  readonly layer: number;
  readonly place: SubLayer;
  /** Mean softmax weight by adapter; they sum to 1 unless one was forced to 0. */
  readonly weights: Readonly<Record<string, number>>;
}

/** Which adapters a fusion is to lose. What was pruned before and is not named again comes back. */
export type Pruning =
  /** At every place all but the `keep` most active ones; of equals the first stay. */
  | { readonly keep: number; readonly averages: readonly FusionAverage[] }
  /** The same ones everywhere. */
  | { readonly remove: readonly string[] }
  /** Others at every place; without a place, at both sub-layers of the layer. */
  | {
      readonly places: readonly {
        readonly layer: number;
        readonly place?: SubLayer;
        readonly remove: readonly string[];
      }[];
    };

/**
 * Runs a data set through the active composition and averages the weights of a fusion in it over all rows. Sequences are ragged,
 * so that every row is a real token.
 * @param inputs batches, as `run` takes them
 * @throws EngineError BAD_CONFIG when the active composition does not hold the fusion, or another one besides; BAD_INPUT without rows
 * @example
 * model.setActive(fuse("a", "b", "c"));
 * const averages = await averageFusionWeights(model, "a,b,c", [{ texts }]);
 */
export async function averageFusionWeights(
  model: Model,
  name: string,
  inputs: Iterable<RunInput> | AsyncIterable<RunInput>,
): Promise<FusionAverage[]> {
  checkActive(model, name);
  const members = model.contents.fusionMembers(name);
  const captureOf = (layer: number, place: SubLayer): string =>
    `layers.${layer}.${place === "ffn" ? "" : "attention."}fusion.weights`;
  const capture = members.map(({ layer, place }) => captureOf(layer, place));
  const sums = members.map(({ adapters }) => new Float64Array(adapters.length));
  const rows = members.map(() => 0);
  for await (const input of inputs) {
    const { captures } = await model.run(input, { outputs: [], capture });
    capture.forEach((key, index) => {
      const { data, shape } = captures[key] as Tensor;
      const sum = sums[index] as Float64Array;
      rows[index] = (rows[index] as number) + (shape[0] as number);
      for (let at = 0; at < data.length; at += 1)
        sum[at % sum.length] = (sum[at % sum.length] as number) + (data[at] as number);
    });
  }
  if (members.length > 0 && rows.includes(0)) {
    const message = `the fusion ${name} saw no rows at layer ${members[rows.indexOf(0)]?.layer}: there is nothing to average`;
    throw new EngineError("BAD_INPUT", message, { where: "inputs", fix: "give at least one sequence" });
  }
  return members.map(({ layer, place, adapters }, index) => {
    const mean = (at: number): number => ((sums[index] as Float64Array)[at] as number) / (rows[index] as number);
    return { layer, place, weights: Object.fromEntries(adapters.map((adapter, at) => [adapter, mean(at)])) };
  });
}

function checkActive(model: Model, name: string): void {
  const { fusion, active } = model.contents;
  fusion(name);
  const running = active === null ? [] : fusionsIn(active.composition);
  if (running.length === 1 && running[0] === name) return;
  const message = running.includes(name)
    ? `the active composition holds the fusions ${running.join(" and ")}: their weights bear the same names`
    : `the active composition does not hold the fusion ${name}`;
  throw new EngineError("BAD_CONFIG", message, {
    where: name,
    fix: "activate this fusion alone with setActive(fuse(...))",
  });
}

function fusionsIn(composition: Composition): string[] {
  if (!isBlock(composition)) return [];
  const inner = composition.children.flatMap(fusionsIn);
  return composition.kind === "fuse" ? [fusionName(composition), ...inner] : inner;
}

/**
 * Leaves adapters out of a fusion, before its softmax: what is left is the fusion of the rest. null undoes it.
 * @throws EngineError UNKNOWN_NAME for adapters that the fusion does not join; BAD_CONFIG where a place would lose all of them, or
 *   where `averages` miss a place
 */
export async function pruneFusion(model: Model, name: string, pruning: Pruning | null): Promise<void> {
  await model.changeFusion(name, (fusion) => {
    if (pruning === null) return { ...fusion, pruned: new Map() };
    const pruned = prunedBy(fusion, pruning);
    checkRest(model.contents.fusionMembers(name, true), fusion, pruning, pruned);
    return { ...fusion, pruned };
  });
}

/** Something must be left. An adapter may lack a layer: there a fusion of the rest may have nothing either. */
function checkRest(
  members: readonly FusionMembers[],
  fusion: Fusion,
  pruning: Pruning,
  pruned: ReadonlyMap<string, ReadonlySet<string>>,
): void {
  for (const at of members) {
    const removed = pruned.get(placeKey(at));
    const candidates = "remove" in pruning ? fusion.names : at.adapters;
    if (removed === undefined || candidates.some((name) => !removed.has(name))) continue;
    throw badPruning(
      fusion,
      `would leave no adapter at layer ${at.layer}, ${at.place}`,
      "drop the layer with dropFusion",
    );
  }
}

function prunedBy(fusion: Fusion, pruning: Pruning): Map<string, ReadonlySet<string>> {
  const keys = fusion.places.map(placeKey);
  if ("remove" in pruning) {
    const removed = namesOf(fusion, pruning.remove);
    return new Map(keys.map((key) => [key, removed]));
  }
  if ("places" in pruning) {
    const pruned = new Map<string, ReadonlySet<string>>();
    for (const { layer, place, remove } of pruning.places) {
      const at = keys.filter(
        (key) => key.startsWith(`${layer}.`) && (place === undefined || key === `${layer}.${place}`),
      );
      if (at.length === 0)
        throw badPruning(
          fusion,
          `names layer ${layer}${place === undefined ? "" : `, ${place}`}, where it does not stand`,
        );
      for (const key of at) pruned.set(key, namesOf(fusion, [...(pruned.get(key) ?? []), ...remove]));
    }
    return pruned;
  }
  const { keep, averages } = pruning;
  if (!Number.isInteger(keep) || keep < 1)
    throw badPruning(fusion, `keep is ${keep}, expected a whole number from 1 on`);
  const measured = new Map(averages.map((average) => [placeKey(average), average.weights]));
  const missing = fusion.places.filter((at) => !fusion.dropped.has(at.layer) && !measured.has(placeKey(at)));
  if (missing.length > 0)
    throw badPruning(
      fusion,
      `has no averages for ${missing.map((at) => `layer ${at.layer}, ${at.place}`).join("; ")}`,
      "measure without dropped layers",
    );
  return new Map(
    [...measured]
      .filter(([key]) => keys.includes(key))
      .map(([key, weights]) => [key, leastActive(fusion, weights, keep)]),
  );
}

/** All adapters but the most active ones. Those without a number are not among these: they were pruned before. */
function leastActive(fusion: Fusion, weights: Readonly<Record<string, number>>, keep: number): ReadonlySet<string> {
  namesOf(fusion, Object.keys(weights));
  const ranked = fusion.names
    .filter((adapter) => Object.hasOwn(weights, adapter))
    .sort((a, b) => (weights[b] as number) - (weights[a] as number));
  const kept = new Set(ranked.slice(0, keep));
  return new Set(fusion.names.filter((adapter) => !kept.has(adapter)));
}

/**
 * Gives adapters of a fusion the weight 0 after the softmax, which still counts them. null undoes it.
 * @throws EngineError UNKNOWN_NAME for adapters that the fusion does not join
 */
export async function forceFusion(model: Model, name: string, adapters: readonly string[] | null): Promise<void> {
  await model.changeFusion(name, (fusion) => ({ ...fusion, forced: namesOf(fusion, adapters ?? []) }));
}

/**
 * Drops a fusion with its adapters from the lowest layers, or from those named. null undoes it.
 * @throws EngineError BAD_CONFIG for layers that the host does not have
 */
export async function dropFusion(model: Model, name: string, layers: number | readonly number[] | null): Promise<void> {
  const dropped = new Set(layerList(layers ?? [], model.host.shape.layers, "dropFusion"));
  await model.changeFusion(name, (fusion) => ({ ...fusion, dropped }));
}

function namesOf(fusion: Fusion, adapters: readonly string[]): ReadonlySet<string> {
  const stranger = adapters.find((adapter) => !fusion.names.includes(adapter));
  if (stranger === undefined) return new Set(adapters);
  const message = `the fusion of ${fusion.names.join(", ")} does not join ${stranger}`;
  throw new EngineError("UNKNOWN_NAME", message, { where: stranger });
}

function badPruning({ names }: Fusion, problem: string, fix = ""): EngineError {
  return new EngineError("BAD_CONFIG", `pruning the fusion of ${names.join(", ")} ${problem}`, {
    where: "pruneFusion",
    fix,
  });
}
