/** @file Methods on linear maps: LoRA, VeRA, DoRA and IA³ (MATHS §2.7), and merging them into the host. */

import type { Saved } from "./adapter-files.ts";
import { matchMethod } from "./adapter-files.ts";
import type { LinearMap, MapName, OracleHost } from "./host.ts";
import { add, at, gateOf, linear, need, part, product, scale, scaleColumns } from "./rows.ts";
import type { Rows, Tensor } from "./rows.ts";

/** What one adapter does to one linear map. */
export interface LinearMethod {
  readonly kind: "add" | "scale";
  /** α/r, or α of IA³; a gate takes its place. */
  readonly scaling: number;
  /** `x · (unscaled low-rank product)ᵀ`; of IA³ its vector on every row. */
  readonly raw: (x: Rows) => Rows;
  /** The gate's mean over the rows of `x`. */
  readonly gate: ((x: Rows) => number) | undefined;
  /** DoRA's factor per output row for the frozen weight: `m / ‖W + BA‖`. */
  readonly magnitude: Float64Array | undefined;
  /** The unscaled low-rank product `[out, in]`; of IA³ its vector `[out, 1]`. */
  readonly deltaWeight: Tensor;
}

/** Factor of `raw`: the gate where there is one, otherwise the scaling. */
export function factorOf(method: LinearMethod, x: Rows): number {
  return method.gate === undefined ? method.scaling : method.gate(x);
}

/** `y` with one method, for the map's input `x`: `y + δ`, `s ⊙ (y + δ)` of DoRA, `y ⊙ l` of IA³. */
export function applyMethod(method: LinearMethod, x: Rows, y: Rows): Rows {
  return combine(method, y, scale(method.raw(x), factorOf(method, x)));
}

/** Puts what a method made, scaled already, onto the map's output. */
export function combine(method: LinearMethod, y: Rows, made: Rows): Rows {
  if (method.kind === "scale") return y.map((row, r) => row.map((value, i) => value * at(need(made[r], "a row"), i)));
  const sum = add(y, made);
  return method.magnitude === undefined ? sum : scaleColumns(sum, method.magnitude);
}

/** Tensors of one map, cut out of GPT-2's fused ones where needed. */
interface Pieces {
  readonly a: Tensor | undefined;
  readonly b: Tensor | undefined;
  readonly gateWeight: Tensor | undefined;
  readonly gateBias: Tensor | undefined;
  readonly m: Tensor | undefined;
  readonly veraD: Tensor | undefined;
  readonly veraB: Tensor | undefined;
}

const flags: Readonly<Record<MapName, string>> = {
  query: "selfattn_lora",
  key: "selfattn_lora",
  value: "selfattn_lora",
  proj: "selfattn_lora",
  up: "intermediate_lora",
  down: "output_lora",
};

const bertPaths: Readonly<Record<MapName, string>> = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  proj: "attention.output.dense",
  up: "intermediate.dense",
  down: "output.dense",
};

/** The method that an adapter has on a map, if any. */
export function readLinearMethod(
  host: OracleHost,
  saved: Saved,
  layer: number,
  map: MapName,
): LinearMethod | undefined {
  const config = matchMethod(saved, "lora", layer, flags[map]);
  if (config === undefined) return undefined;
  const pieces = host.family === "bert" ? bertPieces(saved, layer, map) : gpt2Pieces(host, saved, layer, map);
  if (pieces === undefined) return undefined;
  const { gateWeight, gateBias } = pieces;
  const gate =
    gateWeight === undefined
      ? undefined
      : (x: Rows): number => at(gateOf(x, gateWeight, need(gateBias, "gate.bias")), 0);
  const alpha = Number(config["alpha"]);
  if (config["composition_mode"] === "scale") {
    const vector = need(pieces.b, "lora_B");
    const raw = (x: Rows): Rows => x.map(() => vector.data);
    return { kind: "scale", scaling: alpha, raw, gate, magnitude: undefined, deltaWeight: vector };
  }
  const shared = `shared_parameters.${saved.name}.`;
  const a = pieces.a ?? saved.get(`${shared}lora_A`);
  const b = pieces.b ?? saved.get(`${shared}lora_B`);
  const low = pieces.veraD === undefined ? a : product(pieces.veraD, a);
  const high = pieces.veraB === undefined ? b : product(pieces.veraB, b);
  const deltaWeight = product(high, low);
  const { weight } = need(host.maps.get(`${layer}.${map}`), map);
  return {
    kind: "add",
    scaling: alpha / Number(config["r"]),
    raw: (x) => linear(linear(x, low), high),
    gate,
    magnitude: pieces.m === undefined ? undefined : magnitudeOf(pieces.m, weight, deltaWeight),
    deltaWeight,
  };
}

