/** @file The sections about layers: the table of loads, and the matrix of overlaps. */

import type { RoutedPart } from "./coda.ts";
import { count, meter, percent, scrolling, section } from "./report-html.ts";
import { stepOf } from "./report-palette.ts";
import type { TraceStatistics } from "./report-statistics.ts";
import { overlap, overlapByChance } from "./trace-measures.ts";
import type { LayerLoad } from "./trace-measures.ts";
import type { RoutingTrace } from "./trace-types.ts";

const PART_NAMES: Readonly<Record<RoutedPart, string>> = { layer: "all", attention: "attention", ffn: "feed-forward" };

function weightText(weight: number): string {
  return Number.isFinite(weight) ? weight.toFixed(3) : "–";
}

/** A column of the table; the first one is the layer, the second one the bar. */
interface Column {
  readonly head: string;
  readonly cell: (load: LayerLoad, layer: number) => string;
}

function spread({ least, most }: LayerLoad): string {
  const rounded = (share: number): string => (Number.isFinite(share) ? String(Math.round(100 * share)) : "–");
  return rounded(least) === rounded(most) ? rounded(least) : `${rounded(least)}–${rounded(most)}`;
}

function columnsOf(trace: RoutingTrace, loads: readonly (LayerLoad | null)[]): Column[] {
  const parts = Array.from({ length: trace.layers }, (_, layer) => {
    const routed = trace.sequences.find(({ layers }) => (layers[layer] ?? null) !== null)?.layers[layer];
    return routed?.part ?? "layer";
  });
  const named = parts.some((part) => part !== "layer");
  const keyed = loads.some((load) => load !== null && load.keys !== null);
  return [
    ...(named ? [{ head: "Part", cell: (_: LayerLoad, layer: number) => PART_NAMES[parts[layer] ?? "layer"] }] : []),
    { head: "Share", cell: ({ share }) => percent(share) },
    { head: "% by sequence", cell: spread },
    { head: "Tokens", cell: ({ selected }) => count(selected) },
    ...(keyed ? [{ head: "Keys", cell: ({ keys }: LayerLoad) => (keys === null ? "–" : count(keys)) }] : []),
    { head: "λ heavy", cell: ({ selectedWeight }) => weightText(selectedWeight) },
    { head: "λ light", cell: ({ otherWeight }) => weightText(otherWeight) },
  ];
}

/** The load of every layer. */
export function renderLayers(trace: RoutingTrace, numbers: TraceStatistics): string {
  const columns = columnsOf(trace, numbers.layers);
  const rows = numbers.layers.map((load, layer) => {
    const head = `<th scope="row">${layer}</th>`;
    if (load === null || load.tokens === 0)
      return `<tr>${head}<td class="dense" colspan="${columns.length + 1}">dense: every token</td></tr>`;
    return `<tr>${head}${meter(load.share)}${columns.map(({ cell }) => `<td>${cell(load, layer)}</td>`).join("")}</tr>`;
  });
  const heads = ["Layer", "", ...columns.map(({ head }) => head)]
    .map((head) => `<th scope="col">${head}</th>`)
    .join("");
  return section(
    "layers",
    "Load by layer",
    "Tokens on the heavy path, over all and in the sequences with the fewest and the most, and the mean routing weight λ of those tokens and of the others.",
    scrolling(
      "Table of layers",
      `<table class="layers"><thead><tr>${heads}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`,
    ),
  );
}

/** Share of tokens that two layers have in common; nothing with fewer than two routed layers. */
export function renderOverlap(trace: RoutingTrace): string {
  const matrix = overlap(trace);
  const routed = matrix.flatMap((row, layer) => (row[layer] === null ? [] : [layer]));
  if (routed.length < 2) return "";
  const heads = routed.map((layer) => `<th scope="col">${layer}</th>`).join("");
  const rows = routed.map((layer) => {
    const cells = routed.map((other) => {
      const value = matrix[layer]?.[other] ?? null;
      if (value === null) return "<td>–</td>";
      if (layer === other) return '<td class="self"></td>';
      return `<td class="h${stepOf(value)}" title="layers ${layer} and ${other}: ${percent(value)}">${Math.round(100 * value)}</td>`;
    });
    return `<tr><th scope="row">${layer}</th>${cells.join("")}</tr>`;
  });
  const chance = overlapByChance(trace);
  const baseline =
    chance === null
      ? ""
      : ` Layers that choose as many tokens at random would have about ${Math.round(100 * chance)} %.`;
  return section(
    "overlap",
    "Overlap between layers",
    `Of the tokens that either of two layers selected in a sequence, the percentage that both selected (Jaccard index, mean over sequences).${baseline}`,
    scrolling(
      "Matrix of overlaps",
      `<table class="matrix"><thead><tr><td></td>${heads}</tr></thead><tbody>${rows.join("\n")}</tbody></table>`,
    ),
  );
}
