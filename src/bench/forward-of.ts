/** @file The product that a gradient goes back through: what the rate of a gradient kernel is measured against. */

import { matrix, vector } from "../cases/case-tensors.ts";
import { normal, toleranceFor } from "../cases/case.ts";
import type { CaseTensor, OpCase } from "../cases/case.ts";

/**
 * x[R, K]·W[N, K]ᵀ + bias, whose gradients with respect to x and W are of the same R, N and K.
 * @param stem the op of the gradient; of `matmul` only the transposed form is one
 * @returns null for a case that is no gradient of a product
 */
export function forwardCase(stem: string, opCase: OpCase): OpCase | null {
  const sizes = sizesOf(stem, opCase);
  if (sizes === null) return null;
  const { rows, height, width } = sizes;
  return {
    name: `${rows}x${width}x${height}`,
    attributes: {},
    inputs: () => ({
      x: matrix(normal(rows + 2, rows * width), width),
      w: { shape: [height, width], data: normal(3, height * width, 1 / Math.sqrt(width)) },
      bias: vector(normal(5, height)),
    }),
    tolerance: toleranceFor(width),
    bench: true,
  };
}

/** R, N and K of the product. */
function sizesOf(
  stem: string,
  { attributes, inputs }: OpCase,
): { readonly rows: number; readonly height: number; readonly width: number } | null {
  const axis = (tensor: CaseTensor | undefined, index: number): number => tensor?.shape[index] as number;
  if (stem === "matmul-weight-gradient") {
    const { dy, x } = inputs();
    const height = Number(attributes.columnCount ?? axis(dy, 1));
    return { rows: axis(dy, 0), height, width: axis(x, 1) };
  }
  if (stem !== "matmul" || attributes.transposed !== true) return null;
  const { x, w, gather } = inputs();
  return { rows: axis(gather ?? x, 0), height: axis(x, 1), width: axis(w, 1) };
}
