/**
 * @file Fresh weights of a host, drawn from a seed as Hugging Face's classes draw them: matrices and tables from N(0, σ²) with σ of
 * `initializer_range`, biases 0, norms 1; GPT-2 and T5 have rules of their own. The same seed gives the same bits, and a tensor's do not
 * depend on which others there are.
 */

import { EngineError } from "../errors.ts";
import { fromFloat32 } from "../formats/tensor.ts";
import type { StoredTensor } from "../formats/tensor.ts";
import { hasArchitecture, positive, positiveNumber } from "../hosts/config.ts";
import type { Config } from "../hosts/config.ts";
import type { Host, WeightPart, WeightSpec } from "../hosts/host.ts";
import { philox } from "../random.ts";

/** Which weights are drawn. */
export interface FreshOptions {
  /** A whole number from 0 to 2³² − 1. */
  readonly seed: number;
}

/** @throws EngineError BAD_CONFIG for what is no seed */
export function checkFresh({ seed }: FreshOptions): void {
  if (Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32) return;
  throw new EngineError("BAD_CONFIG", `loadModel: fresh.seed is ${String(seed)}, expected a whole number below 2^32`, {
    where: "fresh.seed",
  });
}

/** Tensors by which hosts tell what a checkpoint holds: of the base model alone, and of those that the ending of an architecture adds. */
interface Naming {
  /** Begins the names of the base model's tensors where a head stands beside it. */
  readonly prefix: string;
  readonly alone: readonly string[];
  readonly heads: Readonly<Record<string, readonly string[]>>;
}

const NAMES: Readonly<Record<string, Naming>> = {
  bert: {
    prefix: "bert",
    alone: ["pooler.dense.weight"],
    heads: {
      ForMaskedLM: ["cls.predictions.transform.dense.weight"],
      ForPreTraining: ["cls.predictions.transform.dense.weight"],
      ForSequenceClassification: ["classifier.weight"],
      ForTokenClassification: ["classifier.weight"],
    },
  },
  albert: {
    prefix: "albert",
    alone: [],
    heads: { ForMaskedLM: ["predictions.dense.weight"], ForSequenceClassification: ["classifier.weight"] },
  },
  roberta: {
    prefix: "roberta",
    alone: [],
    heads: {
      ForMaskedLM: ["lm_head.dense.weight"],
      ForSequenceClassification: ["classifier.dense.weight"],
      ForTokenClassification: ["classifier.weight"],
    },
  },
  distilbert: {
    prefix: "distilbert",
    alone: [],
    heads: {
      ForMaskedLM: ["vocab_transform.weight"],
      ForSequenceClassification: ["pre_classifier.weight", "classifier.weight"],
      ForTokenClassification: ["classifier.weight"],
    },
  },
  gpt2: { prefix: "transformer", alone: [], heads: { LMHeadModel: [] } },
  t5: { prefix: "", alone: [], heads: {} },
  vit: { prefix: "vit", alone: ["pooler.dense.weight"], heads: { ForImageClassification: ["classifier.weight"] } },
  kwt: { prefix: "", alone: [], heads: {} },
};

/**
 * The names by which a host is built as the configuration's `architectures` say: with that head, or the base model alone.
 * @throws EngineError UNSUPPORTED for an architecture whose head is not known
 */
export function freshNames(config: Config): ReadonlySet<string> {
  const naming = NAMES[String(config.model_type)];
  // An unknown family is refused where the host is built.
  if (naming === undefined) return new Set();
  const { prefix, alone, heads } = naming;
  const head = Object.keys(heads).find((ending) => hasArchitecture(config, ending));
  if (head !== undefined) return new Set([`${prefix}.`, ...(heads[head] as readonly string[])]);
  const other = ((config.architectures ?? []) as readonly unknown[]).find((name) => /For[A-Z]/.test(String(name)));
  if (other === undefined || prefix === "") return new Set(alone);
  const known = Object.keys(heads).join(", ");
  throw new EngineError(
    "UNSUPPORTED",
    `config.json: fresh weights of ${String(other)} are not known; known: ${known}`,
    {
      where: "architectures",
      fix: "leave architectures out for the base model, and add a head with addHead",
    },
  );
}

