/** @file The plain tensor of the float64 references. */

/** A row-major tensor: float64 numbers, or u32 indices. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array | Uint32Array;
}

/** Named inputs or outputs of a reference. */
export type ReferenceTensors = Readonly<Record<string, ReferenceTensor>>;
