/** @file The bottleneck adapter with weights from a bank, in float64 (MATHS §2.2). */

import { activate } from "./activation.ts";
import { axis, dot, needTensor, rowOf } from "./rows.ts";
import { forSegments } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

const NO_SLOT = 0xffffffff;
/** Activations by the code that a slot holds. */
const NAMES = ["identity", "relu", "gelu", "gelu_new", "silu", "quick_gelu", "tanh", "sigmoid", "leakyrelu"];

/** Inputs and outputs as the op `adapter`. */
export function adapter(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("adapter", inputs, "x");
  const size = adapterSize(attributes);
  const { columns } = size;
  const rows = axis(x, 0);
  const y = inputs.residual === undefined ? new Float64Array(rows * columns) : Float64Array.from(inputs.residual.data);
  forSegments("adapter", inputs, (segment, start, end) => {
    const slot = bottleneckOf(inputs, segment, size);
    if (slot === null) return;
    for (let row = start; row < end; row += 1) {
      const change = changeOf(rowOf(x, row), slot, size);
      change.forEach((value, c) => (y[row * columns + c] = (y[row * columns + c] as number) + value));
    }
  });
  return { y: { shape: [rows, columns], data: y } };
}

/** Widths of a slot, and the columns of its result that are wanted. */
export interface AdapterSize {
  readonly width: number;
  readonly maxWidth: number;
  readonly outWidth: number;
  readonly first: number;
  readonly columns: number;
}

/** @returns the widths that the attributes of `adapter` give. */
export function adapterSize(attributes: Readonly<Record<string, unknown>>): AdapterSize {
  const width = Number(attributes.width);
  const outWidth = Number(attributes.outWidth ?? width);
  const first = Number(attributes.firstColumn ?? 0);
  const columns = Number(attributes.columnCount ?? outWidth - first);
  return { width, maxWidth: Number(attributes.maxWidth), outWidth, first, columns };
}

/** What a slot holds. */
export interface Bottleneck {
  readonly slot: number;
  /** Active width. */
  readonly active: number;
  readonly activation: string;
  readonly scale: number;
  /** Elements of the slot: down [B, D], up [E, B], down bias [B], up bias [E]. */
  readonly weights: ReferenceTensor["data"];
}

/** @returns the slot that a segment names; null where it names none, or one of width 0. */
export function bottleneckOf(inputs: ReferenceTensors, segment: number, size: AdapterSize): Bottleneck | null {
  const slot = needTensor("adapter", inputs, "segment_slots").data[segment] as number;
  if (slot === NO_SLOT) return null;
  const record = needTensor("adapter", inputs, "slots").data.subarray(slot * 4, slot * 4 + 3);
  const [active, code, scaleBits] = record as unknown as [number, number, number];
  if (active === 0) return null;
  const scale = new Float32Array(Uint32Array.of(scaleBits).buffer)[0] as number;
  const bank = needTensor("adapter", inputs, "bank");
  const weights = bank.data.subarray(slot * axis(bank, 1), (slot + 1) * axis(bank, 1));
  return { slot, active: Math.min(active, size.maxWidth), activation: NAMES[code] as string, scale, weights };
}

/** @returns z = x Wdᵀ + cd of the units in use. */
export function unitsOf(x: ReferenceTensor["data"], { active, weights }: Bottleneck, size: AdapterSize): number[] {
  const { width, maxWidth, outWidth } = size;
  const bias = maxWidth * (width + outWidth);
  return Array.from({ length: active }, (_, j) => (weights[bias + j] as number) + dot(x, 0, weights, j * width, width));
}

/** scale · (act(x Wdᵀ + cd) Wuᵀ + cu), the wanted columns. */
function changeOf(x: ReferenceTensor["data"], slot: Bottleneck, size: AdapterSize): number[] {
  const { width, maxWidth, outWidth, first, columns } = size;
  const { activation, scale, weights } = slot;
  const up = maxWidth * width;
  const upBias = up + maxWidth * outWidth + maxWidth;
  const u = unitsOf(x, slot, size).map((z) => activate(activation, z));
  return Array.from({ length: columns }, (_, column) => {
    const c = first + column;
    const sum = u.reduce((total, value, j) => total + value * (weights[up + c * maxWidth + j] as number), 0);
    return scale * (sum + (weights[upBias + c] as number));
  });
}
