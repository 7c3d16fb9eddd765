/** @file Tensors of an adapter by canonical name, and the few operations on matrices that packing needs. */

import { EngineError } from "../errors.ts";

/** One tensor, row-major f32. */
export interface AdapterTensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Tensors by canonical name, for example `layers.3.ffn.adapter_down.0.weight` [b, d]. */
export type AdapterTensors = ReadonlyMap<string, AdapterTensor>;

/** @returns the tensor of that name; the adapter was checked to hold it. */
export function need(tensors: AdapterTensors, name: string): AdapterTensor {
  const tensor = tensors.get(name);
  if (tensor !== undefined) return tensor;
  throw new EngineError("BAD_WEIGHTS", `the adapter has no tensor ${name}`, { where: name });
}

/** @returns everything that is missing, wrongly shaped, not finite or unexpected among tensors that shall have these shapes. */
export function misfits(tensors: AdapterTensors, shapes: ReadonlyMap<string, readonly number[]>): string[] {
  const problems: string[] = [];
  for (const [name, shape] of shapes) {
    const tensor = tensors.get(name);
    if (tensor === undefined) problems.push(`missing: ${name} [${shape.join(", ")}]`);
    else if (tensor.shape.join() !== shape.join())
      problems.push(`wrong shape: ${name} is [${tensor.shape.join(", ")}], expected [${shape.join(", ")}]`);
    else if (!tensor.data.every(Number.isFinite)) problems.push(`not finite: ${name}`);
  }
  for (const name of tensors.keys()) if (!shapes.has(name)) problems.push(`unexpected: ${name}`);
  return problems;
}

/** @throws EngineError BAD_WEIGHTS listing problems, if there are any: "adapter a does not fit: 2 problems …" */
export function refuseMisfits(what: string, problems: readonly string[], detail: { where: string; fix: string }): void {
  if (problems.length === 0) return;
  const count = `${problems.length} problem${problems.length > 1 ? "s" : ""}`;
  throw new EngineError("BAD_WEIGHTS", `${what}: ${count}\n  ${problems.join("\n  ")}`, detail);
}

/** [rows, columns] to [columns, rows]. */
export function transpose(data: ArrayLike<number>, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1)
      turned[column * rows + row] = data[row * columns + column] as number;
  }
  return turned;
}

/** a [m, k] · b [k, n] with sums in float64. */
export function multiply(a: ArrayLike<number>, b: ArrayLike<number>, m: number, k: number, n: number): Float64Array {
  const product = new Float64Array(m * n);
  for (let row = 0; row < m; row += 1) {
    for (let inner = 0; inner < k; inner += 1) {
      const factor = a[row * k + inner] as number;
      if (factor === 0) continue;
      for (let column = 0; column < n; column += 1)
        product[row * n + column] = (product[row * n + column] as number) + factor * (b[inner * n + column] as number);
    }
  }
  return product;
}
