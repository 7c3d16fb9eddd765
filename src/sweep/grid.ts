/** @file The points of a sweep in their canonical order, each once, and the share of them that a shard computes. */

import { EngineError } from "../errors.ts";
import type { SweepAxes, SweepTask } from "./config.ts";
import { refuseField } from "../inputs/fields.ts";
import { chosenLayers } from "./layers.ts";
import type { LayersChoice } from "./layers.ts";
import { routerAxes } from "./routers.ts";
import { canonical, densePoint, pointId } from "./settings.ts";
import type { PointSettings } from "./settings.ts";

/** A point and its place on disk. */
export interface GridPoint {
  readonly id: string;
  readonly settings: PointSettings;
}

/** One of several processes that share a sweep. */
export interface Shard {
  /** From 1. */
  readonly index: number;
  readonly count: number;
}

/** Leaves out what a router does not depend on, so that two points with the same result are one. */
function reduced(settings: PointSettings): PointSettings {
  const { router, part } = settings;
  if (router === "dense") return densePoint;
  const axes = routerAxes[router];
  return {
    ...settings,
    softTopK: axes.softTopK ? settings.softTopK : null,
    // The feed-forward part has no keys.
    attention: axes.attention && part !== "ffn" ? settings.attention : null,
    seed: axes.seed ? settings.seed : null,
    threshold: axes.threshold ? settings.threshold : null,
  };
}

/** Equal for points with the same result: at r = 1 many routers select all rows with λ = 1, which is the dense model. */
function resultKey(settings: PointSettings): string {
  const { router, reduction } = settings;
  if (router === "dense" || reduction !== 1 || !routerAxes[router].dense) return canonical(settings);
  return `dense, routed in layers ${String(settings.layers)}, ${settings.part}`;
}

function product(axes: SweepAxes, layersOf: (choice: LayersChoice) => readonly number[]): PointSettings[] {
  const { part, layers, router, attention, softTopK, threshold, seed, reduction } = axes;
  const cells: PointSettings[] = [densePoint];
  const spread =
    <K extends keyof PointSettings>(name: K, values: readonly PointSettings[K][]) =>
    (rows: readonly PointSettings[]): PointSettings[] =>
      rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  const steps = [
    spread("part", part),
    spread("layers", layers.map(layersOf)),
    spread("router", router),
    spread("attention", attention),
    spread("softTopK", softTopK),
    spread("threshold", threshold),
    spread("seed", seed),
    spread("reduction", reduction),
  ];
  return steps.reduce((rows, step) => step(rows), cells);
}

/** The layers that a choice routes; the layer that a task reads must not be among them. */
function layersFor(choice: LayersChoice, count: number, task: SweepTask): readonly number[] {
  if (task.metric !== "mapping-agreement") return chosenLayers(choice, count);
  const { layer, dense } = task;
  if (layer >= count) refuseField("task.layer", layer, `a layer of the host, which has ${count}`);
  const layers = chosenLayers(choice, count, [layer, ...dense]);
  if (!layers.includes(layer)) return layers;
  const message = `axes.layers ${JSON.stringify(choice)} routes layer ${layer}, whose attention the task reads`;
  throw new EngineError("BAD_CONFIG", message, { where: "axes.layers", fix: `leave layer ${layer} dense` });
}

/**
 * The grid of a sweep: the dense baseline first, then every combination of the axes that gives another result. The order depends on
 * the axes alone, and so does the share of every shard.
 * @param count layers of the host
 * @throws EngineError BAD_CONFIG for layers that the host does not have or that the task keeps dense
 */
export function gridOf(axes: SweepAxes, count: number, task: SweepTask): readonly GridPoint[] {
  const all = [densePoint, ...product(axes, (choice) => layersFor(choice, count, task)).map(reduced)];
  const unique = new Map<string, PointSettings>();
  for (const settings of all) if (!unique.has(resultKey(settings))) unique.set(resultKey(settings), settings);
  return [...unique.values()].map((settings) => ({ id: pointId(settings), settings }));
}

/**
 * Reads `i/n`.
 * @throws EngineError BAD_INPUT for anything but whole numbers with 1 <= i <= n
 */
export function parseShard(text: string): Shard {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(text.trim()) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (shard.index >= 1 && shard.index <= shard.count && Number.isSafeInteger(shard.count)) return shard;
  throw new EngineError("BAD_INPUT", `--shard is ${JSON.stringify(text)}, expected i/n with 1 <= i <= n`, {
    where: "--shard",
    fix: "write, for example, --shard 1/4",
  });
}

/** @returns the points of one shard: those whose place in the canonical order is its own modulo the number of shards. */
export function pointsOf(points: readonly GridPoint[], { index, count }: Shard): readonly GridPoint[] {
  return points.filter((_, place) => place % count === index - 1);
}
