/** @file Bottlenecks, their fusion and LoRA in plain float64 loops (MATHS §2.2, §2.4, §2.7), for tests of routed layers. */

import { activate } from "../oracle/rows.ts";
import type { Rows } from "./coda-float64.ts";
import type { LivelyAdapter } from "./lively.ts";

/** An activation on one number, by its name in configuration files. */
export function scalar(name: string): (x: number) => number {
  return (x) => activate([Float64Array.of(x)], name)[0]?.[0] as number;
}

/** Fields of a bottleneck that change what it computes. */
export interface PlainConfig {
  readonly non_linearity?: string;
  readonly scaling?: number | "learned" | "channel";
  readonly ln_before?: boolean;
  readonly ln_after?: boolean;
  readonly use_gating?: boolean;
  readonly reduction_factor?: number;
  readonly [field: string]: unknown;
}

/** A tensor by its canonical name. */
type Get = (name: string) => Float32Array;

function getter({ tensors }: Pick<LivelyAdapter, "tensors">): Get {
  return (name) => {
    const found = tensors[name];
    if (found === undefined) throw new Error(`no tensor ${name}`);
    return found.data as Float32Array;
  };
}

/** x·Wᵀ + c with W [out, in]. */
export function linear(x: Rows, weight: ArrayLike<number>, bias?: ArrayLike<number>): Rows {
  return x.map((row) =>
    Array.from({ length: weight.length / row.length }, (_, out) =>
      row.reduce((sum, v, i) => sum + v * (weight[out * row.length + i] as number), bias?.[out] ?? 0),
    ),
  );
}

function layerNorm(x: Rows, gamma: ArrayLike<number>, beta: ArrayLike<number>): Rows {
  return x.map((row) => {
    const mean = row.reduce((sum, v) => sum + v, 0) / row.length;
    const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / row.length;
    return row.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * (gamma[i] as number) + (beta[i] as number));
  });
}

/** mean over the rows of σ(x w + c), of gate `which`. */
function gateOf(x: Rows, weight: Float32Array, bias: Float32Array): number {
  const sigmoids = linear(x, weight, bias).map(([v]) => 1 / (1 + Math.exp(-(v as number))));
  return sigmoids.reduce((a, b) => a + b, 0) / sigmoids.length;
}

/** Σ_i kron(R_i, L_i M_i) as [out, in], from the factors of Compacter. */
function compacted(get: Get, prefix: string): number[] {
  const [rule, left, right] = [get("shared_parameters.phm_rule"), get(`${prefix}W_left`), get(`${prefix}W_right`)];
  const n = Math.round(Math.cbrt(rule.length));
  const [rows, columns] = [left.length / n, right.length / n];
  const weight = Array.from({ length: n * n * rows * columns }, () => 0);
  for (let i = 0; i < n; i += 1)
    for (let a = 0; a < n; a += 1)
      for (let b = 0; b < n; b += 1)
        for (let r = 0; r < rows; r += 1)
          for (let c = 0; c < columns; c += 1) {
            const value =
              (rule[(i * n + a) * n + b] as number) *
              (left[i * rows + r] as number) *
              (right[i * columns + c] as number);
            const at = (b * columns + c) * n * rows + a * rows + r;
            weight[at] = (weight[at] as number) + value;
          }
  return weight;
}

/** v: the scaled up-output. */
export function upOutput(adapter: LivelyAdapter, prefix: string, x: Rows): Rows {
  const get = getter(adapter);
  const config = adapter.config as PlainConfig;
  const input =
    config.ln_before === true
      ? layerNorm(x, get(`${prefix}adapter_norm_before.weight`), get(`${prefix}adapter_norm_before.bias`))
      : x;
  const map = (of: Rows, name: string): Rows =>
    config.phm_layer === true
      ? linear(of, compacted(get, `${prefix}${name}.`), get(`${prefix}${name}.b`))
      : linear(of, get(`${prefix}${name}.weight`), get(`${prefix}${name}.bias`));
  const hidden = map(input, "adapter_down.0").map((row) => row.map(scalar(config.non_linearity ?? "relu")));
  const up = map(hidden, "adapter_up");
  const { scaling = 1 } = config;
  const learned = scaling === "learned" || scaling === "channel" ? get(`${prefix}scaling`) : null;
  const factor = (i: number): number =>
    learned === null ? (scaling as number) : (learned[scaling === "channel" ? i : 0] as number);
  return up.map((row) => row.map((v, i) => v * factor(i)));
}

