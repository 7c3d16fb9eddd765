/** @file The multiply-add ceiling of a device as an op of the bench: what shares of peak are measured against. */

import type { CaseTensor, OpCase } from "../cases/case.ts";
import type { Attributes, Op } from "../ops/op.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";

/** Attributes of {@link peakFma}. */
export interface PeakAttributes extends Attributes {
  readonly workgroups: number;
  /** Multiply-adds of one chain. */
  readonly rounds: number;
}

const WORKGROUP = 64;
const CHAINS = 12; // of kernels/peak-fma.wgsl

/** -> y[invocations]: chains of independent fused multiply-adds (kernels/peak-fma.wgsl). */
export const peakFma: Op<PeakAttributes> = {
  stem: "peak-fma",
  infer: (_, { workgroups }) => ({ y: { shape: [workgroups * WORKGROUP], element: "f32" } }),
  cost: ({ attributes: { workgroups, rounds } }) => ({
    flops: 2 * CHAINS * rounds * workgroups * WORKGROUP,
    bytes: 4 * workgroups * WORKGROUP,
  }),
  variants: () => ["chains"],
  launch: ({ attributes: { workgroups, rounds } }) => [
    {
      kernel: "peak-fma",
      constants: { ROUNDS: rounds, WORKGROUP },
      uniform: { factor: 1, step: 1 },
      grid: () => [workgroups, 1, 1],
    },
  ],
};

/** The exact result: every number on the way is a whole number below 2^24. */
export function peakReference(_: unknown, attributes: Attributes): Record<string, ReferenceTensor> {
  const { workgroups, rounds } = attributes as PeakAttributes;
  const chains = (CHAINS * (CHAINS - 1)) / 2 + CHAINS * rounds;
  return { y: { shape: [workgroups * WORKGROUP], data: new Float64Array(workgroups * WORKGROUP).fill(chains) } };
}

/** Long enough to time (about 30 ms at 20 GFLOP/s), short enough to stay exact; a GPU gets enough invocations to fill it. */
export function peakCase(software: boolean): OpCase {
  const attributes = software ? { workgroups: 8, rounds: 50_000 } : { workgroups: 4096, rounds: 10_000 };
  return {
    name: "independent multiply-adds",
    attributes,
    inputs: (): Record<string, CaseTensor> => ({}),
    tolerance: 0,
  };
}
