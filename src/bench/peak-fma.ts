/** @file The multiply-add ceiling of a device as an op of the bench: what shares of peak are measured against. */

import type { CaseTensor, OpCase } from "../cases/case.ts";
import type { Attributes, Op } from "../ops/op.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";

/** Attributes of {@link peakFma}. */
export interface PeakAttributes extends Attributes {
  readonly workgroups: number;
  /** Multiply-adds of one chain: a multiple of 16. */
  readonly rounds: number;
}

const WORKGROUP = 64;
const CHAINS = 12; // of kernels/peak-fma.wgsl

/**
 * -> y[invocations]: chains of independent fused multiply-adds, as a short loop (kernels/peak-fma.wgsl) and with 16 steps a turn
 * written out (kernels/peak-fma.straight.wgsl). On SwiftShader the two differ several times over: the first is what loops
 * of multiply-adds reach there, the second what the processor could do.
 */
export const peakFma: Op<PeakAttributes> = {
  stem: "peak-fma",
  infer: (_, { workgroups }) => ({ y: { shape: [workgroups * WORKGROUP], element: "f32" } }),
  cost: ({ attributes: { workgroups, rounds } }) => ({
    flops: 2 * CHAINS * rounds * workgroups * WORKGROUP,
    bytes: 4 * workgroups * WORKGROUP,
  }),
  variants: () => ["loop", "straight"],
  launch: ({ attributes: { workgroups, rounds } }, variant) => [
    {
      kernel: variant === "straight" ? "peak-fma.straight" : "peak-fma",
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

/**
 * As much work as the matmul that it is the measure of (2.4 GFLOP), so that other load on the machine falls on both alike; in
 * enough workgroups to keep every core busy, and few enough rounds to stay exact. A GPU gets enough invocations to fill it.
 */
export function peakCase(software: boolean): OpCase {
  const attributes = software ? { workgroups: 64, rounds: 25_008 } : { workgroups: 4096, rounds: 10_000 };
  return {
    name: "independent multiply-adds",
    attributes,
    inputs: (): Record<string, CaseTensor> => ({}),
    tolerance: 0,
  };
}
