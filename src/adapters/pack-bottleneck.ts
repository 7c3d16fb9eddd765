/**
 * @file A bottleneck (MATHS §2.2) as slot data. What is constant is folded: a learned or per-channel scaling into the
 * up-projection, the affine part of the norm before into the down-projection, a Compacter into dense matrices.
 */

import { activationCodes } from "../ops/activation.ts";
import type { BottleneckConfig } from "./config/types.ts";
import type { BankEntry, BottleneckEntry } from "./packed.ts";
import { padded } from "./packed.ts";
import { expandPhm } from "./phm.ts";
import type { BottleneckStructure, Place } from "./structure.ts";
import type { AdapterTensor, AdapterTensors } from "./tensors.ts";
import { need } from "./tensors.ts";

/** The table of gate and second norm that stands beside a table of bottlenecks. */
export const EXTRA = ".extra";

/** Offsets in a slot of the extra table: gate weight [d] and bias, then γ [d] and β [d] of the norm after. */
export function extraLayout(width: number): { readonly gamma: number; readonly beta: number; readonly size: number } {
  const gamma = padded(width + 1);
  return { gamma, beta: gamma + padded(width), size: gamma + 2 * padded(width) };
}

/** @returns what of the configuration shapes the graph. */
export function bottleneckStructure(config: BottleneckConfig, table: string): BottleneckStructure {
  const residuals = { true: "output", false: "input", post_add: "sum" } as const;
  return {
    table,
    parallel: config.is_parallel,
    originalBefore: config.original_ln_before,
    originalAfter: config.original_ln_after,
    residual: residuals[String(config.residual_before_ln) as keyof typeof residuals],
    normBefore: config.ln_before,
    normAfter: config.ln_after,
    residualInNorm: config.adapter_residual_before_ln,
    gate: config.use_gating,
  };
}

interface Linear {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
  readonly outputs: number;
}

function linear(config: BottleneckConfig, tensors: AdapterTensors, prefix: string, shared: "W_down" | "W_up"): Linear {
  const weight: AdapterTensor = config.phm_layer
    ? expandPhm(tensors, prefix, shared)
    : need(tensors, `${prefix}weight`);
  const outputs = weight.shape[0] as number;
  const bias = tensors.get(`${prefix}${config.phm_layer ? "b" : "bias"}`)?.data ?? new Float32Array(outputs);
  return { weight: weight.data, bias, outputs };
}

/** W·diag(γ) and W·β + c: what is left of LN's affine part in front of a linear map. */
function foldNorm({ weight, bias, outputs }: Linear, gamma: Float32Array, beta: Float32Array): Linear {
  const inputs = gamma.length;
  const scaled = new Float32Array(weight.length);
  const shifted = Float64Array.from(bias);
  for (let row = 0; row < outputs; row += 1) {
    for (let column = 0; column < inputs; column += 1) {
      const at = row * inputs + column;
      scaled[at] = (weight[at] as number) * (gamma[column] as number);
      shifted[row] = (shifted[row] as number) + (weight[at] as number) * (beta[column] as number);
    }
  }
  return { weight: scaled, bias: Float32Array.from(shifted), outputs };
}

/** Rows of the up-projection times a factor each: a scaling that is trained. */
function scaleRows({ weight, bias, outputs }: Linear, factors: Float32Array): Linear {
  const inputs = weight.length / outputs;
  return {
    weight: weight.map((value, at) => value * (factors[Math.floor(at / inputs)] as number)),
    bias: bias.map((value, row) => value * (factors[row] as number)),
    outputs,
  };
}

/**
 * Packs one bottleneck.
 * @param prefix of its tensors, such as `layers.0.ffn.`
 */
export function packBottleneck(
  config: BottleneckConfig,
  tensors: AdapterTensors,
  at: { readonly prefix: string; readonly structure: BottleneckStructure; readonly width: number },
): BankEntry[] {
  const { prefix, structure, width } = at;
  let down = linear(config, tensors, `${prefix}adapter_down.0.`, "W_down");
  let up = linear(config, tensors, `${prefix}adapter_up.`, "W_up");
  if (structure.normBefore) {
    const gamma = need(tensors, `${prefix}adapter_norm_before.weight`).data;
    down = foldNorm(down, gamma, need(tensors, `${prefix}adapter_norm_before.bias`).data);
  }
  if (typeof config.scaling !== "number") {
    const { data } = need(tensors, `${prefix}scaling`);
    up = scaleRows(up, config.scaling === "channel" ? data : new Float32Array(up.outputs).fill(data[0] as number));
  }
  const entry: BottleneckEntry = {
    table: { kind: "bottleneck", name: structure.table, inputs: width, outputs: width },
    width: down.outputs,
    down: down.weight,
    downBias: down.bias,
    up: up.weight,
    upBias: up.bias,
    activation: activationCodes[config.non_linearity],
    scale: typeof config.scaling === "number" ? config.scaling : 1,
  };
  return structure.gate || structure.normAfter ? [entry, packExtra(tensors, prefix, structure, width)] : [entry];
}

function packExtra(tensors: AdapterTensors, prefix: string, structure: BottleneckStructure, width: number): BankEntry {
  const layout = extraLayout(width);
  const data = new Float32Array(layout.size);
  if (structure.gate) {
    data.set(need(tensors, `${prefix}gate.weight`).data, 0);
    data.set(need(tensors, `${prefix}gate.bias`).data, width);
  }
  if (structure.normAfter) {
    data.set(need(tensors, `${prefix}adapter_norm_after.weight`).data, layout.gamma);
    data.set(need(tensors, `${prefix}adapter_norm_after.bias`).data, layout.beta);
  }
  return { table: { kind: "vector", name: `${structure.table}${EXTRA}`, elements: layout.size }, data };
}

/** The name of the table of a bottleneck. */
function bottleneckTable(place: Place, layer: number | "shared"): string {
  return layer === "shared" ? `shared.${place}` : `layers.${layer}.${place}`;
}

/** @returns the places of a layer at which a configuration has bottlenecks. */
export function placesOf(config: BottleneckConfig): Place[] {
  if (config.layer_adapter) return ["layer"];
  const places: Place[] = [];
  if (config.mh_adapter) places.push("attention");
  if (config.output_adapter) places.push("ffn");
  return places;
}

/** Where a bottleneck's weights are: the name of their table, and what its tensors begin with. */
export interface BottleneckScope {
  readonly table: string;
  readonly prefix: string;
}

/** @returns the scope of a bottleneck; one for all layers where they share it. */
export function bottleneckScope(config: BottleneckConfig, place: Place, layer: number): BottleneckScope {
  const shared = config.cross_layer_sharing;
  const scope = shared ? "shared." : `layers.${layer}.`;
  return {
    table: bottleneckTable(place, shared ? "shared" : layer),
    prefix: place === "layer" && !shared ? scope : `${scope}${place}.`,
  };
}

/** @returns every scope of a configuration on a host of so many layers. */
export function bottleneckScopes(config: BottleneckConfig, layers: number): BottleneckScope[] {
  const scopes = new Map<string, BottleneckScope>();
  for (let layer = 0; layer < layers; layer += 1) {
    if (config.leave_out.includes(layer)) continue;
    for (const place of placesOf(config)) {
      const scope = bottleneckScope(config, place, layer);
      scopes.set(scope.table, scope);
    }
  }
  return [...scopes.values()];
}