/** A bottleneck without a skip: gate and own norm after it. */
export function bottleneck(adapter: LivelyAdapter, prefix: string, x: Rows): Rows {
  const get = getter(adapter);
  const { use_gating, ln_after } = adapter.config as PlainConfig;
  const gate = use_gating === true ? gateOf(x, get(`${prefix}gate.weight`), get(`${prefix}gate.bias`)) : 1;
  const weighed = upOutput(adapter, prefix, x).map((row) => row.map((v) => v * gate));
  if (ln_after !== true) return weighed;
  return layerNorm(weighed, get(`${prefix}adapter_norm_after.weight`), get(`${prefix}adapter_norm_after.bias`));
}

/** Σ p_a Wv v_a with p = softmax_a((Wq q + b_q)·(Wk v_a + b_k)), for values that were made already. */
export function fusion(tensors: LivelyAdapter["tensors"], prefix: string, query: Rows, values: readonly Rows[]): Rows {
  const get = getter({ tensors });
  const through = (part: string, x: Rows): Rows => {
    if (tensors[`${prefix}${part}.weight`] === undefined) return x;
    return linear(x, get(`${prefix}${part}.weight`), part === "value" ? undefined : get(`${prefix}${part}.bias`));
  };
  const keys = values.map((value) => through("key", value));
  const mixed = through("query", query).map((q, row) => {
    const scores = keys.map((key) => q.reduce((sum, v, i) => sum + v * (key[row]?.[i] as number), 0));
    const most = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - most));
    const total = powers.reduce((a, b) => a + b, 0);
    return q.map((_, i) =>
      values.reduce((sum, v, a) => sum + ((powers[a] as number) / total) * (v[row]?.[i] as number), 0),
    );
  });
  return through("value", mixed);
}

/** What an adapter of the LoRA family makes of y at the linear maps of a layer: y + f · x Aᵀ Bᵀ, or y ⊙ f · l; f is α / r (of l α), or the gate. */
export function linearMaps(
  adapter: LivelyAdapter,
  layer: number,
): (map: "qkv" | "proj" | "up" | "down", x: Rows, y: Rows) => Rows {
  const { tensors, config } = adapter;
  const { alpha = 8, r = 8, composition_mode } = config as { alpha?: number; r?: number; composition_mode?: string };
  const scaled = composition_mode === "scale";
  const made = (name: string, x: Rows): Rows | null => {
    const at = (tail: string): Float32Array | undefined =>
      tensors[`layers.${layer}.${name}.${tail}`]?.data as Float32Array;
    const [a, b, gate] = [at("lora_A"), at("lora_B"), at("gate.weight")];
    if (b === undefined) return null;
    const factor = gate === undefined ? alpha / (scaled ? 1 : r) : gateOf(x, gate, at("gate.bias") as Float32Array);
    const raw = a === undefined ? x.map(() => [...b]) : linear(linear(x, a), b);
    return raw.map((row) => row.map((v) => v * factor));
  };
  return (map, x, y) => {
    const parts = map === "qkv" ? ["query", "key", "value"] : [map];
    const columns = (y[0]?.length ?? 0) / parts.length;
    return parts.reduce((sum, name, index) => {
      const change = made(name, x);
      if (change === null) return sum;
      return sum.map((row, at) =>
        row.map((v, c) => {
          const own = change[at]?.[c - index * columns];
          if (c < index * columns || c >= (index + 1) * columns || own === undefined) return v;
          return scaled ? v * own : v + own;
        }),
      );
    }, y);
  };
}

/** Rows of zeros. */
export function nothing(x: Rows): Rows {
  return x.map((row) => row.map(() => 0));
}
