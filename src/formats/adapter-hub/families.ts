/** @file Where each model family keeps the modules that adapters attach to: one table, after MATHS §3.1 and §3.2. */

/** A host family whose key names are known. */
export type Family = "bert" | "roberta" | "distilbert" | "vit" | "gpt2" | "t5" | "albert" | "kwt";

/** A linear map of a layer. */
export type MapName = "query" | "key" | "value" | "proj" | "up" | "down";

/** The two residual sites of a layer. */
export type Place = "attention" | "ffn";

/** Module paths of one family, without the prefix of the base model; `{i}` stands for the layer. */
export interface FamilyPaths {
  /** Prefix that keys carry in classes with heads. Keys without it are accepted as well. */
  readonly prefix: string;
  /** The flexible-head class of the library, for the envelope. */
  readonly modelClass: string | null;
  /** Whole layers: the light path of CoDA sits there. */
  readonly layer: string;
  /** Modules that hold `adapters.{N}` and `adapter_fusion_layer.{N}`. */
  readonly places: Readonly<Record<Place, string>>;
  /** Modules that hold `loras.{N}`; more than one path where hosts of a family differ, the one to write first. */
  readonly maps: readonly (readonly [MapName, string])[];
  /** A fused query-key-value map, if the family has one. */
  readonly fused: string | null;
  /** The attention module, which holds the gates of prefixes. */
  readonly attention: string;
  /** Name of the encoder's prefix among the prefixes of one adapter. */
  readonly prefixLocation: string;
  /** The module that holds `invertible_adapters.{N}`, with its dot. */
  readonly embedding: string;
}

/** BERT and everything built like it. */
function bertLike(prefix: string, modelClass: string | null): FamilyPaths {
  const layer = "encoder.layer.{i}";
  return {
    prefix,
    modelClass,
    layer,
    places: { attention: `${layer}.attention.output`, ffn: `${layer}.output` },
    maps: [
      ["query", `${layer}.attention.self.query`],
      ["key", `${layer}.attention.self.key`],
      ["value", `${layer}.attention.self.value`],
      ["proj", `${layer}.attention.output.dense`],
      ["up", `${layer}.intermediate.dense`],
      ["down", `${layer}.output.dense`],
    ],
    fused: null,
    attention: `${layer}.attention.self`,
    prefixLocation: "self_prefix",
    embedding: "",
  };
}

const vitLayer = "encoder.layer.{i}";
const distilbertLayer = "transformer.layer.{i}";
const gpt2Layer = "h.{i}";
const t5Layer = "encoder.block.{i}";

/** All families. ALBERT and KWT have no library names of their own for unshared layers: ours are those of BERT. */
export const families: Readonly<Record<Family, FamilyPaths>> = {
  bert: bertLike("bert.", "BertAdapterModel"),
  roberta: bertLike("roberta.", "RobertaAdapterModel"),
  albert: bertLike("albert.", "AlbertAdapterModel"),
  kwt: bertLike("kwt.", null),
  distilbert: {
    prefix: "distilbert.",
    modelClass: "DistilBertAdapterModel",
    layer: distilbertLayer,
    places: { attention: `${distilbertLayer}.attention_adapters`, ffn: `${distilbertLayer}.output_adapters` },
    maps: [
      ["query", `${distilbertLayer}.attention.q_lin`],
      ["key", `${distilbertLayer}.attention.k_lin`],
      ["value", `${distilbertLayer}.attention.v_lin`],
      ["proj", `${distilbertLayer}.attention.out_lin`],
      ["up", `${distilbertLayer}.ffn.lin1`],
      ["down", `${distilbertLayer}.ffn.lin2`],
    ],
    fused: null,
    attention: `${distilbertLayer}.attention`,
    prefixLocation: "self",
    embedding: "",
  },
  vit: {
    prefix: "vit.",
    modelClass: "ViTAdapterModel",
    layer: vitLayer,
    places: { attention: `${vitLayer}.attention_adapters`, ffn: `${vitLayer}.output.output_adapters` },
    maps: [
      ["query", `${vitLayer}.attention.attention.query`],
      ["key", `${vitLayer}.attention.attention.key`],
      ["value", `${vitLayer}.attention.attention.value`],
      ["proj", `${vitLayer}.attention.output.dense`],
      ["up", `${vitLayer}.intermediate.dense`],
      ["down", `${vitLayer}.output.dense`],
    ],
    fused: null,
    attention: `${vitLayer}.attention.attention`,
    prefixLocation: "self_prefix",
    embedding: "",
  },
  gpt2: {
    prefix: "transformer.",
    modelClass: "GPT2AdapterModel",
    layer: gpt2Layer,
    places: { attention: `${gpt2Layer}.attention_adapters`, ffn: `${gpt2Layer}.output_adapters` },
    maps: [
      ["proj", `${gpt2Layer}.attn.c_proj`],
      ["up", `${gpt2Layer}.mlp.c_fc`],
      ["down", `${gpt2Layer}.mlp.c_proj`],
    ],
    fused: `${gpt2Layer}.attn.c_attn`,
    attention: `${gpt2Layer}.attn`,
    prefixLocation: "self_prefix",
    embedding: "",
  },
  t5: {
    prefix: "transformer.",
    modelClass: "T5AdapterModel",
    layer: t5Layer,
    places: { attention: `${t5Layer}.layer.0`, ffn: `${t5Layer}.layer.1` },
    maps: [
      ["query", `${t5Layer}.layer.0.SelfAttention.q`],
      ["key", `${t5Layer}.layer.0.SelfAttention.k`],
      ["value", `${t5Layer}.layer.0.SelfAttention.v`],
      ["proj", `${t5Layer}.layer.0.SelfAttention.o`],
      ["up", `${t5Layer}.layer.1.DenseReluDense.wi`],
      // A gated FFN is adapted at its linear half.
      ["up", `${t5Layer}.layer.1.DenseReluDense.wi_1`],
      ["down", `${t5Layer}.layer.1.DenseReluDense.wo`],
    ],
    fused: null,
    attention: `${t5Layer}.layer.0.SelfAttention`,
    prefixLocation: "encoder_prefix",
    embedding: "encoder.",
  },
};

/** `model_type` values whose hosts have the module tree of another family. */
const aliases: Readonly<Record<string, Family>> = { "xlm-roberta": "roberta", mt5: "t5" };

/** The family of a `model_type`, or undefined where its key names are not known. */
export function familyOf(modelType: string): Family | undefined {
  if (Object.hasOwn(families, modelType)) return modelType as Family;
  return Object.hasOwn(aliases, modelType) ? aliases[modelType] : undefined;
}
