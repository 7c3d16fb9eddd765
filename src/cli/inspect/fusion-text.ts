/** @file Averaged fusion weights as a table for people. */

import { formatCount, formatFacts, formatTable } from "../text.ts";

/** Weights at one place: of the adapters that stand there, they sum to 1. */
export interface UseAt {
  readonly layer: number;
  readonly place: "attention" | "ffn";
  readonly weights: Readonly<Record<string, number>>;
}

/** Fusion weights averaged over the tokens of a data set. */
export interface FusionUse {
  /** In the order of the fusion. */
  readonly adapters: readonly string[];
  readonly sequences: number;
  readonly tokens: number;
  readonly places: readonly UseAt[];
}

/** @returns the mean weight of every adapter over the places; 0 where it does not stand. */
function overall({ adapters, places }: FusionUse): Map<string, number> {
  const sums = new Map(adapters.map((name) => [name, 0]));
  for (const { weights } of places)
    for (const [name, weight] of Object.entries(weights))
      sums.set(name, (sums.get(name) ?? 0) + weight / places.length);
  return sums;
}

function label({ layer, place }: UseAt): string {
  return place === "ffn" ? String(layer) : `${layer} attention`;
}

function wholeTable(use: FusionUse): string {
  const means = overall(use);
  const names = use.adapters;
  const row = (weights: ReadonlyMap<string, number>): string[] =>
    names.map((name) => weights.get(name)?.toFixed(3) ?? "–");
  const rows = use.places.map((at) => [label(at), ...row(new Map(Object.entries(at.weights)))]);
  return formatTable(
    [["layer", ...names], ...rows, ["mean", ...row(means)]],
    ["right", ...names.map(() => "right" as const)],
  );
}

function topTable(use: FusionUse, top: number): string {
  const best = (weights: Iterable<readonly [string, number]>): string[] =>
    [...weights]
      .sort(([, a], [, b]) => b - a)
      .slice(0, top)
      .map(([name, weight]) => `${name} ${weight.toFixed(3)}`);
  const rows = use.places.map((at) => [label(at), ...best(Object.entries(at.weights))]);
  return formatTable([...rows, ["mean", ...best(overall(use))]], ["right"]);
}

/** @returns who is used where, layer by layer. */
export function fusionText(
  use: FusionUse,
  about: { readonly folder: string; readonly host: string; readonly input: string; readonly top: number | undefined },
): string {
  const { folder, host, input, top } = about;
  const facts = formatFacts([
    ["fusion", folder],
    ["host", host],
    ["inputs", `${input}: ${formatCount(use.sequences)} sequences, ${formatCount(use.tokens)} tokens`],
  ]);
  return `${facts}\n\n${top === undefined ? wholeTable(use) : topTable(use, top)}`;
}
