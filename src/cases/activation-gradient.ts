/** @file Cases of `activation-gradient`: every name over [-30, 30], close to zero, and beyond the range of an exponential. */

import { activationCodes } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { matrix } from "./case-tensors.ts";
import { normal } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

const names = Object.keys(activationCodes) as ActivationName[];
// Absolute error of every derivative (kernels/lib/activation-gradient.wgsl); the scale of ∂x is above 1 in all cases but the tails.
const SLOPE_ERROR = 1e-6;

/** `count` values from -limit to limit in equal steps, both ends included. */
function steps(limit: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => limit * ((2 * i) / (count - 1) - 1));
}

const gradient = (kind: ActivationName, name: string, width: number, make: () => Float32Array): OpCase => ({
  name: `${kind} ${name}`,
  attributes: { kind },
  inputs: () => {
    const x = make();
    return { x: matrix(x, width), dy: matrix(normal(x.length, x.length, 1, 0.5), width) };
  },
  tolerance: SLOPE_ERROR,
});

function casesOf(kind: ActivationName): OpCase[] {
  return [
    gradient(kind, "over [-30, 30]", 4, () => steps(30, 6004)),
    gradient(kind, "over [-2, 2], odd width", 3, () => steps(2, 603)),
    gradient(kind, "close to zero", 5, () => steps(1e-3, 205)),
    gradient(kind, "at zero", 4, () => Float32Array.of(0, -0, 1e-30, -1e-30)),
    // The curves below zero alone: their own scale shows a tail that cancels.
    gradient(kind, "over [-4, -1]", 1, () => steps(1.5, 301).map((value) => value - 2.5)),
    gradient(kind, "of huge values", 4, () =>
      Float32Array.of(-3e38, -1e20, -1e5, -104, -88, 88, 104, 1e5, 1e20, 3e38, 0, 1),
    ),
    gradient(kind, "of nothing", 4, () => new Float32Array(0)),
  ];
}

/** Every activation by name. */
export const activationGradientCases: CaseTable = {
  stem: "activation-gradient",
  cases: [
    ...names.flatMap(casesOf),
    { ...gradient("gelu", "512x3072", 3072, () => normal(1, 512 * 3072)), bench: true },
    { ...gradient("gelu_new", "512x3072", 3072, () => normal(1, 512 * 3072)), bench: true },
  ],
};
