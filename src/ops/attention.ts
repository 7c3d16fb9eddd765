/** @file Scaled dot-product attention over packed segments, by online softmax: no n × n matrix exists. */

import { EngineError } from "../errors.ts";
import { SOFTMAX_FLOPS, counted, pairCount } from "./cost.ts";
import type { ReadTable } from "./cost.ts";
import { expectDim, expectTensor, foldGrid, staticDim, trafficBytes } from "./op.ts";
import type { Attributes, Constants, Dim, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link attention}. Columns are counted in elements; all are multiples of 4. */
export interface AttentionAttributes extends Attributes {
  readonly heads: number;
  /** Width of one head: a multiple of 4, at most 256. */
  readonly headWidth: number;
  /** Factor of the scores, usually 1 / √headWidth. */
  readonly scale: number;
  /** A query sees the keys at its own original position and before. */
  readonly causal?: boolean;
  /** First column of the queries in `q`, of the keys and of the values in `kv`; 0 by default. */
  readonly qAt?: number;
  readonly kAt?: number;
  readonly vAt?: number;
}

type AttentionCall = OpCall<AttentionAttributes>;
type Types = Readonly<Record<string, TensorType>>;

const ROWS_PER_LANE = 4; // of kernels/lib/attention-tile.wgsl
const WIDEST_HEAD = 256; // the result of a tile then takes half of WGSL's 8,192 bytes of private memory
// Neighbouring lanes share keys through the cache; more lanes than a software adapter's vector has would only idle.
const PORTABLE_LANES = { software: 8, hardware: 64 };
const SUBGROUP_LANES = { software: 4, hardware: 32 };

/**
 * q[Q, *], kv[K, *] (may be one packed matrix), q_segments[S + 1] u32, kv_segments[S + 1] u32, positions?[Q] u32 (original
 * in-segment positions of selected query rows, ascending in a segment; absent: row - segment start), kv_positions?[K] u32 (the same
 * of keys), bias?[2 D + 1, heads] (relative: score += bias[clamp(kv position - q position, -D, D) + D, head])
 * -> y[Q, heads · headWidth]. Queries without any key give zeros.
 */
export const attention: Op<AttentionAttributes> = {
  stem: "attention",
  infer: (inputs, attributes) => {
    expectAttention("attention", inputs, attributes, ["kAt", "vAt"]);
    return { y: { shape: [inputs.q?.shape[0] as Dim, attributes.heads * attributes.headWidth], element: "f32" } };
  },
  // Scores and the weighted sum of the values; the softmax stands apart. Of kv the keys and the values are read.
  cost: (call, size, read) => {
    const { heads, headWidth } = call.attributes;
    const scores = heads * scorePairs(call, size, read);
    const bias = call.inputs.bias === undefined ? 0 : scores;
    return counted(
      { attention: 4 * headWidth * scores, softmax: SOFTMAX_FLOPS * scores, other: bias },
      attentionBytes(call, size, 2),
    );
  },
  variants: (_, device) => (device.subgroups ? ["subgroup", "portable"] : ["portable"]),
  launch: (call, variant, device) => {
    const quad = variant === "subgroup";
    const lanes = (quad ? SUBGROUP_LANES : PORTABLE_LANES)[device.software ? "software" : "hardware"];
    const rowsPerTile = quad ? ROWS_PER_LANE * lanes : ROWS_PER_LANE;
    const segments = segmentCount(call.inputs.q_segments as TensorType);
    const tiles = (size: SizeOf): number => Math.floor(size(queryRows(call)) / rowsPerTile) + segments(size);
    return [
      {
        kernel: quad ? "attention.subgroup" : "attention",
        constants: { ...attentionConstants(call), V_AT: call.attributes.vAt ?? 0, WORKGROUP: lanes },
        uniform: { segments },
        grid: (size) => {
          if (size(queryRows(call)) === 0) return [0, 1, 1];
          const invocations = tiles(size) * call.attributes.heads;
          return foldGrid(quad ? invocations : Math.ceil(invocations / lanes));
        },
      },
    ];
  },
};

