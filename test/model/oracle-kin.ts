/** @file Random BERT cases as RoBERTa and DistilBERT store them (MATHS §3.1, §3.3): the same function under other names. */

import { fromFloat32 } from "../../src/formats/tensor.ts";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { readJson, readTensors } from "../oracle/adapter-files.ts";
import type { Files } from "../oracle/adapter-files.ts";
import type { OracleRequest } from "../oracle/oracle.ts";
import { at, need } from "../oracle/rows.ts";
import type { Tensor } from "../oracle/rows.ts";

/** How a family says what BERT says. */
export interface Kin {
  readonly family: string;
  readonly name: (bert: string) => string;
  readonly config: (bert: Readonly<Record<string, unknown>>) => Record<string, unknown>;
  readonly tensors: (bert: ReadonlyMap<string, Tensor>) => Map<string, Tensor>;
}

const POSITIONS = "embeddings.position_embeddings.weight";

/** Positions begin behind the padding id, which is 0 here. */
export const roberta: Kin = {
  family: "roberta",
  name: (bert) => bert.replace(/^bert\./, "roberta."),
  config: (bert) => ({
    ...bert,
    model_type: "roberta",
    max_position_embeddings: Number(bert["max_position_embeddings"]) + 1,
  }),
  tensors: (bert) => {
    const { shape, data } = need(bert.get(POSITIONS), POSITIONS);
    const width = at(shape, 1);
    const later = { shape: [at(shape, 0) + 1, width], data: Float64Array.from([...new Float64Array(width), ...data]) };
    return new Map([...bert, [POSITIONS, later]]);
  },
};

const renamed: readonly (readonly [RegExp, string])[] = [
  [/^bert\./, "distilbert."],
  [/encoder\.layer\.(\d+)\./, "transformer.layer.$1."],
  [/attention\.output\.(adapters|adapter_fusion_layer)\./, "attention_adapters.$1."],
  [/(layer\.\d+\.)output\.(adapters|adapter_fusion_layer)\./, "$1output_adapters.$2."],
  [/attention\.self\.query/, "attention.q_lin"],
  [/attention\.self\.key/, "attention.k_lin"],
  [/attention\.self\.value/, "attention.v_lin"],
  [/attention\.self\.prefix_tuning/, "attention.prefix_tuning"],
  [/attention\.output\.dense/, "attention.out_lin"],
  [/attention\.output\.LayerNorm/, "sa_layer_norm"],
  [/intermediate\.dense/, "ffn.lin1"],
  [/(layer\.\d+\.)output\.dense/, "$1ffn.lin2"],
  [/(layer\.\d+\.)output\.LayerNorm/, "$1output_layer_norm"],
  [/\.self_prefix\./, ".self."],
];

/** No token types: that row joins every position. No pooler. */
export const distilbert: Kin = {
  family: "distilbert",
  name: (bert) => renamed.reduce((name, [pattern, other]) => name.replace(pattern, other), bert),
  config: (bert) => ({
    model_type: "distilbert",
    dim: bert["hidden_size"],
    n_heads: bert["num_attention_heads"],
    n_layers: bert["num_hidden_layers"],
    hidden_dim: bert["intermediate_size"],
    vocab_size: bert["vocab_size"],
    max_position_embeddings: bert["max_position_embeddings"],
    activation: bert["hidden_act"],
    pad_token_id: 0,
  }),
  tensors: (bert) => {
    const types = need(bert.get("embeddings.token_type_embeddings.weight"), "token types");
    const { shape, data } = need(bert.get(POSITIONS), POSITIONS);
    const sum = { shape, data: data.map((value, i) => value + at(types.data, i % at(shape, 1))) };
    const rest = [...bert].filter(([name]) => !/token_type|pooler/.test(name));
    return new Map([...rest, [POSITIONS, sum]]);
  },
};

function write(tensors: ReadonlyMap<string, Tensor>, kin: Kin): Uint8Array {
  const stored = [...tensors].map(([name, { shape, data }]) =>
    fromFloat32(kin.name(name), shape, Float32Array.from(data)),
  );
  return writeSafetensors(stored, { format: "pt" });
}

/** An adapter's, fusion's or head's folder. */
function folderOf(files: Files, kin: Kin): Files {
  const file = (name: string): Uint8Array | string => {
    if (name.endsWith(".safetensors")) return write(readTensors(files, name), kin);
    return JSON.stringify({ ...readJson(files, name), model_type: kin.family, model_class: "" });
  };
  return Object.fromEntries(Object.keys(files).map((name) => [name, file(name)]));
}

/** The same case for the engine; the oracle keeps the BERT one. */
export function asKin(request: OracleRequest, kin: Kin): OracleRequest {
  const every = (folders: OracleRequest["adapters"]): Record<string, Files> =>
    Object.fromEntries(Object.entries(folders ?? {}).map(([name, files]) => [name, folderOf(files, kin)]));
  const host = {
    "config.json": JSON.stringify(kin.config(readJson(request.host, "config.json"))),
    "model.safetensors": write(kin.tensors(readTensors(request.host, "model.safetensors")), kin),
  };
  return { ...request, host, adapters: every(request.adapters), fusions: every(request.fusions) };
}
