/** @file The host of an adapter, as far as its folder tells: width and layers from tensors, the rest from well-known models. */

import type { AdapterHost } from "../../adapters/config/types.ts";
import type { StoredAdapter } from "../../formats/adapter-hub/types.ts";
import type { Host } from "../../hosts/host.ts";
import { buildHost } from "../../hosts/index.ts";

/** A full model, for comparison. */
export interface FullModel {
  readonly name: string;
  readonly parameters: number;
}

function bertLike(family: string, layers: number, width: number, vocabulary: number): Record<string, unknown> {
  const roberta = family === "roberta";
  return {
    model_type: family,
    hidden_size: width,
    num_hidden_layers: layers,
    num_attention_heads: width / 64,
    intermediate_size: 4 * width,
    max_position_embeddings: roberta ? 514 : 512,
    type_vocab_size: roberta ? 1 : 2,
    vocab_size: vocabulary,
  };
}

function gpt2Like(layers: number, width: number): Record<string, unknown> {
  return {
    model_type: "gpt2",
    n_embd: width,
    n_head: width / 64,
    n_layer: layers,
    n_positions: 1024,
    vocab_size: 50257,
  };
}

/** Well-known models: the first of a family and width stands for all of them. */
const models: Readonly<Record<string, Record<string, unknown>>> = {
  "bert-base-uncased": bertLike("bert", 12, 768, 30522),
  "bert-large-uncased": bertLike("bert", 24, 1024, 30522),
  "bert-base-cased": bertLike("bert", 12, 768, 28996),
  "bert-base-multilingual-cased": bertLike("bert", 12, 768, 119547),
  "roberta-base": bertLike("roberta", 12, 768, 50265),
  "roberta-large": bertLike("roberta", 24, 1024, 50265),
  "xlm-roberta-base": bertLike("roberta", 12, 768, 250002),
  "distilbert-base-uncased": {
    model_type: "distilbert",
    dim: 768,
    n_heads: 12,
    n_layers: 6,
    hidden_dim: 3072,
    max_position_embeddings: 512,
    vocab_size: 30522,
  },
  gpt2: gpt2Like(12, 768),
  "gpt2-medium": gpt2Like(24, 1024),
  "gpt2-large": gpt2Like(36, 1280),
};

/** @returns the parameters of a host, as its checkpoint holds them. */
export function parametersOf(host: Host): number {
  const parts = host.weights.flatMap(({ parts: own }) => own);
  return parts.reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);
}

/** The model that a folder names, or one of its family and width. */
function wellKnown({ modelName, family, hiddenSize }: StoredAdapter): { name: string; host: Host } | null {
  const build = (name: string): { name: string; host: Host } => {
    const config = models[name] as Record<string, unknown>;
    return { name, host: buildHost({ config, tensors: new Set() }, false) };
  };
  const named = modelName?.split("/").at(-1) ?? "";
  const kin = family === "xlm-roberta" ? "roberta" : family;
  const fits = ({ host: { shape } }: { host: Host }): boolean =>
    (kin === null || shape.family === kin) && (hiddenSize === null || shape.width === hiddenSize);
  if (Object.hasOwn(models, named) && fits(build(named))) return build(named);
  if (kin === null || hiddenSize === null) return null;
  return Object.keys(models).map(build).find(fits) ?? null;
}

/** Extent of the first tensor whose name matches. */
function extentOf(tensors: StoredAdapter["tensors"], pattern: RegExp, axis: number): number | undefined {
  for (const [name, { shape }] of tensors) if (pattern.test(name)) return shape[axis];
  return undefined;
}

function widthOf({ tensors, hiddenSize }: StoredAdapter): number | undefined {
  return (
    hiddenSize ??
    extentOf(tensors, /\.(query|key|value|up)\.lora_A$/, 1) ??
    extentOf(tensors, /\.(query|key|value|proj|down)\.lora_B$/, 0) ??
    extentOf(tensors, /^prompt\.weight$/, 1)
  );
}

function ffnWidthOf({ tensors }: StoredAdapter): number | undefined {
  return (
    extentOf(tensors, /\.up\.lora_B$/, 0) ??
    extentOf(tensors, /\.down\.lora_A$/, 1) ??
    extentOf(tensors, /\.down\.ia3_in$/, 0)
  );
}

/** Layers of a prefix, left-out ones included. */
function prefixLayers({ tensors, config }: StoredAdapter, width: number): number | undefined {
  const methods = (config["configs"] ?? [config]) as readonly Readonly<Record<string, unknown>>[];
  const own = methods.find(({ architecture, peft_type: peft }) => (architecture ?? peft) !== undefined) ?? {};
  const values = 2 * width;
  const flat = tensors.get("prefix.control_trans")?.shape[0];
  const rows = Number(own["prefix_length"]);
  const carrying = flat === undefined ? extentOf(tensors, /^prefix\.control_trans\.2\.weight$/, 0) : flat / rows;
  if (carrying !== undefined) return carrying / values + ((own["leave_out"] as unknown[] | undefined)?.length ?? 0);
  const embedded = extentOf(tensors, /^prefix\.embeddings$/, 1);
  return embedded === undefined ? undefined : embedded / values;
}

/**
 * A host that an adapter would stand on. Where its tensors do not say, a well-known model does.
 * @returns null where the width is not known
 */
export function guessHost(stored: StoredAdapter): { shape: AdapterHost; like: FullModel | null } | null {
  const known = wellKnown(stored);
  const width = widthOf(stored) ?? known?.host.shape.width;
  if (width === undefined) return null;
  const deepest = [...stored.tensors.keys()].map((name) => Number(/^layers\.(\d+)\./.exec(name)?.[1] ?? -1));
  const seen = Math.max(0, ...deepest.map((layer) => layer + 1)) || undefined;
  const prefix = prefixLayers(stored, width);
  const base = known?.host.shape;
  const heads = base?.heads ?? (width % 64 === 0 ? width / 64 : 1);
  const shape: AdapterHost = {
    layers: Math.max(seen ?? 0, prefix ?? 0) || (base?.layers ?? 1),
    width,
    heads,
    headWidth: width / heads,
    ffnWidth: ffnWidthOf(stored) ?? base?.ffnWidth ?? 4 * width,
    normPosition: base?.normPosition ?? (stored.family === "gpt2" ? "pre" : "post"),
  };
  return { shape, like: known === null ? null : { name: known.name, parameters: parametersOf(known.host) } };
}