/** Checks everything that `attention` and `attention-probabilities` share; `columns` names the used columns of `kv`. */
export function expectAttention(
  op: string,
  inputs: Types,
  attributes: AttentionAttributes,
  columns: readonly ("kAt" | "vAt")[],
): void {
  const { heads, headWidth, scale } = attributes;
  const refuse = (name: string, value: unknown, expected: string): never => {
    throw new EngineError("SHAPE", `${op}: ${name} is ${String(value)}, expected ${expected}`, {
      where: `${op}.${name}`,
    });
  };
  if (!Number.isInteger(heads) || heads < 1) refuse("heads", heads, "a whole number from 1");
  if (!Number.isInteger(headWidth) || headWidth % 4 !== 0 || headWidth < 4 || headWidth > WIDEST_HEAD) {
    refuse("headWidth", headWidth, `a multiple of 4 up to ${WIDEST_HEAD}`);
  }
  if (!Number.isFinite(scale)) refuse("scale", scale, "a finite number");
  const q = expectTensor(op, "q", inputs.q, 2);
  const kv = expectTensor(op, "kv", inputs.kv, 2);
  for (const [name, tensor, columnName] of [
    ["q", q, "qAt"],
    ...columns.map((column) => ["kv", kv, column] as const),
  ] as const) {
    const width = staticDim(op, `${name} axis 1`, tensor.shape[1]);
    const column = attributes[columnName] ?? 0;
    if (width % 4 !== 0) refuse(`${name} axis 1`, width, "a multiple of 4");
    if (!Number.isInteger(column) || column < 0 || column % 4 !== 0) refuse(columnName, column, "a multiple of 4");
    if (column + heads * headWidth > width) {
      refuse(`${name} axis 1`, width, `at least ${columnName} + heads · headWidth = ${column + heads * headWidth}`);
    }
  }
  const offsets = expectTensor(op, "q_segments", inputs.q_segments, 1, ["u32"]);
  const keyOffsets = expectTensor(op, "kv_segments", inputs.kv_segments, 1, ["u32"]);
  expectDim(op, "kv_segments axis 0", keyOffsets.shape[0], offsets.shape[0] as Dim);
  expectOptional(op, inputs, heads);
}

function expectOptional(op: string, inputs: Types, heads: number): void {
  for (const [name, rows] of [
    ["positions", "q"],
    ["kv_positions", "kv"],
  ] as const) {
    if (inputs[name] === undefined) continue;
    const { shape } = expectTensor(op, name, inputs[name], 1, ["u32"]);
    expectDim(op, `${name} axis 0`, shape[0], inputs[rows]?.shape[0] as Dim);
  }
  if (inputs.bias === undefined) return;
  const { shape } = expectTensor(op, "bias", inputs.bias, 2);
  expectDim(op, "bias axis 1", shape[1], heads);
  const distances = staticDim(op, "bias axis 0", shape[0]);
  if (distances >= 3 && distances % 2 === 1) return;
  const message = `${op}: bias axis 0 is ${distances}, expected 2 D + 1 distances with D >= 1`;
  throw new EngineError("SHAPE", message, { where: `${op}.bias axis 0` });
}

/** The constants that the kernels of both ops share. */
export function attentionConstants({ inputs, attributes }: OpCall<AttentionAttributes>): Constants {
  return {
    HEADS: attributes.heads,
    HEAD_WIDTH: attributes.headWidth,
    Q_STRIDE: inputs.q?.shape[1] as number,
    KV_STRIDE: inputs.kv?.shape[1] as number,
    Q_AT: attributes.qAt ?? 0,
    K_AT: attributes.kAt ?? 0,
    CAUSAL: attributes.causal === true,
    HAS_POSITIONS: inputs.positions !== undefined,
    HAS_KV_POSITIONS: inputs.kv_positions !== undefined,
    HAS_BIAS: inputs.bias !== undefined,
    REACH: (((inputs.bias?.shape[0] as number | undefined) ?? 3) - 1) / 2,
    SCALE: attributes.scale,
  };
}

/** The axis of the query rows. */
export function queryRows(call: Pick<OpCall, "inputs">): Dim {
  return call.inputs.q?.shape[0] as Dim;
}

/** Bytes of a call: of q the columns of the queries, of kv those of `parts` of its two halves; everything else whole. */
export function attentionBytes({ inputs, outputs, attributes }: AttentionCall, size: SizeOf, parts: 1 | 2): number {
  const { q, kv, ...others } = inputs;
  const rows = size(q?.shape[0] as Dim) + parts * size(kv?.shape[0] as Dim);
  const columns = attributes.heads * attributes.headWidth;
  return 4 * rows * columns + trafficBytes({ inputs: others, outputs, attributes }, size);
}

/**
 * Pairs of query and key that one head scores: Σ over segments of queries · keys. Pairs that the causal order masks count too, as in
 * MATHS §1.6. Where a segment table is not known, every segment counts as an average one.
 */
export function scorePairs({ inputs }: AttentionCall, size: SizeOf, read?: ReadTable): number {
  const [queries, keys] = [read?.("q_segments"), read?.("kv_segments")];
  if (queries !== undefined && keys !== undefined) return pairCount(queries, keys);
  const segments = segmentCount(inputs.q_segments as TensorType)(size);
  if (segments === 0) return 0;
  return (size(inputs.q?.shape[0] as Dim) * size(inputs.kv?.shape[0] as Dim)) / segments;
}
