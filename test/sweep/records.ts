/** @file Finished points for tests, made of settings and a few numbers. */

import { gridOf } from "../../src/sweep/grid.ts";
import { readSweepConfig } from "../../src/sweep/config.ts";
import type { Manifest } from "../../src/sweep/manifest.ts";
import type { PointRecord } from "../../src/sweep/record.ts";
import type { PointSettings } from "../../src/sweep/settings.ts";
import { pointId } from "../../src/sweep/settings.ts";

export const fingerprint = { model: "m", data: "d", config: "c" } as const;

/** A sweep over axes, on a host of four layers. */
export function manifestOf(axes: Readonly<Record<string, unknown>>): Manifest {
  const value = { model: { folder: "m" }, data: { kind: "lines", files: { lines: "x" } }, axes };
  const points = gridOf(readSweepConfig(value, "x").axes, 4, { metric: "none" });
  const about = { format: "adapters-webgpu/sweep", version: 1, name: "A sweep", fingerprint } as const;
  return { ...about, metric: "accuracy", ascending: true, points };
}

/** A finished point. */
export function recordOf(settings: PointSettings, accuracy: number, more: Partial<PointRecord> = {}): PointRecord {
  const time = { gpu: 10 / (settings.reduction ?? 1), wall: 12 };
  return {
    format: "adapters-webgpu/sweep-point",
    version: 1,
    id: pointId(settings),
    settings,
    fingerprint,
    trained: false,
    metrics: { accuracy, "hidden-error": 1 - accuracy },
    sequences: 4,
    tokens: 40,
    heavyShare: 1 / (settings.reduction ?? 1),
    flopRatio: settings.reduction ?? 1,
    milliseconds: { ...time, dense: { gpu: 10, wall: 12 }, batches: 1, tokens: 10, speedUp: settings.reduction ?? 1 },
    device: { name: "a device", software: true },
    ...more,
  };
}

/** Records of all points, with an accuracy of its own each. */
export function recordsOf(manifest: Manifest, accuracy: (settings: PointSettings) => number): Map<string, PointRecord> {
  return new Map(manifest.points.map(({ id, settings }) => [id, recordOf(settings, accuracy(settings))]));
}
