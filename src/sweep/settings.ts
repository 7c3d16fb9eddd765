/** @file One point of a sweep: its settings in canonical form, and the id that follows from them. */

import { createHash } from "node:crypto";
import type { RoutedAttention } from "../routing/coda.ts";
import { routerNames } from "./routers.ts";
import type { RouterName } from "./routers.ts";

/** What tells a point from the others; null where the router does not depend on it. */
export interface PointSettings {
  /** "dense" is the baseline, of which everything else is null. */
  readonly router: RouterName | "dense";
  readonly reduction: number | null;
  readonly attention: RoutedAttention | null;
  readonly softTopK: "paper" | "exact" | null;
  readonly part: "layer" | "attention" | "ffn" | null;
  /** The layers that are routed, ascending. */
  readonly layers: readonly number[] | null;
  readonly threshold: number | null;
  readonly seed: number | null;
}

/** The baseline, which belongs to every sweep. */
export const densePoint: PointSettings = {
  router: "dense",
  reduction: null,
  attention: null,
  softTopK: null,
  part: null,
  layers: null,
  threshold: null,
  seed: null,
};

/** Fields of settings in their canonical order. */
export const settingNames: readonly (keyof PointSettings)[] = Object.keys(densePoint) as (keyof PointSettings)[];

/** @returns the one JSON text of these settings, whatever the order in which they were written. */
export function canonical(settings: PointSettings): string {
  return JSON.stringify(Object.fromEntries(settingNames.map((name) => [name, settings[name]])));
}

/** @returns the id of a point: twelve digits of the hash of its canonical text, safe in file names. */
export function pointId(settings: PointSettings): string {
  return createHash("sha256").update(canonical(settings)).digest("hex").slice(0, 12);
}

/** @returns layers in few characters: 0-9, or 0-3,8. */
export function layersText(layers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const layer of layers) {
    const last = runs.at(-1);
    if (last !== undefined && last[1] === layer - 1) last[1] = layer;
    else runs.push([layer, layer]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(",");
}

/** @returns settings in words for people: `learned, r 3, k-to-k, paper, layers 0-9, seed 0`. */
export function settingsText({
  router,
  reduction,
  attention,
  softTopK,
  part,
  layers,
  threshold,
  seed,
}: PointSettings): string {
  const words = [
    router,
    reduction === null ? "" : `r ${reduction}`,
    attention ?? "",
    softTopK ?? "",
    part === null || part === "layer" ? "" : `${part} only`,
    layers === null ? "" : `layers ${layersText(layers)}`,
    threshold === null ? "" : `threshold ${threshold}`,
    seed === null ? "" : `seed ${seed}`,
  ];
  return words.filter((word) => word !== "").join(", ");
}

const orNull = (value: unknown, good: boolean): boolean => value === null || good;

/** @returns whether a value from a file is settings. */
export function isSettings(value: unknown): value is PointSettings {
  if (typeof value !== "object" || value === null) return false;
  const given = value as Record<keyof PointSettings, unknown>;
  const { router, reduction, attention, softTopK, part, layers, threshold, seed } = given;
  const number = (field: unknown): boolean => orNull(field, typeof field === "number");
  return (
    Object.keys(given).length === settingNames.length &&
    (router === "dense" || routerNames.includes(router as RouterName)) &&
    [reduction, threshold, seed].every(number) &&
    orNull(attention, attention === "k-to-k" || attention === "k-to-all") &&
    orNull(softTopK, softTopK === "paper" || softTopK === "exact") &&
    orNull(part, part === "layer" || part === "attention" || part === "ffn") &&
    orNull(layers, Array.isArray(layers) && layers.every(Number.isInteger))
  );
}
