/** @file Methods outside the layers' residual sites: prefixes, prompts, invertible adapters (MATHS §2.8), and heads. */

import type { Saved } from "./adapter-files.ts";
import { matchMethod } from "./adapter-files.ts";
import type { OracleHost, PrefixRow } from "./host.ts";
import { activate, add, at, gateOf, linear } from "./rows.ts";
import type { Rows, Tensor } from "./rows.ts";

/** The prefix of one adapter in one layer, leftmost row first; `x` is the attention's input. */
export function prefixRows(
  host: OracleHost,
  saved: Saved,
  layer: number,
  x: Rows,
  ejected: boolean,
): readonly PrefixRow[] | undefined {
  const config = matchMethod(saved, "prefix_tuning", layer);
  if (config === undefined) return undefined;
  const left = (config["leave_out"] ?? []) as number[];
  const carrying = Array.from({ length: host.layers }, (_, i) => i).filter((i) => !left.includes(i));
  const blocks = carrying.length * 2;
  const flat = controlRows(saved, String(config["non_linearity"]), blocks * host.width, ejected);
  const block = 2 * carrying.indexOf(layer);
  const gates = gatesOf(host, saved, layer, x);
  const cut = (row: Float64Array, which: number, gate: number): Float64Array =>
    row.slice(which * host.width, (which + 1) * host.width).map((value) => value * gate);
  return flat.map((row) => ({
    key: cut(row, block, at(gates, 0)),
    // Shared gating has one output, which serves both.
    value: cut(row, block + 1, at(gates, gates.length - 1)),
    logit: 0,
  }));
}

/** One row per prefix position: all layers' keys and values side by side, each with its heads side by side. */
function controlRows(saved: Saved, activation: string, width: number, ejected: boolean): Rows {
  const path = `prefix_tuning.prefix_tunings.${saved.name}.self_prefix.`;
  const cutUp = (values: Float64Array): Rows =>
    Array.from({ length: values.length / width }, (_, r) => values.slice(r * width, (r + 1) * width));
  const flat = saved.find(`${path}control_trans`);
  if (flat !== undefined) return cutUp(flat.data);
  const layerOf = (x: Rows, index: number): Rows =>
    linear(x, saved.get(`${path}control_trans.${index}.weight`), saved.get(`${path}control_trans.${index}.bias`));
  const rows = layerOf(activate(layerOf(rowsOf(saved.get(`${path}wte.weight`)), 0), activation), 2);
  // Ejecting stores the evaluated network as float32.
  return ejected ? rows.map((row) => row.map((value) => Math.fround(value))) : rows;
}

function gatesOf(host: OracleHost, saved: Saved, layer: number, x: Rows): Float64Array {
  const attention = host.family === "bert" ? `encoder.layer.${layer}.attention.self` : `h.${layer}.attn`;
  const path = `${attention}.prefix_tuning.prefix_gates.${saved.name}.`;
  const weight = saved.find(`${path}weight`);
  return weight === undefined ? Float64Array.of(1) : gateOf(x, weight, saved.get(`${path}bias`));
}

function rowsOf({ shape, data }: Tensor): Rows {
  const width = at(shape, 1);
  return Array.from({ length: at(shape, 0) }, (_, r) => data.slice(r * width, (r + 1) * width));
}

/** The embedding output with the adapter's prompt rows in it. */
export function withPrompt(saved: Saved, x: Rows): Rows {
  const config = matchMethod(saved, "prompt_tuning", -1);
  if (config === undefined) return x;
  const prompt = rowsOf(saved.get(`prompt_tuning.prompt_tunings.${saved.name}.prompt_embedding.weight`));
  return config["combine"] === "prefix_after_bos" ? [...x.slice(0, 1), ...prompt, ...x.slice(1)] : [...prompt, ...x];
}

/** NICE coupling: `y1 = x1 + F(x2)`, `y2 = x2 + G(y1)`. */
export function invert(saved: Saved, x: Rows): Rows {
  const path = `invertible_adapters.${saved.name}.`;
  const config = saved.methods.find((method) => method["inv_adapter"] === "nice");
  if (config === undefined || !saved.has(path)) return x;
  const net = (name: "F" | "G", rows: Rows): Rows => {
    const dense = (input: Rows, index: number): Rows =>
      linear(input, saved.get(`${path}${name}.${index}.weight`), saved.get(`${path}${name}.${index}.bias`));
    return dense(activate(dense(rows, 0), String(config["non_linearity"])), 2);
  };
  const half = Math.floor((x[0]?.length ?? 0) / 2);
  const second = x.map((row) => row.slice(half));
  const y1 = add(
    x.map((row) => row.slice(0, half)),
    net("F", second),
  );
  const y2 = add(second, net("G", y1));
  return y1.map((row, r) => Float64Array.of(...row, ...(y2[r] ?? [])));
}

/** The types of head that give a row of numbers per token; the others give one per sequence. */
const perToken: ReadonlySet<string> = new Set(["tagging", "question_answering", "causal_lm", "masked_lm"]);

/** A saved head's logits: one row per sequence, or per token where the type says so. */
export function headLogits(host: OracleHost, head: Saved, hidden: Rows): Rows {
  let x = perToken.has(String(head.config["head_type"])) ? hidden : hidden.slice(...pooled(host));
  if (head.config["use_pooler"] === true) {
    x = activate(linear(x, host.tensor("pooler.dense.weight"), host.tensor("pooler.dense.bias")), "tanh");
  }
  const layers = Number(head.config["layers"]);
  // Modules: dropout, linear, activation, dropout, linear, …
  for (let layer = 0; layer < layers; layer++) {
    const path = `heads.${head.name}.${1 + 3 * layer}.`;
    x = linear(x, head.get(`${path}weight`), head.find(`${path}bias`));
    if (layer + 1 < layers) x = activate(x, String(head.config["activation_function"]));
  }
  return x;
}

/** The row that stands for a sequence: the first of BERT, the last of GPT-2. */
function pooled(host: OracleHost): [number, number?] {
  return host.family === "bert" ? [0, 1] : [-1];
}
