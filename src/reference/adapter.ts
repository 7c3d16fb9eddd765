/** @file The bottleneck adapter with weights from a bank, in float64 (MATHS §2.2). */

import { activate } from "./activation.ts";
import { axis, dot, needTensor, rowOf } from "./rows.ts";
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
  const segments = needTensor("adapter", inputs, "segments").data;
  const segmentSlots = needTensor("adapter", inputs, "segment_slots").data;
  const width = axis(x, 1);
  const outWidth = Number(attributes.outWidth ?? width);
  const first = Number(attributes.firstColumn ?? 0);
  const columns = Number(attributes.columnCount ?? outWidth - first);
  const size = { maxWidth: Number(attributes.maxWidth), outWidth, first, columns };
  const rows = axis(x, 0);
  const y = inputs.residual === undefined ? new Float64Array(rows * columns) : Float64Array.from(inputs.residual.data);
  for (let s = 0; s + 1 < segments.length; s += 1) {
    const slot = segmentSlots[s] as number;
    if (slot === NO_SLOT) continue;
    for (let row = segments[s] as number; row < (segments[s + 1] as number); row += 1) {
      const change = bottleneck(rowOf(x, row), inputs, slot, size);
      change.forEach((value, c) => (y[row * columns + c] = (y[row * columns + c] as number) + value));
    }
  }
  return { y: { shape: [rows, columns], data: y } };
}

/** Widths of a slot, and the columns of its result that are wanted. */
interface Size {
  readonly maxWidth: number;
  readonly outWidth: number;
  readonly first: number;
  readonly columns: number;
}

/** scale · (act(x Wdᵀ + cd) Wuᵀ + cu), the wanted columns, or nothing where the active width is 0. */
function bottleneck(x: ReferenceTensor["data"], inputs: ReferenceTensors, slot: number, size: Size): number[] {
  const { maxWidth, outWidth, first, columns } = size;
  const slots = needTensor("adapter", inputs, "slots").data;
  const bank = needTensor("adapter", inputs, "bank");
  const [active, code, scaleBits] = slots.subarray(slot * 4, slot * 4 + 3);
  if (active === 0) return [];
  const scale = new Float32Array(Uint32Array.of(scaleBits as number).buffer)[0] as number;
  const name = NAMES[code as number] as string;
  const width = x.length;
  const weights = bank.data.subarray(slot * axis(bank, 1), (slot + 1) * axis(bank, 1));
  const [up, downBias] = [maxWidth * width, maxWidth * (width + outWidth)];
  const upBias = downBias + maxWidth;
  const u: number[] = [];
  for (let j = 0; j < (active as number); j += 1) {
    u.push(activate(name, (weights[downBias + j] as number) + dot(x, 0, weights, j * width, width)));
  }
  return Array.from({ length: columns }, (_, column) => {
    const c = first + column;
    const sum = u.reduce((total, value, j) => total + value * (weights[up + c * maxWidth + j] as number), 0);
    return scale * (sum + (weights[upBias + c] as number));
  });
}
