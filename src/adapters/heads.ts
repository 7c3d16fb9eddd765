/**
 * @file Prediction heads: y = W_n·act(… act(W_1·x + c_1) …) + c_n on one token of every sequence, on the pooled output,
 * or on every token (MATHS §3.1). In a training step what every linear map reads loses elements; elsewhere dropout only counts in the
 * numbers of the modules.
 */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { activation } from "../ops/activation.ts";
import { matmul } from "../ops/matmul.ts";
import { pool } from "../ops/pool.ts";
import { normal } from "../random.ts";
import type { HeadConfig } from "./heads-config.ts";
import type { AdapterTensor } from "./tensors.ts";

/** The parameters of one linear map of a head, [out, in] and [out]; in a stack of them where `slot` names a run-time size. */
export interface HeadLinear {
  readonly w: Value;
  readonly bias?: Value;
  readonly slot?: string;
}

/** What a head reads besides the hidden states. */
export interface HeadParts {
  /** The host's pooled output [sequences, d], for heads with `use_pooler`. */
  readonly pooled?: Value;
  /** The token that stands for its sequence: the first, on causal hosts the last. */
  readonly pick: "first" | "last";
  /** Symbol of the number of sequences. */
  readonly count: string;
  /** The linear map of a module number: "1", "4", "7", … */
  readonly weight: (module: string) => HeadLinear;
  /** Leaves out elements of what the linear map of a module number reads; absent outside of a training step. */
  readonly leaveOut?: (x: Value, module: string) => Value;
}

interface Module {
  /** Its number among dropout, linear map and activation: the key of its tensors. */
  readonly key: string;
  readonly out: number;
  readonly bias: boolean;
  readonly last: boolean;
}

/** The linear maps of a head. Without an activation function the modules are two per layer, not three. */
function modulesOf(config: HeadConfig, width: number): Module[] {
  const stride = config.activation_function === null ? 2 : 3;
  return Array.from({ length: config.layers }, (_, layer) => {
    const last = layer === config.layers - 1;
    const key = String(layer * stride + 1);
    return { key, out: last ? config.num_labels : width, bias: !last || config.bias, last };
  });
}

/** @returns the shapes of a head's tensors by what follows `heads.{name}.`: `1.weight` [out, d], `1.bias` [out], … */
export function expectedHeadTensors(config: HeadConfig, width: number): Map<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  for (const { key, out, bias } of modulesOf(config, width)) {
    shapes.set(`${key}.weight`, [out, width]);
    if (bias) shapes.set(`${key}.bias`, [out]);
  }
  return shapes;
}

/** Standard deviation of fresh weights: the `initializer_range` of BERT, GPT-2 and ViT. */
const DEVIATION = 0.02;
/** Apart from the seeds of the next head, whatever the number of layers. */
const SEEDS_PER_HEAD = 1009;

/** @returns fresh tensors: weights N(0, 0.02²), biases 0. */
export function initialHeadTensors(config: HeadConfig, width: number, seed: number): Map<string, AdapterTensor> {
  const tensors = new Map<string, AdapterTensor>();
  let draw = seed * SEEDS_PER_HEAD;
  for (const [tail, shape] of expectedHeadTensors(config, width)) {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const data = tail.endsWith(".bias") ? new Float32Array(size) : normal(draw++, size, DEVIATION);
    tensors.set(tail, { data, shape });
  }
  return tensors;
}

/** @returns "token" for heads with a row of logits per token, "sequence" for one per sequence. */
export function headRows(config: HeadConfig): "sequence" | "token" {
  return config.head_type === "tagging" ? "token" : "sequence";
}

/**
 * Builds a head on hidden [rows, d] with its segment table.
 * @returns logits [sequences, labels], or [rows, labels] for a tagger
 * @throws EngineError UNSUPPORTED when the head asks for a pooler that the host does not have
 */
export function buildHead(
  b: GraphBuilder,
  config: HeadConfig,
  hidden: Value,
  segments: Value,
  parts: HeadParts,
): Value {
  const width = hidden.type.shape[1] as number;
  let x = headInput(b, config, hidden, segments, parts);
  for (const { key, out, last } of modulesOf(config, width)) {
    const { w, bias, slot } = parts.weight(key);
    x = parts.leaveOut?.(x, key) ?? x;
    x = b.op(matmul, { x, w, bias }, slot === undefined ? {} : { slot, slotRows: out }).y as Value;
    const kind = config.activation_function;
    if (!last && kind !== null) x = b.op(activation, { x }, { kind }).y as Value;
  }
  return x;
}

function headInput(
  b: GraphBuilder,
  config: HeadConfig,
  hidden: Value,
  segments: Value,
  { pooled, pick, count }: HeadParts,
): Value {
  if (headRows(config) === "token") return hidden;
  // The library hands its causal hosts' last token to the head, whatever use_pooler says.
  if (pick === "last" || !config.use_pooler)
    return b.op(pool, { x: hidden, segments }, { mode: pick, count }).y as Value;
  if (pooled !== undefined) return pooled;
  const message = `the ${config.head_type} head has use_pooler, and the host's checkpoint brings no pooler`;
  throw new EngineError("UNSUPPORTED", message, { where: "use_pooler", fix: "load a checkpoint that has a pooler" });
}
