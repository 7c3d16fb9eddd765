/** @file Prefixes and prompts as rows of the bank, and the invertible adapter as two bottlenecks (MATHS §2.8). */

import { activationCodes } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { activate } from "../reference/activation.ts";
import type { BankEntry } from "./packed.ts";
import { padded } from "./packed.ts";
import { need } from "./tensors.ts";
import type { AdapterTensors } from "./tensors.ts";

/** Names of tables. */
export const ROW_TABLES = { prompt: "prompt", forward: "invertible.F", back: "invertible.G" } as const;

/** The table of a layer's prefix. */
export function prefixTable(layer: number): string {
  return `layers.${layer}.prefix`;
}

/** The table of a prefix's gates: slots of one gate and of two are not of one length. */
export function gateTable(prefix: string, gates: number): string {
  return `${prefix}.gate.${gates}`;
}

/** y = x Wᵀ + c with sums in float64. */
function linear(x: ArrayLike<number>, rows: number, weight: Float32Array, bias: Float32Array): Float64Array {
  const outputs = bias.length;
  const inputs = weight.length / outputs;
  const y = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row += 1) {
    for (let out = 0; out < outputs; out += 1) {
      let sum = bias[out] as number;
      for (let i = 0; i < inputs; i += 1) sum += (x[row * inputs + i] as number) * (weight[out * inputs + i] as number);
      y[row * outputs + out] = sum;
    }
  }
  return y;
}

/**
 * The projected prefix [L, 2·n·d]: as stored, or the reparametrisation evaluated, which is what "eject" stores.
 */
export function flatPrefix(tensors: AdapterTensors, activation: ActivationName): Float32Array {
  const stored = tensors.get("prefix.control_trans") ?? tensors.get("prefix.embeddings");
  if (stored !== undefined) return stored.data;
  const embedded = need(tensors, "prefix.wte.weight");
  const rows = embedded.shape[0] as number;
  const layer = (index: 0 | 2): [Float32Array, Float32Array] => [
    need(tensors, `prefix.control_trans.${index}.weight`).data,
    need(tensors, `prefix.control_trans.${index}.bias`).data,
  ];
  const hidden = linear(embedded.data, rows, ...layer(0)).map((value) => activate(activation, value));
  return Float32Array.from(linear(hidden, rows, ...layer(2)));
}

/**
 * Packs the prefix of every layer that carries one: rows [L, 2d], keys beside values. Block 2j of the view
 * [L, 2·n, d] holds the keys of the j-th such layer, block 2j + 1 its values.
 */
export function packPrefix(
  tensors: AdapterTensors,
  layers: readonly number[],
  { rows, width, activation }: { readonly rows: number; readonly width: number; readonly activation: ActivationName },
): BankEntry[] {
  const flat = flatPrefix(tensors, activation);
  const stride = flat.length / rows;
  return layers.flatMap((layer, j): BankEntry[] => {
    const data = new Float32Array(rows * 2 * width);
    for (let row = 0; row < rows; row += 1)
      data.set(flat.subarray(row * stride + 2 * j * width, row * stride + (2 * j + 2) * width), row * 2 * width);
    const entries: BankEntry[] = [{ table: { kind: "rows", name: prefixTable(layer), width: 2 * width }, data }];
    const gate = tensors.get(`layers.${layer}.prefix_gate.weight`);
    if (gate === undefined) return entries;
    const values = new Float32Array(padded(gate.data.length + 2));
    values.set(gate.data, 0);
    values.set(need(tensors, `layers.${layer}.prefix_gate.bias`).data, gate.data.length);
    const name = gateTable(prefixTable(layer), gate.shape[0] as number);
    const table = { kind: "vector", name, elements: values.length } as const;
    return [...entries, { table, data: values }];
  });
}

/** Packs a prompt: rows [L, d]. */
export function packPrompt(tensors: AdapterTensors): BankEntry[] {
  const { data, shape } = need(tensors, "prompt.weight");
  return [{ table: { kind: "rows", name: ROW_TABLES.prompt, width: shape[1] as number }, data }];
}

/** Packs the two halves of a NICE block as bottlenecks of half the width. */
export function packInvertible(tensors: AdapterTensors, activation: ActivationName, width: number): BankEntry[] {
  return (["F", "G"] as const).map((half) => {
    const part = (index: 0 | 2, kind: "weight" | "bias"): Float32Array =>
      need(tensors, `invertible.${half}.${index}.${kind}`).data;
    const name = half === "F" ? ROW_TABLES.forward : ROW_TABLES.back;
    return {
      table: { kind: "bottleneck", name, inputs: width / 2, outputs: width / 2 },
      width: part(0, "bias").length,
      down: part(0, "weight"),
      downBias: part(0, "bias"),
      up: part(2, "weight"),
      upBias: part(2, "bias"),
      activation: activationCodes[activation],
      scale: 1,
    };
  });
}
