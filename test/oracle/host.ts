/** @file BERT (post-LN) and GPT-2 (pre-LN, causal) in float64, one sequence at a time, with hooks where adapters act. */

import type { Config, Files } from "./adapter-files.ts";
import { readJson, readTensors } from "./adapter-files.ts";
import { activate, add, at, layerNorm, linear, need, part, softmax, transpose } from "./rows.ts";
import type { Rows, Tensor } from "./rows.ts";

/** A linear map of a layer; `proj` is the attention's output matrix, `up` and `down` are the FFN's. */
export type MapName = "query" | "key" | "value" | "proj" | "up" | "down";

/** A residual site of a layer. */
export type Site = "attention" | "ffn";

/** The host's LayerNorm of a residual site; absent on pre-LN hosts. */
export type Norm = ((x: Rows) => Rows) | undefined;

/** Weight `[out, in]` and bias `[out]`. */
export interface LinearMap {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** A position in front of a sequence's keys: key, value, and a number that is added to its logit. */
export interface PrefixRow {
  readonly key: Float64Array;
  readonly value: Float64Array;
  readonly logit: number;
}

/** What adapters do to a pass. */
export interface Hooks {
  /** The output of the embedding module; may grow by prompt rows. */
  embeddings(x: Rows): Rows;
  /** The output `y` of a linear map for its input `x`. */
  linear(layer: number, map: MapName, x: Rows, y: Rows): Rows;
  /** Positions in front of the keys, leftmost first; `x` is the attention's input. */
  prefix(layer: number, x: Rows): readonly PrefixRow[];
  /** Closes a sub-layer: its output `f`, the residual stream `h` that enters the add, the host's norm after it. */
  close(layer: number, site: Site, f: Rows, h: Rows, norm: Norm): Rows;
}

/** The sub-layer's end without adapters. */
export function hostEnd(f: Rows, h: Rows, norm: Norm): Rows {
  const sum = add(f, h);
  return norm === undefined ? sum : norm(sum);
}

/** A pass without adapters. */
export const bare: Hooks = {
  embeddings: (x) => x,
  linear: (_layer, _map, _x, y) => y,
  prefix: () => [],
  close: (_layer, _site, f, h, norm) => hostEnd(f, h, norm),
};

/** A frozen host. */
export interface OracleHost {
  readonly family: "bert" | "gpt2";
  readonly width: number;
  readonly heads: number;
  readonly layers: number;
  /** The id that pads keys in the library's parallel prefixes; 0 where the configuration has none. */
  readonly padId: number;
  /** Linear maps by `layer.map`; merging replaces entries. */
  readonly maps: Map<string, LinearMap>;
  readonly tensor: (name: string) => Tensor;
  readonly config: Config;
}

/** Reads `config.json` and `model.safetensors`. */
export function readHost(files: Files): OracleHost {
  const config = readJson(files, "config.json");
  const tensors = readTensors(files, "model.safetensors");
  const tensor = (name: string): Tensor =>
    need(tensors.get(name) ?? tensors.get(`bert.${name}`) ?? tensors.get(`transformer.${name}`), name);
  const family = config["model_type"] === "gpt2" ? "gpt2" : "bert";
  const number = (bert: string, gpt2: string): number => Number(config[family === "bert" ? bert : gpt2]);
  const layers = number("num_hidden_layers", "n_layer");
  const maps = new Map<string, LinearMap>();
  for (let layer = 0; layer < layers; layer++) {
    const found = family === "bert" ? bertMaps(layer, tensor) : gpt2Maps(layer, tensor);
    for (const [map, value] of Object.entries(found)) maps.set(`${layer}.${map}`, value);
  }
  return {
    family,
    width: number("hidden_size", "n_embd"),
    heads: number("num_attention_heads", "n_head"),
    layers,
    padId: Number(config["pad_token_id"] ?? 0),
    maps,
    tensor,
    config,
  };
}

function bertMaps(layer: number, tensor: OracleHost["tensor"]): Record<MapName, LinearMap> {
  const read = (name: string): LinearMap => ({
    weight: tensor(`encoder.layer.${layer}.${name}.weight`),
    bias: tensor(`encoder.layer.${layer}.${name}.bias`),
  });
  return {
    query: read("attention.self.query"),
    key: read("attention.self.key"),
    value: read("attention.self.value"),
    proj: read("attention.output.dense"),
    up: read("intermediate.dense"),
    down: read("output.dense"),
  };
}

/** Conv1D stores `[in, out]`; c_attn holds query, key and value side by side. */
function gpt2Maps(layer: number, tensor: OracleHost["tensor"]): Record<MapName, LinearMap> {
  const read = (name: string): LinearMap => ({
    weight: transpose(tensor(`h.${layer}.${name}.weight`)),
    bias: tensor(`h.${layer}.${name}.bias`),
  });
  const fused = read("attn.c_attn");
  const third = at(fused.bias.shape, 0) / 3;
  const cut = (which: number): LinearMap => ({
    weight: part(fused.weight, which * third, (which + 1) * third),
    bias: part(fused.bias, which * third, (which + 1) * third),
  });
  return {
    query: cut(0),
    key: cut(1),
    value: cut(2),
    proj: read("attn.c_proj"),
    up: read("mlp.c_fc"),
    down: read("mlp.c_proj"),
  };
}

/** The last hidden state of one sequence. */
export function forward(host: OracleHost, ids: readonly number[], hooks: Hooks = bare): Rows {
  return host.family === "bert" ? forwardBert(host, ids, hooks) : forwardGpt2(host, ids, hooks);
}

function normOf(host: OracleHost, name: string): (x: Rows) => Rows {
  const epsilon = Number(host.config["layer_norm_eps"] ?? host.config["layer_norm_epsilon"] ?? 1e-12);
  return (x) => layerNorm(x, host.tensor(`${name}.weight`), host.tensor(`${name}.bias`), epsilon);
}

function embed(host: OracleHost, ids: readonly number[], tables: readonly [string, (position: number) => number][]) {
  return ids.map((_, position) => {
    const sum = new Float64Array(host.width);
    for (const [name, row] of tables) {
      const table = host.tensor(name);
      for (let i = 0; i < host.width; i++) sum[i] = at(sum, i) + at(table.data, row(position) * host.width + i);
    }
    return sum;
  });
}

function forwardBert(host: OracleHost, ids: readonly number[], hooks: Hooks): Rows {
  const sum = embed(host, ids, [
    ["embeddings.word_embeddings.weight", (position) => at(ids, position)],
    ["embeddings.position_embeddings.weight", (position) => position],
    ["embeddings.token_type_embeddings.weight", () => 0],
  ]);
  let x = hooks.embeddings(normOf(host, "embeddings.LayerNorm")(sum));
  for (let layer = 0; layer < host.layers; layer++) {
    const name = `encoder.layer.${layer}`;
    const f = attention(host, layer, x, hooks, false);
    const h = hooks.close(layer, "attention", f, x, normOf(host, `${name}.attention.output.LayerNorm`));
    x = hooks.close(layer, "ffn", ffn(host, layer, h, hooks), h, normOf(host, `${name}.output.LayerNorm`));
  }
  return x;
}

function forwardGpt2(host: OracleHost, ids: readonly number[], hooks: Hooks): Rows {
  const sum = embed(host, ids, [
    ["wte.weight", (position) => at(ids, position)],
    ["wpe.weight", (position) => position],
  ]);
  let x = hooks.embeddings(sum);
  for (let layer = 0; layer < host.layers; layer++) {
    const f = attention(host, layer, normOf(host, `h.${layer}.ln_1`)(x), hooks, true);
    const h = hooks.close(layer, "attention", f, x, undefined);
    x = hooks.close(layer, "ffn", ffn(host, layer, normOf(host, `h.${layer}.ln_2`)(h), hooks), h, undefined);
  }
  return normOf(host, "ln_f")(x);
}

function apply(host: OracleHost, layer: number, map: MapName, x: Rows, hooks: Hooks): Rows {
  const { weight, bias } = need(host.maps.get(`${layer}.${map}`), map);
  return hooks.linear(layer, map, x, linear(x, weight, bias));
}

function ffn(host: OracleHost, layer: number, x: Rows, hooks: Hooks): Rows {
  const name = String(host.config[host.family === "bert" ? "hidden_act" : "activation_function"]);
  return apply(host, layer, "down", activate(apply(host, layer, "up", x, hooks), name), hooks);
}

function attention(host: OracleHost, layer: number, x: Rows, hooks: Hooks, causal: boolean): Rows {
  const query = apply(host, layer, "query", x, hooks);
  const key = apply(host, layer, "key", x, hooks);
  const value = apply(host, layer, "value", x, hooks);
  const front = hooks.prefix(layer, x);
  const keys = [...front.map((row) => row.key), ...key];
  const values = [...front.map((row) => row.value), ...value];
  const width = host.width / host.heads;
  const context = query.map((q, position) => {
    const seen = causal ? front.length + position + 1 : keys.length;
    const result = new Float64Array(host.width);
    for (let from = 0; from < host.width; from += width) {
      const weights = softmax(
        keys.slice(0, seen).map((k, j) => {
          let dot = 0;
          for (let i = from; i < from + width; i++) dot += at(q, i) * at(k, i);
          return dot / Math.sqrt(width) + (front[j]?.logit ?? 0);
        }),
      );
      for (const [j, weight] of weights.entries()) {
        const v = need(values[j], "a value");
        for (let i = from; i < from + width; i++) result[i] = at(result, i) + weight * at(v, i);
      }
    }
    return result;
  });
  return apply(host, layer, "proj", context, hooks);
}
