/** @file Scaled dot-product attention over packed segments, by online softmax: no n × n matrix exists. */

import { EngineError } from "../errors.ts";
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
  /** The rows of `kv` are the selected rows too (k-to-k): `positions` holds for keys as well. */
  readonly keysSelected?: boolean;
}

type Types = Readonly<Record<string, TensorType>>;

const ROWS_PER_LANE = 4; // of kernels/lib/attention-tile.wgsl
const WIDEST_HEAD = 256; // the result of a tile then takes half of WGSL's 8,192 bytes of private memory
// Neighbouring lanes share keys through the cache; more lanes than a software adapter's vector has would only idle.
const PORTABLE_LANES = { software: 8, hardware: 64 };
const SUBGROUP_LANES = { software: 4, hardware: 32 };

/**
 * q[Q, *], kv[K, *] (may be one packed matrix), q_segments[S + 1] u32, kv_segments[S + 1] u32, positions?[Q] u32 (original
 * in-segment positions of selected query rows, ascending; absent: row - segment start), bias?[heads, P, P] by original positions,
 * prefix?[2 L, heads · headWidth] (L keys, then L values, seen by every query) -> y[Q, heads · headWidth].
 * Queries without any key give zeros.
 */
export const attention: Op<AttentionAttributes> = {
  stem: "attention",
  infer: (inputs, attributes) => {
    expectAttention("attention", inputs, attributes, ["kAt", "vAt"]);
    return { y: { shape: [inputs.q?.shape[0] as Dim, attributes.heads * attributes.headWidth], element: "f32" } };
  },
  // Scores and the weighted sum of the values; the softmax is left out, as in MATHS §1.6.
  cost: (call, size) => ({
    flops: 4 * call.attributes.heads * call.attributes.headWidth * scorePairs(call, size),
    bytes: trafficBytes(call, size),
  }),
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
        uniform: { segments, tiles },
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
  const { heads, headWidth, scale, keysSelected } = attributes;
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
  if (keysSelected === true) expectDim(op, "kv axis 0 (selected keys)", kv.shape[0], q.shape[0] as Dim);
  expectOptional(op, inputs, heads, heads * headWidth);
}

function expectOptional(op: string, inputs: Types, heads: number, width: number): void {
  if (inputs.positions !== undefined) {
    const positions = expectTensor(op, "positions", inputs.positions, 1, ["u32"]);
    expectDim(op, "positions axis 0", positions.shape[0], inputs.q?.shape[0] as Dim);
  }
  if (inputs.bias !== undefined) {
    const { shape } = expectTensor(op, "bias", inputs.bias, 3);
    expectDim(op, "bias axis 0", shape[0], heads);
    expectDim(op, "bias axis 2", shape[2], staticDim(op, "bias axis 1", shape[1]));
  }
  if (inputs.prefix !== undefined) {
    const { shape } = expectTensor(op, "prefix", inputs.prefix, 2);
    const rows = staticDim(op, "prefix axis 0", shape[0]);
    if (rows % 2 !== 0) {
      const message = `${op}: prefix axis 0 is ${rows}, expected keys and as many values`;
      throw new EngineError("SHAPE", message, { where: `${op}.prefix` });
    }
    expectDim(op, "prefix axis 1", shape[1], width);
  }
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
    KEYS_SELECTED: attributes.keysSelected === true,
    HAS_BIAS: inputs.bias !== undefined,
    BIAS_SIZE: (inputs.bias?.shape[1] as number | undefined) ?? 1,
    PREFIX: prefixLength(inputs),
    SCALE: attributes.scale,
  };
}

/** Keys that the prefix adds to every segment. */
export function prefixLength(inputs: Types): number {
  return ((inputs.prefix?.shape[0] as number | undefined) ?? 0) / 2;
}

/** The axis of the query rows. */
export function queryRows(call: Pick<OpCall, "inputs">): Dim {
  return call.inputs.q?.shape[0] as Dim;
}

/**
 * Pairs of query and key that one head scores. Lengths of single segments are not known here, so every segment counts as an
 * average one: exact where they are equally long. Masked pairs count too.
 */
export function scorePairs({ inputs }: Pick<OpCall, "inputs">, size: SizeOf): number {
  const segments = segmentCount(inputs.q_segments as TensorType)(size);
  if (segments === 0) return 0;
  const keys = size(inputs.kv?.shape[0] as Dim) / segments;
  return size(inputs.q?.shape[0] as Dim) * (keys + prefixLength(inputs));
}