function magnitudeOf(m: Tensor, weight: Tensor, delta: Tensor): Float64Array {
  const [out = 0, width = 0] = weight.shape;
  return Float64Array.from({ length: out }, (_, o) => {
    let sum = 0;
    for (let i = o * width; i < (o + 1) * width; i++) sum += (at(weight.data, i) + at(delta.data, i)) ** 2;
    return at(m.data, o) / Math.sqrt(sum);
  });
}

function bertPieces(saved: Saved, layer: number, map: MapName): Pieces | undefined {
  return readPieces(saved, `encoder.layer.${layer}.${bertPaths[map]}.loras.${saved.name}.`);
}

function readPieces(saved: Saved, path: string): Pieces | undefined {
  if (!saved.has(path)) return undefined;
  return {
    a: saved.find(`${path}lora_A`),
    b: saved.find(`${path}lora_B`),
    gateWeight: saved.find(`${path}gate.weight`),
    gateBias: saved.find(`${path}gate.bias`),
    m: saved.find(`${path}m.weight`),
    veraD: saved.find(`${path}vera_D`),
    veraB: saved.find(`${path}vera_B`),
  };
}

/** Where GPT-2 has one fused matrix, the enabled thirds stand one after the other in query, key, value order. */
function gpt2Pieces(host: OracleHost, saved: Saved, layer: number, map: MapName): Pieces | undefined {
  const end = `.loras.${saved.name}.`;
  if (map === "proj") return undefined;
  if (map === "up" || map === "down")
    return readPieces(saved, `h.${layer}.mlp.${map === "up" ? "c_fc" : "c_proj"}${end}`);
  const pieces = readPieces(saved, `h.${layer}.attn.c_attn${end}`);
  const config = need(matchMethod(saved, "lora", layer, "selfattn_lora"), "the LoRA configuration");
  const enabled = ["q", "k", "v"].filter((letter) => (config["attn_matrices"] as string[]).includes(letter));
  const group = enabled.indexOf(map.charAt(0));
  if (pieces === undefined || group < 0) return undefined;
  const cut = (tensor: Tensor | undefined): Tensor | undefined => {
    if (tensor === undefined) return undefined;
    const size = at(tensor.shape, 0) / enabled.length;
    return part(tensor, group * size, (group + 1) * size);
  };
  if (pieces.m !== undefined || pieces.veraD !== undefined) {
    throw new Error(`oracle: DoRA and VeRA on the fused matrix of ${host.family} are not defined here`);
  }
  const { a, b, gateWeight, gateBias, m, veraD, veraB } = pieces;
  return { a: cut(a), b: cut(b), gateWeight: cut(gateWeight), gateBias: cut(gateBias), m, veraD, veraB };
}

/**
 * Merges a method into a map. `compat` leaves the bias alone and takes DoRA's product unscaled, as the library does; the
 * sane merge is the same function as the unmerged map.
 */
export function mergeMethod({ weight, bias }: LinearMap, method: LinearMethod, compat: boolean): LinearMap {
  if (method.gate !== undefined) throw new Error("oracle: a gated method cannot be merged");
  const [out = 0, width = 0] = weight.shape;
  const scaling = method.magnitude !== undefined && compat ? 1 : method.scaling;
  const data = new Float64Array(weight.data.length);
  const biased = Float64Array.from(bias.data);
  for (let o = 0; o < out; o++) {
    const vector = method.kind === "scale" ? at(method.deltaWeight.data, o) * scaling : 1;
    const rowScale = vector * (method.magnitude === undefined ? 1 : at(method.magnitude, o));
    for (let i = 0; i < width; i++) {
      const delta = method.kind === "scale" ? 0 : scaling * at(method.deltaWeight.data, o * width + i);
      data[o * width + i] = rowScale * (at(weight.data, o * width + i) + delta);
    }
    if (!compat) biased[o] = rowScale * at(bias.data, o);
  }
  return { weight: { shape: weight.shape, data }, bias: { shape: bias.shape, data: biased } };
}
