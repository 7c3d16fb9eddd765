/** @file Small random hosts as Hugging Face folders in memory. */

import type { Files } from "./adapter-files.ts";
import { Draw, TensorList } from "./random-draw.ts";

/** A random host and the sizes that adapters for it need. */
export interface RandomHost {
  readonly family: "bert" | "gpt2";
  readonly files: Files;
  readonly width: number;
  readonly heads: number;
  readonly ffn: number;
  readonly layers: number;
  readonly vocabulary: number;
  /** Longest sequence, prompts not counted. */
  readonly positions: number;
}

/** Makes a BERT or GPT-2 of width 16, 24 or 32 with two or three layers. */
export function randomHost(seed: number, family?: RandomHost["family"]): RandomHost {
  const draw = new Draw(seed);
  const kind = family ?? draw.pick(["bert", "gpt2"] as const);
  const width = draw.pick([16, 24, 32]);
  const sizes = {
    family: kind,
    width,
    heads: width / 8,
    ffn: draw.pick([2 * width, 3 * width]),
    layers: draw.integer(2, 3),
    vocabulary: 23,
    positions: 24,
  };
  const tensors = new TensorList(draw);
  if (kind === "bert") bertTensors(tensors, sizes);
  else gpt2Tensors(tensors, sizes);
  const config = kind === "bert" ? bertConfig(sizes) : gpt2Config(sizes);
  return { ...sizes, files: { "config.json": JSON.stringify(config), "model.safetensors": tensors.write() } };
}

type Sizes = Omit<RandomHost, "files">;

function bertConfig({ width, heads, ffn, layers, vocabulary, positions }: Sizes): Record<string, unknown> {
  return {
    model_type: "bert",
    hidden_size: width,
    num_attention_heads: heads,
    num_hidden_layers: layers,
    intermediate_size: ffn,
    vocab_size: vocabulary,
    max_position_embeddings: positions,
    type_vocab_size: 2,
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    pad_token_id: 0,
  };
}

function gpt2Config({ width, heads, ffn, layers, vocabulary, positions }: Sizes): Record<string, unknown> {
  return {
    model_type: "gpt2",
    n_embd: width,
    n_head: heads,
    n_layer: layers,
    n_inner: ffn,
    vocab_size: vocabulary,
    n_positions: positions,
    activation_function: "gelu_new",
    layer_norm_epsilon: 1e-5,
    pad_token_id: null,
  };
}

function bertTensors(tensors: TensorList, { width, ffn, layers, vocabulary, positions }: Sizes): void {
  tensors
    .add("embeddings.word_embeddings.weight", [vocabulary, width], 1)
    .add("embeddings.position_embeddings.weight", [positions, width], 0.5)
    .add("embeddings.token_type_embeddings.weight", [2, width], 0.2)
    .norm("embeddings.LayerNorm", width)
    .linear("pooler.dense", width, width);
  for (let i = 0; i < layers; i++) {
    const layer = `encoder.layer.${i}`;
    tensors
      .linear(`${layer}.attention.self.query`, width, width, 1.5)
      .linear(`${layer}.attention.self.key`, width, width, 1.5)
      .linear(`${layer}.attention.self.value`, width, width)
      .linear(`${layer}.attention.output.dense`, width, width)
      .norm(`${layer}.attention.output.LayerNorm`, width)
      .linear(`${layer}.intermediate.dense`, ffn, width)
      .linear(`${layer}.output.dense`, width, ffn)
      .norm(`${layer}.output.LayerNorm`, width);
  }
}

/** Conv1D weights are `[in, out]`. */
function gpt2Tensors(tensors: TensorList, { width, ffn, layers, vocabulary, positions }: Sizes): void {
  const conv = (name: string, from: number, to: number): void => {
    tensors.add(`${name}.weight`, [from, to], 1.2 / Math.sqrt(from)).add(`${name}.bias`, [to], 0.1);
  };
  tensors.add("wte.weight", [vocabulary, width], 1).add("wpe.weight", [positions, width], 0.5).norm("ln_f", width);
  for (let i = 0; i < layers; i++) {
    tensors.norm(`h.${i}.ln_1`, width).norm(`h.${i}.ln_2`, width);
    conv(`h.${i}.attn.c_attn`, width, 3 * width);
    conv(`h.${i}.attn.c_proj`, width, width);
    conv(`h.${i}.mlp.c_fc`, width, ffn);
    conv(`h.${i}.mlp.c_proj`, ffn, width);
  }
}
