/**
 * @file Soft top-k, the routing weights of CoDA (MATHS §1.3): scores[R] -> weights[R], in [0, 1], summing to about k in
 * every segment ("paper": the published iteration, not converged by design) or to k ("exact").
 */

import { EngineError } from "../errors.ts";
import { elementCount, trafficBytes } from "./op.ts";
import type { Attributes, Dim, Launch, Op, OpCall, SizeOf, TensorType } from "./op.ts";
import { expectSelection, segmentLaunch } from "./per-segment.ts";
import { blockVariants, radixLaunches, radixScratch, segmentBlocks } from "./segment-blocks.ts";
import type { SegmentBlocks } from "./segment-blocks.ts";

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
  /** The duals b that the iteration starts from: 0 (AligneR, CoDA), or minus the scores, which ignores them once (CoLT5). */
  readonly start?: "zero" | "minus-scores";
}

/** Attributes that need not be given. */
type Optional = "iterations" | "epsilonStart" | "epsilonDecay" | "start";

/** The published values of the attributes that need not be given. */
export const softTopKDefaults: Readonly<Required<Pick<SoftTopKAttributes, Optional>>> = {
  iterations: 20,
  epsilonStart: 4,
  epsilonDecay: 0.7,
  start: "zero",
};

/** @returns the attributes with the published values filled in. */
export function filledIn(attributes: SoftTopKAttributes): SoftTopKAttributes & typeof softTopKDefaults {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return { ...softTopKDefaults, ...(Object.fromEntries(given) as SoftTopKAttributes) };
}

/** FLOPs of one row in one evaluation of the operator, or of its derivative. */
export const FLOPS_PER_TERM = 5; // two subtractions, a minimum, a product, an exponential
const EXACT_STEPS = 12; // typical evaluations of the exact solver

/**
 * scores[R], segments[S + 1], selected_segments[S + 1] -> weights[R]. k of a segment is the difference of its selected
 * offsets: 0 gives weights 0; the segment's length or more gives 1. Infinite scores count as the largest finite numbers of
 * their sign, and so does what is not a number, which `top-k` reports.
 */
export const softTopK: Op<SoftTopKAttributes> = {
  stem: "soft-top-k",
  infer: (inputs, attributes) => {
    checkSoftTopK("soft-top-k", attributes);
    return { weights: { shape: expectSelection("soft-top-k", inputs).shape, element: "f32" } };
  },
  cost: (call, size) => {
    const { mode, iterations } = filledIn(call.attributes);
    const sweeps = (mode === "exact" ? EXACT_STEPS : iterations) + 1;
    return {
      flops: FLOPS_PER_TERM * sweeps * elementCount(call.outputs.weights as TensorType, size),
      bytes: trafficBytes(call, size),
    };
  },
  variants: (call, device, capacity) => blockVariants(call, device, capacity),
  launch: (call, variant, device, capacity) => {
    const { mode, epsilon } = call.attributes;
    const segments = call.inputs.segments as TensorType;
    const blocks = segmentBlocks(call, variant, device, capacity);
    if (mode === "exact") {
      if (blocks === null) return [segmentLaunch("soft-top-k.exact", variant, segments, { epsilon })];
      return exactLaunches(call, blocks, capacity);
    }
    const uniform = paperUniform(call.attributes);
    if (blocks === null) return [segmentLaunch("soft-top-k", variant, segments, uniform)];
    return [blocks.short("soft-top-k", uniform), ...paperLaunches(call.attributes, blocks)];
  },
};

/** The iteration's settings as the kernels with one workgroup per segment take them. */
export function paperUniform(attributes: SoftTopKAttributes): Launch["uniform"] {
  const { epsilon, iterations, epsilonStart, epsilonDecay, start } = filledIn(attributes);
  const minus = start === "minus-scores" ? 1 : 0;
  return { iterations, minus_scores: minus, epsilon, epsilon_start: epsilonStart, epsilon_decay: epsilonDecay };
}

/** Evaluations that the descent needs at most for n rows (kernels/lib/soft-top-k-exact.wgsl), and two for roundings. */
function mostSteps(rows: number): number {
  return 12 + Math.ceil(Math.log2(Math.max(rows, 2)));
}

function exactLaunches(call: OpCall<SoftTopKAttributes>, blocks: SegmentBlocks, capacity: SizeOf): Launch[] {
  const { epsilon } = call.attributes;
  const steps = mostSteps(capacity(call.inputs.scores?.shape[0] as Dim));
  const scratch = { ...radixScratch, partial: 2 * 2, descents: 2 * 4 };
  const sweeps = Array.from({ length: steps + 1 }, (_, step) =>
    blocks.launch("soft-top-k.exact-blocks", scratch, { step, last: step === steps ? 1 : 0, epsilon }),
  );
  return [blocks.short("soft-top-k.exact", { epsilon }), ...radixLaunches(blocks, true), ...sweeps];
}

function paperLaunches(attributes: SoftTopKAttributes, blocks: SegmentBlocks): Launch[] {
  const { epsilon, iterations, epsilonStart, epsilonDecay, start } = filledIn(attributes);
  const scratch = { partial: 2 * 2, thresholds: 2 * 4 };
  const launches: Launch[] = [];
  let before = epsilon;
  let own = Math.max(epsilonStart, epsilon);
  for (let step = 0; step <= iterations + 1; step += 1) {
    const last = step > iterations;
    const uniform = {
      step,
      last: last ? 1 : 0,
      minus_scores: step === 2 && start === "minus-scores" ? 1 : 0,
      epsilon_before: before,
      epsilon: last ? epsilon : own,
    };
    launches.push(blocks.launch("soft-top-k.blocks", scratch, uniform));
    if (step === 0) continue;
    before = own;
    own = Math.max(Math.fround(own * epsilonDecay), epsilon);
  }
  return launches;
}

/** Throws BAD_CONFIG for attributes that no soft top-k has, in the name of the op `stem`. */
export function checkSoftTopK(stem: string, attributes: SoftTopKAttributes): void {
  const { mode, epsilon, iterations, epsilonStart, epsilonDecay, start } = filledIn(attributes);
  const refuse = (name: string, value: unknown, expected: string): never => {
    throw new EngineError("BAD_CONFIG", `${stem}: ${name} is ${String(value)}, expected ${expected}`, {
      where: `${stem}.${name}`,
    });
  };
  if (mode !== "paper" && mode !== "exact") refuse("mode", mode, '"paper" or "exact"');
  if (!(epsilon > 0 && Number.isFinite(epsilon))) refuse("epsilon", epsilon, "a positive number");
  if (!Number.isInteger(iterations) || iterations < 1) refuse("iterations", iterations, "a positive integer");
  if (!Number.isFinite(epsilonStart)) refuse("epsilonStart", epsilonStart, "a number");
  if (!(epsilonDecay > 0 && epsilonDecay <= 1)) refuse("epsilonDecay", epsilonDecay, "a number above 0 and at most 1");
  if (start !== "zero" && start !== "minus-scores") refuse("start", start, '"zero" or "minus-scores"');
}
