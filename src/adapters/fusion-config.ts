/** @file The configuration of an AdapterFusion, the tensors it needs and their initial values (MATHS §2.4). */

import { EngineError } from "../errors.ts";
import { gaussian, generator } from "../random.ts";
import type { SubLayer } from "../sites/site.ts";
import { flag, isObject, nullable, rate, readFields } from "./config/fields.ts";
import type { Fields } from "./config/fields.ts";
import type { AdapterTensor } from "./tensors.ts";

/** Fields of a fusion, in the library's names. */
export interface FusionConfig {
  /** Whether there are matrices on keys, queries and values; without one the vectors are used as they are. */
  readonly key: boolean;
  readonly query: boolean;
  readonly value: boolean;
  /** The query is the sub-layer's output f instead of what the adapters read. */
  readonly query_before_ln: boolean;
  /** Training only: 0.01 ‖I − Wv‖² in the loss. */
  readonly regularization: boolean;
  /** The residual joins the adapters' values instead of the result. */
  readonly residual_before: boolean;
  /** The softmax divides by a temperature that falls from 50 to 1: see {@link fusionTemperature}. */
  readonly temperature: boolean;
  /** Whether Wv comes before the weighted sum; the same function either way. */
  readonly value_before_softmax: boolean;
  /** Wv starts near the identity. */
  readonly value_initialized: boolean;
  /** Training only: dropout of the scores; null for that of the host's attention. */
  readonly dropout_prob: number | null;
}

/** Tensor shapes by canonical name. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

const fields: Fields<FusionConfig> = {
  key: flag(true),
  query: flag(true),
  value: flag(true),
  query_before_ln: flag(false),
  regularization: flag(true),
  residual_before: flag(false),
  temperature: flag(false),
  value_before_softmax: flag(true),
  value_initialized: flag(true),
  dropout_prob: nullable(rate()),
};

const dynamic = readFields({}, fields, "");

/** The library's presets; `dynamic` is its default. */
export const fusionPresets: Readonly<Record<"static" | "dynamic", FusionConfig>> = {
  dynamic,
  static: { ...dynamic, value: false, regularization: false, value_initialized: false },
};

/**
 * Reads a preset's name or a configuration; missing fields are those of `dynamic`.
 * @example readFusion({ query_before_ln: true })
 * @throws EngineError UNKNOWN_NAME for an unknown preset; BAD_CONFIG naming unknown or ill-typed fields
 */
export function readFusion(config: unknown = "dynamic"): FusionConfig {
  if (typeof config === "string") {
    if (Object.hasOwn(fusionPresets, config)) return fusionPresets[config as keyof typeof fusionPresets];
    const known = Object.keys(fusionPresets).join(", ");
    throw new EngineError("UNKNOWN_NAME", `there is no fusion preset ${config}`, {
      where: config,
      fix: `use ${known}`,
    });
  }
  if (!isObject(config))
    throw new EngineError("BAD_CONFIG", "a fusion config is neither a name nor an object", { where: "fusion" });
  const stranger = Object.keys(config).find((name) => !Object.hasOwn(fields, name));
  if (stranger === undefined) return readFields(config, fields, "fusion.");
  throw new EngineError("BAD_CONFIG", `fusion config: ${stranger} is not a field of a fusion`, {
    where: stranger,
    fix: `remove it; known fields: ${Object.keys(fields).join(", ")}`,
  });
}

const START = 50;
const FALL = 0.05;

/**
 * The temperature of the softmax. Upstream keeps it in a hidden variable that falls with every call, also in evaluation, and
 * is not saved; a trained fusion has long reached 1, so that is what we run with.
 * @param calls forward passes since loading, under `compat: "adapters-1.2"`; absent for the sane temperature 1
 */
export function fusionTemperature(config: FusionConfig, calls?: number): number {
  if (!config.temperature || calls === undefined) return 1;
  return Math.max(1, START - FALL * calls);
}

/** @returns canonical names and shapes of a fusion's tensors at these places, in all layers but `leaveOut`. */
export function expectedFusionTensors(
  config: FusionConfig,
  host: { readonly layers: number; readonly width: number },
  places: readonly SubLayer[],
  leaveOut: readonly number[] = [],
): TensorShapes {
  const { layers, width } = host;
  const shapes = new Map<string, readonly number[]>();
  for (let layer = 0; layer < layers; layer += 1) {
    if (leaveOut.includes(layer)) continue;
    for (const place of places) {
      for (const part of ["query", "key"] as const) {
        if (!config[part]) continue;
        shapes.set(`layers.${layer}.${place}.${part}.weight`, [width, width]);
        shapes.set(`layers.${layer}.${place}.${part}.bias`, [width]);
      }
      if (config.value) shapes.set(`layers.${layer}.${place}.value.weight`, [width, width]);
    }
  }
  return shapes;
}

const DEVIATION = 0.02;
const OFF_DIAGONAL = 1e-6;

/** Fresh tensors: Wq and Wk from N(0, 0.02), zero biases; Wv 1 on the diagonal and 1e-6 elsewhere, or from N(0, 0.02) as well. */
export function initFusion(config: FusionConfig, shapes: TensorShapes, seed: number): Map<string, AdapterTensor> {
  const random = generator(seed);
  const drawn = (length: number): Float32Array => Float32Array.from({ length }, () => DEVIATION * gaussian(random));
  const tensors = new Map<string, AdapterTensor>();
  for (const [name, shape] of shapes) {
    const [rows = 0, columns = 1] = shape;
    const length = rows * columns;
    if (name.endsWith(".bias")) tensors.set(name, { shape, data: new Float32Array(length) });
    else if (name.endsWith(".value.weight") && config.value_initialized) {
      const data = Float32Array.from({ length }, (_, at) => (at % (columns + 1) === 0 ? 1 : OFF_DIAGONAL));
      tensors.set(name, { shape, data });
    } else tensors.set(name, { shape, data: drawn(length) });
  }
  return tensors;
}
