/** @file Row-major copies of tensors that are strided views of a storage. */

/** Whether strides (in elements) describe densely packed row-major elements. Extents of 1 may have any stride. */
export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const extent = shape[axis] as number;
    if (extent !== 1 && strides[axis] !== expected) return false;
    expected *= extent;
  }
  return true;
}

/** One past the highest element that a strided view touches, from its offset; 0 for an empty view. May be inexact when huge. */
export function stridedSpan(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return 0;
  return shape.reduce((span, extent, axis) => span + (extent - 1) * (strides[axis] as number), 1);
}

/**
 * Copies a strided view into row-major order. The caller has checked that the view lies inside `bytes`.
 * @param offset of the first element; offsets and strides are in elements of `elementBytes` bytes.
 */
export function gatherStrided(
  bytes: Uint8Array,
  elementBytes: number,
  offset: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const result = new Uint8Array(count * elementBytes);
  const index = shape.map(() => 0);
  let from = offset;
  for (let element = 0; element < count; element++) {
    const source = from * elementBytes;
    const target = element * elementBytes;
    for (let byte = 0; byte < elementBytes; byte++) result[target + byte] = bytes[source + byte] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (index[axis] as number) + 1;
      from += strides[axis] as number;
      index[axis] = next;
      if (next < (shape[axis] as number)) break;
      from -= next * (strides[axis] as number);
      index[axis] = 0;
    }
  }
  return result;
}
