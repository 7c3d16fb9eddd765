/** @file What an output folder is about: the sweep's name, its fingerprint, its measure, and all points of its grid. */

import { EngineError } from "../errors.ts";
import type { GridPoint } from "./grid.ts";
import { expectSame } from "./record.ts";
import type { Fingerprint, PointRecord } from "./record.ts";
import { isSettings, pointId } from "./settings.ts";

/** The content of `sweep.json` in an output folder. */
export interface Manifest {
  readonly format: "adapters-webgpu/sweep";
  readonly version: 1;
  readonly name: string;
  readonly fingerprint: Fingerprint;
  /** The measure that tables and plots show first, and whether more of it is better. */
  readonly metric: string;
  readonly ascending: boolean;
  /** In the canonical order. */
  readonly points: readonly GridPoint[];
}

function isPoint(value: unknown): value is GridPoint {
  const { id, settings } = (value ?? {}) as Partial<GridPoint>;
  return isSettings(settings) && id === pointId(settings);
}

function isManifest(value: unknown): value is Manifest {
  const { format, version, name, fingerprint, metric, ascending, points } = (value ?? {}) as Partial<Manifest>;
  const hashes = (fingerprint ?? {}) as Partial<Fingerprint>;
  return (
    format === "adapters-webgpu/sweep" &&
    version === 1 &&
    [name, metric, hashes.model, hashes.data, hashes.config].every((text) => typeof text === "string") &&
    typeof ascending === "boolean" &&
    Array.isArray(points) &&
    points.every(isPoint)
  );
}

/**
 * Checks a parsed `sweep.json`.
 * @throws EngineError BAD_FILE
 */
export function asManifest(value: unknown, where: string): Manifest {
  if (isManifest(value)) return value;
  throw new EngineError("BAD_FILE", `${where} does not describe a sweep`, {
    where,
    fix: "run the sweep again into this folder: finished points are kept",
  });
}

/** Records by the id of their point. */
export type Records = ReadonlyMap<string, PointRecord>;

/** @returns the points of a grid that no record is there for. */
export function missingPoints({ points }: Manifest, records: Records): readonly GridPoint[] {
  return points.filter(({ id }) => !records.has(id));
}

/**
 * Joins the grids of folders of one sweep: the points of the first, then those that only others have.
 * @param named what each is called in errors
 * @throws EngineError BAD_INPUT for folders of different sweeps, naming both hashes
 */
export function joinedManifest(named: readonly (readonly [string, Manifest])[]): Manifest {
  const [first, ...others] = named;
  if (first === undefined) throw new EngineError("BAD_INPUT", "there is no sweep to merge", { where: "merge" });
  const [, manifest] = first;
  for (const [name, other] of others) expectSame(other.fingerprint, manifest.fingerprint, name);
  const points = new Map(named.flatMap(([, { points: own }]) => own).map((point) => [point.id, point]));
  return { ...manifest, points: [...points.values()] };
}
