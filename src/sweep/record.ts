/** @file A finished point as a file: what it holds, how it is checked when it is read, and when two of them disagree. */

import { EngineError } from "../errors.ts";
import { canonical, isSettings, pointId } from "./settings.ts";
import type { PointSettings } from "./settings.ts";

/** Hashes of what a point was computed from, besides its settings. */
export interface Fingerprint {
  readonly model: string;
  readonly data: string;
  /** Task, adapters, batch and everything else of the configuration that numbers depend on; not the axes, not the paths. */
  readonly config: string;
}

/** Milliseconds of the timed batches. */
export interface PointTime {
  /** On the GPU's clock; null where it has none. */
  readonly gpu: number | null;
  readonly wall: number;
}

/** What was timed: the same batches dense and routed in turns. */
export interface PointTiming extends PointTime {
  readonly dense: PointTime;
  readonly batches: number;
  readonly tokens: number;
  /** Dense over routed: on the GPU's clock where there is one. */
  readonly speedUp: number;
}

/** The content of `points/<id>.json`. */
export interface PointRecord {
  readonly format: "adapters-webgpu/sweep-point";
  readonly version: 1;
  readonly id: string;
  readonly settings: PointSettings;
  readonly fingerprint: Fingerprint;
  /** Where a number overflowed, in words; such a point has no measures and no times. */
  readonly diverged?: string;
  /** false where routers were drawn at random. */
  readonly trained: boolean;
  readonly metrics: Readonly<Record<string, number>>;
  readonly sequences: number;
  readonly tokens: number;
  /** Rows that took the heavy path, over all layers; dense layers count in full. */
  readonly heavyShare: number;
  /** FLOPs of the dense plan over those of this point's, counted on one batch. */
  readonly flopRatio: number;
  readonly milliseconds: PointTiming | null;
  readonly device: Readonly<Record<string, string | boolean>>;
}

/** @returns the text of a point's file. */
export function recordText(record: PointRecord): string {
  return `${JSON.stringify(record, null, 1)}\n`;
}

const finite = (value: unknown): boolean => typeof value === "number" && Number.isFinite(value);

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): boolean {
  return isObject(value) && finite(value.wall) && (value.gpu === null || finite(value.gpu));
}

function isTiming(value: unknown): boolean {
  if (value === null) return true;
  return (
    isTime(value) &&
    isObject(value) &&
    isTime(value.dense) &&
    [value.batches, value.tokens, value.speedUp].every(finite)
  );
}

function isRecord(value: unknown): value is PointRecord {
  if (!isObject(value) || value.format !== "adapters-webgpu/sweep-point" || value.version !== 1) return false;
  const { settings, fingerprint, metrics, device, trained, milliseconds, diverged } = value;
  return (
    isSettings(settings) &&
    value.id === pointId(settings) &&
    isObject(fingerprint) &&
    [fingerprint.model, fingerprint.data, fingerprint.config].every((hash) => typeof hash === "string") &&
    isObject(metrics) &&
    Object.values(metrics).every(finite) &&
    [value.sequences, value.tokens, value.heavyShare, value.flopRatio].every(finite) &&
    isObject(device) &&
    typeof trained === "boolean" &&
    (diverged === undefined || typeof diverged === "string") &&
    isTiming(milliseconds)
  );
}

/**
 * Reads the text of a point's file.
 * @throws EngineError BAD_FILE for anything that is not a whole point of this version
 */
export function parseRecord(text: string, where: string): PointRecord {
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON is not a point; the sentence below says so.
  }
  if (isRecord(value)) return value;
  throw new EngineError("BAD_FILE", `${where} is not a point of a sweep`, {
    where,
    fix: "delete the file: the point is computed again",
  });
}

const WHAT: Readonly<Record<keyof Fingerprint, string>> = {
  model: "another model",
  data: "another data set",
  config: "another configuration",
};

/**
 * @throws EngineError BAD_INPUT that names both fingerprints where two things are not of the same sweep
 */
export function expectSame(found: Fingerprint, expected: Fingerprint, where: string): void {
  const other = (["model", "data", "config"] as const).find((name) => found[name] !== expected[name]);
  if (other === undefined) return;
  const message = `${where} is of ${WHAT[other]}: its ${other} has the hash ${found[other]}, this sweep's ${expected[other]}`;
  throw new EngineError("BAD_INPUT", message, { where, fix: "choose another output folder" });
}

/** What must be equal in two records of one point: everything but times and the device. */
function comparable({ milliseconds: _, device: __, settings, ...rest }: PointRecord): Record<string, unknown> {
  const { metrics, fingerprint, ...numbers } = rest;
  const named = Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`metrics.${name}`, value]));
  return { ...numbers, ...named, fingerprint: JSON.stringify(fingerprint), settings: canonical(settings) };
}

/** @returns what differs between two records of one point besides times: `metrics.accuracy is 0.5 and 0.25`. */
export function conflicts(a: PointRecord, b: PointRecord): string[] {
  const [left, right] = [comparable(a), comparable(b)];
  const names = [...new Set([...Object.keys(left), ...Object.keys(right)])];
  return names
    .filter((name) => left[name] !== right[name])
    .map((name) => `${name} is ${String(left[name])} and ${String(right[name])}`);
}
