/** @file The gradient of attention: scores are computed again, no n × n matrix exists (FlashAttention-2, Dao 2023). */

import { EngineError } from "../errors.ts";
import { attentionBytes, attentionConstants, expectAttention, queryRows, scorePairs } from "./attention.ts";
import type { AttentionAttributes } from "./attention.ts";
import { SOFTMAX_FLOPS, counted } from "./cost.ts";
import { expectDim, expectTensor, foldGrid, formatShape } from "./op.ts";
import type { Constants, DeviceTraits, Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { segmentCount } from "./per-segment.ts";

/** Attributes of {@link attentionGradient}: those of `attention`, and which gradients are wanted. At least one is. */
export interface AttentionGradientAttributes extends AttentionAttributes {
  /** q and kv are one value: `dq` is the gradient of all of it, and there is no `dkv`. */
  readonly packed?: boolean;
  readonly wantsQ?: boolean;
  readonly wantsKv?: boolean;
  readonly wantsBias?: boolean;
}

type GradientCall = OpCall<AttentionGradientAttributes>;

const STEM = "attention-gradient";
const ROWS_PER_LANE = 4; // of kernels/lib/attention-gradient-queries.wgsl and -keys.wgsl
const STATISTICS = 4; // numbers of a query row and head
const LANES = 64; // of the launches that go over single elements
const PORTABLE_LANES = { software: 8, hardware: 64 };
const SUBGROUP_LANES = { software: 4, hardware: 32 };

/**
 * The inputs of `attention`, y[Q, heads · headWidth] as it gave it and dy of the same shape
 * -> dq, dkv and dbias, of the shapes of q, kv and bias, as far as they are wanted. With p = softmax(scale · q kᵀ + bias):
 * ds = p ⊙ (dy vᵀ − dy · y), dq = scale · ds k, dk = scale · dsᵀ q, dv = pᵀ dy, dbias = Σ ds by distance and head. Columns
 * of q and kv that attention does not read have gradient 0, as have queries without keys and keys without queries.
 * @throws EngineError UNSUPPORTED where queries, keys and values share columns of one value
 */
export const attentionGradient: Op<AttentionGradientAttributes> = {
  stem: STEM,
  infer: (inputs, attributes) => {
    expectAttention(STEM, inputs, attributes, ["kAt", "vAt"]);
    const { heads, headWidth } = attributes;
    const q = inputs.q as TensorType;
    for (const name of ["y", "dy"]) {
      const { shape } = expectTensor(STEM, name, inputs[name], 2);
      expectDim(STEM, `${name} axis 0`, shape[0], q.shape[0] as Dim);
      expectDim(STEM, `${name} axis 1`, shape[1], heads * headWidth);
    }
    expectColumns(inputs, attributes);
    const { packed, wantsQ, wantsKv, wantsBias } = attributes;
    return {
      ...(wantsQ === true || packed === true ? { dq: q } : {}),
      ...(wantsKv === true && packed !== true ? { dkv: inputs.kv as TensorType } : {}),
      ...(wantsBias === true ? { dbias: inputs.bias as TensorType } : {}),
    };
  },
  cost: (call, size, read) => {
    const { inputs, attributes } = call;
    const { heads, headWidth } = attributes;
    const scores = heads * scorePairs(call, size, read);
    const { products, softmaxes } = work(call);
    const { wantsBias = false } = attributes;
    const biased = inputs.bias === undefined ? 0 : softmaxes.length * scores;
    const outputs = 2 * headWidth * heads * size(queryRows(call)); // dy · y
    return counted(
      {
        attention: 2 * headWidth * products * scores,
        softmax: softmaxes.reduce((sum, flops) => sum + flops, 0) * scores,
        other: biased + outputs + (wantsBias ? scores : 0),
      },
      attentionBytes(call, size, 2),
    );
  },
  variants: (_, device) => (device.subgroups ? ["subgroup", "portable"] : ["portable"]),
  launch: (call, variant, device, capacity) => {
    const plan = planOf(call, variant, device);
    const scratch = scratchOf(call, plan, capacity);
    const { keys, bias } = wanted(call);
    return [
      prepare(call, scratch),
      queryLaunch(call, plan, scratch),
      ...(keys ? [keyLaunch(call, plan, scratch)] : []),
      ...(bias ? [biasLaunch(call, plan, scratch)] : []),
    ];
  },
};

/** Refuses gradients of nothing, and columns that would need the sum of two gradients. */
function expectColumns(inputs: GradientCall["inputs"], attributes: AttentionGradientAttributes): void {
  const { heads, headWidth, qAt = 0, kAt = 0, vAt = 0, packed, wantsQ, wantsKv, wantsBias } = attributes;
  if (packed === true) {
    const [q, kv] = [inputs.q, inputs.kv].map((type) => formatShape((type as TensorType).shape));
    if (q !== kv) {
      const message = `${STEM}: kv is ${kv}, expected ${q}, since both are one value`;
      throw new EngineError("SHAPE", message, { where: `${STEM}.kv` });
    }
  }
  if (wantsBias === true) expectTensor(STEM, "bias", inputs.bias, 2);
  if (packed !== true && wantsQ !== true && wantsKv !== true && wantsBias !== true)
    throw new EngineError("SHAPE", `${STEM}: no gradient is wanted`, { where: STEM });
  const starts = packed === true ? [qAt, kAt, vAt] : wantsKv === true ? [kAt, vAt] : [];
  const width = heads * headWidth;
  starts.forEach((start, i) => {
    const other = starts.slice(i + 1).find((at) => Math.abs(at - start) < width);
    if (other === undefined) return;
    const message = `${STEM}: columns from ${start} and from ${other} on overlap: their gradient is not built`;
    throw new EngineError("UNSUPPORTED", message, { where: `${STEM}.kv` });
  });
}

/** Which launches are needed beyond the statistics. */
function wanted({ attributes }: GradientCall): { queries: boolean; keys: boolean; bias: boolean } {
  const { packed = false, wantsQ = false, wantsKv = false, wantsBias = false } = attributes;
  return { queries: packed || wantsQ, keys: packed || wantsKv, bias: wantsBias };
}

/**
 * Products of all pairs with a head's width: scores for the statistics; scores, dy vᵀ and ds k for the queries; scores,
 * dy vᵀ, pᵀ dy and dsᵀ q for the keys. And the FLOPs per pair of every time that the softmax is computed: the whole one, then
 * difference, exponential, factor, difference, product.
 */
function work(call: GradientCall): { products: number; softmaxes: readonly number[] } {
  const { queries, keys, bias } = wanted(call);
  const passes = [queries || bias ? (queries ? 3 : 2) : 0, keys ? 4 : 0].filter((products) => products > 0);
  return {
    products: passes.reduce((sum, products) => sum + products, 1),
    softmaxes: [SOFTMAX_FLOPS, ...passes.map(() => SOFTMAX_FLOPS + 1)],
  };
}

/** How tiles of rows are laid over workgroups. */
interface Tiling {
  readonly quad: boolean;
  readonly lanes: number;
  /** Rows of a tile. */
  readonly rows: number;
  readonly segments: (size: SizeOf) => number;
}

function planOf(call: GradientCall, variant: string, device: DeviceTraits): Tiling {
  const quad = variant === "subgroup";
  const lanes = (quad ? SUBGROUP_LANES : PORTABLE_LANES)[device.software ? "software" : "hardware"];
  const rows = quad ? ROWS_PER_LANE * lanes : ROWS_PER_LANE;
  return { quad, lanes, rows, segments: segmentCount(call.inputs.q_segments as TensorType) };
}

function tileCount({ rows, segments }: Tiling, axis: Dim, size: SizeOf): number {
  return Math.floor(size(axis) / rows) + segments(size);
}

/** A grid over all tiles of all heads. */
function tileGrid(call: GradientCall, tiling: Tiling, axis: Dim): Launch["grid"] {
  return (size) => {
    if (size(axis) === 0) return [0, 1, 1];
    const invocations = tileCount(tiling, axis, size) * call.attributes.heads;
    return foldGrid(tiling.quad ? invocations : Math.ceil(invocations / tiling.lanes));
  };
}

function keyRows(call: GradientCall): Dim {
  return call.inputs.kv?.shape[0] as Dim;
}

function distancesOf({ inputs }: GradientCall): number {
  return inputs.bias?.shape[0] as number;
}

type Scratch = Readonly<Record<"tables" | "statistics" | "dbias_parts", number>>;

function scratchOf(call: GradientCall, tiling: Tiling, capacity: SizeOf): Scratch {
  const queries = capacity(queryRows(call));
  const { heads } = call.attributes;
  const parts = tileCount(tiling, queryRows(call), capacity) * (tiling.quad ? tiling.lanes : 1);
  return {
    tables: 2 * (tiling.segments(capacity) + 1) + queries + capacity(keyRows(call)),
    statistics: STATISTICS * queries * heads,
    dbias_parts: wanted(call).bias ? parts * heads * distancesOf(call) : 0,
  };
}

function prepare(call: GradientCall, { tables, statistics }: Scratch): Launch {
  const { heads, headWidth } = call.attributes;
  const segments = segmentCount(call.inputs.q_segments as TensorType);
  return {
    kernel: STEM,
    constants: {
      HEADS: heads,
      HEAD_WIDTH: headWidth,
      HAS_POSITIONS: call.inputs.positions !== undefined,
      HAS_KV_POSITIONS: call.inputs.kv_positions !== undefined,
      WORKGROUP: LANES,
    },
    uniform: { segments, queries: queryRows(call), keys: keyRows(call) },
    scratch: { tables, statistics },
    grid: (size) => {
      const most = Math.max(heads * size(queryRows(call)), size(keyRows(call)), segments(size) + 1);
      return foldGrid(Math.ceil(most / LANES));
    },
  };
}

function rowConstants(call: GradientCall, { lanes }: Tiling): Constants {
  const { vAt = 0, packed = false } = call.attributes;
  return { ...attentionConstants(call), V_AT: vAt, PACKED: packed, WORKGROUP: lanes };
}

function queryLaunch(call: GradientCall, tiling: Tiling, scratch: Scratch): Launch {
  const { queries, bias } = wanted(call);
  const { tables, statistics, dbias_parts } = scratch;
  return {
    kernel: tiling.quad ? `${STEM}.queries-subgroup` : `${STEM}.queries`,
    constants: { ...rowConstants(call, tiling), WANTS_QUERIES: queries, WANTS_BIAS: bias },
    uniform: { segments: tiling.segments, queries: queryRows(call) },
    // What is not wanted has a place of its own: no buffer may be bound to two variables that are written.
    scratch: { tables, statistics, dbias_parts, ...(queries ? {} : { dq: 0 }) },
    grid: tileGrid(call, tiling, queryRows(call)),
  };
}

function keyLaunch(call: GradientCall, tiling: Tiling, { tables, statistics }: Scratch): Launch {
  return {
    kernel: tiling.quad ? `${STEM}.keys-subgroup` : `${STEM}.keys`,
    constants: rowConstants(call, tiling),
    uniform: { segments: tiling.segments, queries: queryRows(call) },
    scratch: { tables, statistics },
    grid: tileGrid(call, tiling, keyRows(call)),
  };
}

function biasLaunch(call: GradientCall, tiling: Tiling, { tables, dbias_parts }: Scratch): Launch {
  const { heads } = call.attributes;
  const distances = distancesOf(call);
  return {
    kernel: `${STEM}.bias`,
    constants: {
      HEADS: heads,
      DISTANCES: distances,
      TILE: tiling.rows,
      LANES: tiling.quad ? tiling.lanes : 1,
      WORKGROUP: LANES,
    },
    uniform: { segments: tiling.segments },
    scratch: { tables, dbias_parts },
    grid: () => [Math.ceil((heads * distances) / LANES), 1, 1],
  };
}
