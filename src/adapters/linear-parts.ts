/** @file From a configuration of the LoRA family (or its PEFT twin) and tensors to what it does at every linear map. */

import { EngineError } from "../errors.ts";
import type { LinearMap } from "../sites/site.ts";
import { LINEAR_MAPS } from "../sites/site.ts";
import type { LoraConfig } from "./config/types.ts";
import type { LinearPart } from "./pack-linear.ts";
import { multiply, need } from "./tensors.ts";
import type { AdapterTensors } from "./tensors.ts";

/** The frozen weight [out, in] and bias [out] of a linear map: DoRA asks for the length of its rows. */
export type FrozenMap = (
  layer: number,
  map: LinearMap,
) => { readonly weight: Float32Array; readonly bias: Float32Array | null; readonly outputs: number };

/** How the parts of one layer are made. */
export interface PartSettings {
  /** Scale of B A for a map; 1 where a gate takes its place. */
  readonly scale: (layer: number, map: LinearMap) => number;
  readonly composition: "add" | "scale";
  readonly alpha: number;
  /** Whose DoRA: PEFT leaves the bias outside and scales BA inside the norm. */
  readonly dora: "library" | "peft";
}

/** @returns the settings of a configuration of the `adapters` library. */
export function librarySettings(config: LoraConfig): PartSettings {
  const { r, alpha, use_gating, composition_mode } = config;
  return { scale: () => (use_gating ? 1 : alpha / r), composition: composition_mode, alpha, dora: "library" };
}

function gateOf(tensors: AdapterTensors, prefix: string): LinearPart["gate"] {
  const weight = tensors.get(`${prefix}gate.weight`)?.data;
  return weight === undefined ? null : { weight, bias: need(tensors, `${prefix}gate.bias`).data[0] as number };
}

/** A [r, in] and B [out, r]; VeRA's frozen pair between its two trained matrices. */
function lowRank(tensors: AdapterTensors, prefix: string): { a: Float32Array; b: Float32Array; rank: number } {
  const veraD = tensors.get(`${prefix}vera_D`);
  if (veraD === undefined) {
    const a = need(tensors, `${prefix}lora_A`);
    return { a: a.data, b: need(tensors, `${prefix}lora_B`).data, rank: a.shape[0] as number };
  }
  const a = need(tensors, "shared_parameters.lora_A");
  const b = need(tensors, "shared_parameters.lora_B");
  const [rank, inputs] = a.shape as [number, number];
  const outputs = b.shape[0] as number;
  return {
    rank,
    a: Float32Array.from(multiply(veraD.data, a.data, rank, rank, inputs)),
    b: Float32Array.from(multiply(need(tensors, `${prefix}vera_B`).data, b.data, outputs, outputs, rank)),
  };
}

/** m / ‖W + s B A‖ per output row (MATHS §2.7). */
function rowFactors(weight: Float32Array, delta: Float64Array, scale: number, magnitude: Float32Array): Float32Array {
  const inputs = weight.length / magnitude.length;
  return magnitude.map((value, row) => {
    let sum = 0;
    for (let at = row * inputs; at < (row + 1) * inputs; at += 1)
      sum += ((weight[at] as number) + scale * (delta[at] as number)) ** 2;
    return value / Math.sqrt(sum);
  });
}

function loraPart(
  tensors: AdapterTensors,
  at: { readonly prefix: string; readonly layer: number; readonly map: LinearMap },
  settings: PartSettings,
  frozen: FrozenMap | undefined,
): LinearPart {
  const { prefix, layer, map } = at;
  const { a, b, rank } = lowRank(tensors, prefix);
  const factor = settings.scale(layer, map);
  const magnitude = tensors.get(`${prefix}m.weight`)?.data;
  const bias = tensors.get(`${prefix}lora_bias`)?.data ?? null;
  const part = { kind: "lora", map, rank, a, b, factor, bias, gate: gateOf(tensors, prefix) } as const;
  if (magnitude === undefined) return { ...part, scale: null, shift: null };
  if (frozen === undefined) {
    throw new EngineError("UNSUPPORTED", "DoRA needs the frozen weights", { where: `${prefix}m.weight` });
  }
  const { weight, bias: frozenBias } = frozen(layer, map);
  const outputs = b.length / rank;
  const delta = multiply(b, a, outputs, rank, a.length / rank);
  const scale = rowFactors(weight, delta, settings.dora === "peft" ? factor : 1, magnitude);
  const outside = settings.dora === "peft" && frozenBias !== null;
  const shift = outside ? frozenBias.map((value, row) => value * (1 - (scale[row] as number))) : null;
  return { ...part, scale, shift };
}

/** What an adapter does at the linear maps of one layer. */
export function linearParts(
  tensors: AdapterTensors,
  layer: number,
  settings: PartSettings,
  frozen?: FrozenMap,
): LinearPart[] {
  return LINEAR_MAPS.flatMap((map): LinearPart[] => {
    const prefix = `layers.${layer}.${map}.`;
    const gate = gateOf(tensors, prefix);
    const input = tensors.get(`${prefix}ia3_in`);
    if (input !== undefined) return [{ kind: "input", map, scale: input.data, gate: null }];
    const b = tensors.get(`${prefix}lora_B`);
    if (b === undefined && !tensors.has(`${prefix}vera_B`)) return [];
    if (settings.composition === "add") return [loraPart(tensors, { prefix, layer, map }, settings, frozen)];
    const factor = gate === null ? settings.alpha : 1;
    return [{ kind: "output", map, scale: need(tensors, `${prefix}lora_B`).data.map((value) => value * factor), gate }];
  });
}
