/** @file The way back through a bottleneck adapter, in float64 (MATHS §2.2). */

import { activationSlope } from "./activation-gradient.ts";
import { activate } from "./activation.ts";
import { adapterSize, bottleneckOf, unitsOf } from "./adapter.ts";
import type { AdapterSize, Bottleneck } from "./adapter.ts";
import { axis, needTensor, rowOf } from "./rows.ts";
import { forSegments } from "./segments.ts";
import type { ReferenceTensor, ReferenceTensors } from "./tensor.ts";

/** Inputs and outputs as the op `adapter-gradient`. */
export function adapterGradient(
  inputs: ReferenceTensors,
  attributes: Readonly<Record<string, unknown>>,
): Record<string, ReferenceTensor> {
  const x = needTensor("adapter-gradient", inputs, "x");
  const dy = needTensor("adapter-gradient", inputs, "dy");
  const size = adapterSize(attributes);
  const rows = axis(x, 0);
  const matrix = (width: number): ReferenceTensor => ({ shape: [rows, width], data: new Float64Array(rows * width) });
  const dx = matrix(size.width);
  if (attributes.skip === true) dx.data.set(dy.data);
  const [dz, u] = [matrix(size.maxWidth), matrix(size.maxWidth)];
  const mask = { shape: [rows], data: new Float64Array(rows) };
  forSegments("adapter-gradient", inputs, (segment, start, end) => {
    const slot = bottleneckOf(inputs, segment, size);
    if (slot === null) return;
    const trained = slot.slot === attributes.slot;
    for (let row = start; row < end; row += 1) {
      const z = unitsOf(rowOf(x, row), slot, size);
      const gradient = unitGradients(z, rowOf(dy, row), slot, size);
      addBack(rowOf(dx, row), gradient, slot);
      if (!trained) continue;
      rowOf(dz, row).set(gradient);
      rowOf(u, row).set(z.map((value) => slot.scale * activate(slot.activation, value)));
      mask.data[row] = slot.scale;
    }
  });
  return { ...(attributes.input === true ? { dx } : {}), ...(attributes.slot === undefined ? {} : { dz, u, mask }) };
}

/** scale · (dy Wu) ⊙ act'(z). */
function unitGradients(
  z: readonly number[],
  dy: ReferenceTensor["data"],
  slot: Bottleneck,
  size: AdapterSize,
): number[] {
  const { width, maxWidth, first, columns } = size;
  return z.map((value, j) => {
    let sum = 0;
    for (let c = 0; c < columns; c += 1)
      sum += (dy[c] as number) * (slot.weights[maxWidth * (width + first + c) + j] as number);
    return slot.scale * sum * activationSlope(slot.activation, value);
  });
}

/** Adds dz Wd to a row of dx. */
function addBack(dx: ReferenceTensor["data"], gradient: readonly number[], { weights }: Bottleneck): void {
  gradient.forEach((value, j) => {
    for (let k = 0; k < dx.length; k += 1) dx[k] = (dx[k] as number) + value * (weights[j * dx.length + k] as number);
  });
}
