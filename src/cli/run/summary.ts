/** @file The summary of a run: model, device, input, adapters, heads, time, and the routing layer by layer. */

import { formatComposition } from "../../adapters/composition-text.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import { isPreset } from "../adapter-options.ts";
import type { AdapterSettings } from "../adapter-options.ts";
import { deviceLine } from "../device.ts";
import { routeLine } from "../route-option.ts";
import type { RunSettings } from "./options.ts";
import type { BatchTime, Collected, LayerRecord, ResultRecord, SequenceRecord } from "./results.ts";
import { formatBytes, formatCount, formatFacts, formatPercent, formatTable, formatTime } from "../text.ts";

/** Labels that the summary of a head lists, the most frequent first. */
const MOST_LABELS = 5;

/** Milliseconds of a whole run. */
export interface Timing {
  readonly load: number;
  /** Sum over the batches, the first of which compiles the kernels. */
  readonly wall: number;
  readonly gpu: number | null;
  readonly batches: readonly BatchTime[];
}

function layerRows(layers: readonly (LayerRecord | null)[]): string[][] {
  return layers.map((layer, index) =>
    layer === null
      ? [String(index), "all", "dense", ""]
      : [String(index), formatCount(layer.selected), formatPercent(layer.share), layer.weight.toFixed(3)],
  );
}

function tokensOf(batches: readonly BatchTime[]): number {
  return batches.reduce((sum, batch) => sum + batch.tokens, 0);
}

/** The first batch compiles the kernels, so the rate is that of the others where there are some. */
function timeLine({ wall, gpu, batches }: Timing): string {
  const [first, ...warm] = batches;
  const parts = [`${formatTime(wall)} in ${batches.length} ${warm.length === 0 ? "batch" : "batches"}`];
  if (gpu !== null) parts.push(`${formatTime(gpu)} on the GPU`);
  const compiled = `the first, which compiles, took ${formatTime(first?.wall ?? 0)}`;
  if (warm.length === 0) return `${parts.join(", ")}, compiling included`;
  const rate = (1000 * tokensOf(warm)) / warm.reduce((sum, batch) => sum + batch.wall, 0);
  return `${parts.join(", ")}; ${compiled}, the others ${formatCount(rate)} tokens/s`;
}

function adapterFacts({ adapters, active, drop, perSequence, compat }: AdapterSettings): [string, string][] {
  if (adapters.length === 0) return [["adapter", "none"]];
  const facts = adapters.map(({ name, place }): [string, string] => [
    "adapter",
    `${name} (${place}${isPreset(place) ? ", fresh weights, not trained" : ""})`,
  ]);
  const quirks = compat === undefined ? "" : `, with the quirks of ${compat}`;
  const dropped = drop === null ? "" : typeof drop === "number" ? `the lowest ${drop}` : drop.join(", ");
  const running = perSequence ?? (active === null ? "none" : formatComposition(active));
  facts.push(["active", `${perSequence === undefined ? running : `one per sequence, from ${running}`}${quirks}`]);
  if (dropped !== "") facts.push(["dropped", `adapters of the layers: ${dropped}`]);
  return facts;
}

function largest(logits: readonly number[]): number {
  return logits.reduce((best, value, label) => (value > (logits[best] as number) ? label : best), 0);
}

/** How often each label has the largest logit, head by head; of a single logit its mean. */
function headFacts(sequences: readonly SequenceRecord[]): [string, string][] {
  const results: readonly ResultRecord[] = sequences.flatMap((sequence) => sequence.copies ?? [sequence]);
  const names = new Set(results.flatMap(({ heads = {} }) => Object.keys(heads)));
  return [...names].map((name): [string, string] => {
    const own = results.flatMap(({ heads = {} }) => heads[name] ?? []);
    const rows = own.flatMap((head) => ("logits" in head ? [head.logits] : []));
    if (rows.length > 0 && rows.every(({ length }) => length === 1)) {
      const mean = rows.reduce((sum, [value = 0]) => sum + value, 0) / rows.length;
      return ["head", `${name}: mean ${mean.toPrecision(4)} over ${formatCount(rows.length)} sequences`];
    }
    const counts = new Map<number, number>();
    const labels = own.flatMap((head) => ("logits" in head ? [largest(head.logits)] : head.labels));
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    const most = [...counts].sort(([a, m], [b, n]) => n - m || a - b);
    const shown = most.slice(0, MOST_LABELS).map(([label, count]) => `label ${label} on ${formatCount(count)}`);
    const more = most.length > MOST_LABELS ? `, and ${most.length - MOST_LABELS} labels more` : "";
    return ["head", `${name}: ${shown.join(", ")}${more} ${rows.length > 0 ? "sequences" : "tokens"}`];
  });
}

/** @returns the summary of a run for people. */
export function summary(
  settings: RunSettings,
  model: Model,
  gpu: Gpu,
  timing: Timing,
  { sequences, layers }: Collected,
): string {
  const { shape, head } = model.host;
  const tokens = tokensOf(timing.batches);
  const longest = Math.max(...sequences.map((sequence) => sequence.tokens.length));
  const facts: [string, string][] = [
    [
      "model",
      `${settings.model} (${shape.family}, ${shape.layers} layers of ${shape.width}, ${formatBytes(model.report.bytes)}, ${settings.precision})`,
    ],
    ["device", deviceLine(gpu.info)],
    [
      "input",
      `${formatCount(sequences.length)} sequences, ${formatCount(tokens)} tokens, longest ${formatCount(longest)}`,
    ],
    ["routing", settings.route === null ? "none: dense" : routeLine(settings.route)],
    ...adapterFacts(settings.adapters),
    ["time", timeLine(timing)],
  ];
  if (head?.rows === "sequence" && settings.outputs.length === 0)
    facts.push(["head", `${head.labels} labels: add --outputs heads.default --json FILE`]);
  facts.push(...headFacts(sequences));
  if (layers === null) return `${formatFacts(facts)}\n`;
  const table = formatTable(
    [["layer", "heavy tokens", "share", "mean λ"], ...layerRows(layers)],
    ["right", "right", "right", "right"],
  );
  return `${formatFacts(facts)}\n\n${table}\n`;
}