/** T5's deviations, times `initializer_factor`, by the ends of tensor names. */
function t5Deviation(config: Config, tensor: string): number {
  const width = positive(config, "d_model");
  const inner = positive(config, "num_heads") * positive(config, "d_kv", 64);
  const squares: readonly (readonly [RegExp, number])[] = [
    [/\.SelfAttention\.q\.weight$/, width * positive(config, "d_kv", 64)],
    [/\.SelfAttention\.(k|v|relative_attention_bias)\.weight$/, width],
    [/\.SelfAttention\.o\.weight$/, inner],
    [/\.DenseReluDense\.wi(_[01])?\.weight$/, width],
    [/\.DenseReluDense\.wo\.weight$/, positive(config, "d_ff")],
  ];
  // The word embeddings are drawn from N(0, 1).
  const square = squares.find(([pattern]) => pattern.test(tensor))?.[1] ?? 1;
  return positiveNumber(config, "initializer_factor", 1) / Math.sqrt(square);
}

function deviationOf(config: Config, tensor: string): number {
  if (config.model_type === "t5") return t5Deviation(config, tensor);
  const range = positiveNumber(config, "initializer_range", 0.02);
  // What closes a residual branch is drawn smaller, by the number of branches (Radford et al. 2019).
  const closes = config.model_type === "gpt2" && tensor.endsWith("c_proj.weight");
  return closes ? range / Math.sqrt(2 * positive(config, "n_layer")) : range;
}

/** FNV-1a of a name, for a key of its own. */
function keyOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}

/** Numbers from N(0, σ²), by Box and Muller from counted random words: number i follows from seed, name and i alone. */
function drawn(seed: number, name: string, count: number, deviation: number): Float32Array {
  const data = new Float32Array(count);
  const key = [seed, keyOf(name)] as const;
  const unit = (word: number): number => (word + 0.5) / 2 ** 32;
  for (let at = 0; at < count; at += 4) {
    const words = philox([at / 4, 0, 0, 0], key);
    for (let pair = 0; pair < 4; pair += 2) {
      const radius = deviation * Math.sqrt(-2 * Math.log(unit(words[pair] as number)));
      const angle = 2 * Math.PI * unit(words[pair + 1] as number);
      // Past the end of an array nothing is written.
      data[at + pair] = radius * Math.cos(angle);
      data[at + pair + 1] = radius * Math.sin(angle);
    }
  }
  return data;
}

/** One tensor. Its numbers follow from what it is part of, and not from its name, which has a prefix where a head stands beside it. */
function freshPart(config: Config, seed: number, { name, norm, parts }: WeightSpec, index: number): StoredTensor {
  const { tensor, shape } = parts[index] as WeightPart;
  const count = shape.reduce((product, dim) => product * dim, 1);
  const filled = (value: number): StoredTensor => fromFloat32(tensor, shape, new Float32Array(count).fill(value));
  if (/(^|\.)bias$/.test(name)) return filled(0);
  if (norm === true) return filled(config.model_type === "t5" ? positiveNumber(config, "initializer_factor", 1) : 1);
  return fromFloat32(tensor, shape, drawn(seed, `${name} ${index}`, count, deviationOf(config, tensor)));
}

/**
 * Draws the learned weights of a host, by the names of a checkpoint. What is computed and not learned is left out.
 * @throws EngineError UNSUPPORTED for positions that are not learned
 */
export function freshWeights(host: Host, config: Config, { seed }: FreshOptions): Map<string, StoredTensor> {
  if (config.model_type === "distilbert" && config.sinusoidal_pos_embds === true)
    throw new EngineError("UNSUPPORTED", "config.json: sinusoidal_pos_embds: such positions are not learned", {
      where: "sinusoidal_pos_embds",
      fix: "set it to false: positions are drawn and learned then",
    });
  const learned = host.weights.filter(({ constant }) => constant !== true);
  return new Map(
    learned.flatMap((spec) =>
      spec.parts.map(({ tensor }, index) => [tensor, freshPart(config, seed, spec, index)] as const),
    ),
  );
}

/** Names of the tensors that a host computes with and that nobody draws. */
export function constantTensors({ weights, tables = [] }: Host): readonly string[] {
  const parts = weights.filter(({ constant }) => constant === true).flatMap((spec) => spec.parts);
  return [...parts, ...tables].map(({ tensor }) => tensor);
}
