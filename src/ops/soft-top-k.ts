/**
 * @file Soft top-k, the routing weights of CoDA (MATHS §1.3): scores[R] -> weights[R], in [0, 1], summing to about k in
 * every segment ("paper": the published iteration, not converged by design) or to k ("exact").
 */

import { EngineError } from "../errors.ts";
import { elementCount, trafficBytes } from "./op.ts";
import type { Attributes, Op, TensorType } from "./op.ts";
import { expectSelection, segmentLaunch, selectionVariants } from "./per-segment.ts";

/** Attributes of {@link softTopK}. */
export interface SoftTopKAttributes extends Attributes {
  /** `paper`: T iterations with ε-scaling. `exact`: the optimum; the attributes beside `epsilon` are not used. */
  readonly mode: "paper" | "exact";
  /** Final ε > 0. */
  readonly epsilon: number;
  /** T >= 1; 20 in the paper. */
  readonly iterations?: number;
  /** First ε of the iteration; constant ε where it is not above `epsilon`. 4 in the paper. */
  readonly epsilonStart?: number;
  /** Factor of ε after every iteration, in (0, 1]. 0.7 in the paper. */
  readonly epsilonDecay?: number;
}

/** The attributes with the published values filled in. */
export const softTopKDefaults: Readonly<{ iterations: number; epsilonStart: number; epsilonDecay: number }> = {
  iterations: 20,
  epsilonStart: 4,
  epsilonDecay: 0.7,
};

const FLOPS_PER_TERM = 5; // two subtractions, a minimum, a product, an exponential
const EXACT_STEPS = 12; // typical evaluations of the exact solver

/**
 * scores[R], segments[S + 1], selected_segments[S + 1] -> weights[R]. k of a segment is the difference of its selected
 * offsets: 0 gives weights 0; the segment's length or more gives 1.
 */
export const softTopK: Op<SoftTopKAttributes> = {
  stem: "soft-top-k",
  infer: (inputs, attributes) => {
    checkAttributes(attributes);
    return { weights: { shape: expectSelection("soft-top-k", inputs).shape, element: "f32" } };
  },
  cost: (call, size) => {
    const { mode, iterations } = { ...softTopKDefaults, ...call.attributes };
    const sweeps = (mode === "exact" ? EXACT_STEPS : iterations) + 1;
    return {
      flops: FLOPS_PER_TERM * sweeps * elementCount(call.outputs.weights as TensorType, size),
      bytes: trafficBytes(call, size),
    };
  },
  variants: (call, device, capacity) => selectionVariants(call, device, capacity),
  launch: ({ inputs, attributes }, variant) => {
    const { mode, epsilon, iterations, epsilonStart, epsilonDecay } = { ...softTopKDefaults, ...attributes };
    const segments = inputs.segments as TensorType;
    if (mode === "exact") return [segmentLaunch("soft-top-k.exact", variant, segments, { epsilon })];
    const uniform = { iterations, epsilon, epsilon_start: epsilonStart, epsilon_decay: epsilonDecay };
    return [segmentLaunch("soft-top-k", variant, segments, uniform)];
  },
};

function checkAttributes(attributes: SoftTopKAttributes): void {
  const { mode, epsilon, iterations, epsilonStart, epsilonDecay } = { ...softTopKDefaults, ...attributes };
  const refuse = (name: string, value: unknown, expected: string): never => {
    throw new EngineError("BAD_CONFIG", `soft-top-k: ${name} is ${String(value)}, expected ${expected}`, {
      where: `soft-top-k.${name}`,
    });
  };
  if (mode !== "paper" && mode !== "exact") refuse("mode", mode, '"paper" or "exact"');
  if (!(epsilon > 0 && Number.isFinite(epsilon))) refuse("epsilon", epsilon, "a positive number");
  if (!Number.isInteger(iterations) || iterations < 1) refuse("iterations", iterations, "a positive integer");
  if (!Number.isFinite(epsilonStart)) refuse("epsilonStart", epsilonStart, "a number");
  if (!(epsilonDecay > 0 && epsilonDecay <= 1)) refuse("epsilonDecay", epsilonDecay, "a number above 0 and at most 1");
}
