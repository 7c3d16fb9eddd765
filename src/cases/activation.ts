/** @file Cases of `activation`: every name over [-30, 30], close to zero, and beyond the range of an exponential. */

import { activationCodes } from "../ops/activation.ts";
import type { ActivationName } from "../ops/activation.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";

const names = Object.keys(activationCodes) as ActivationName[];
const RANGE = 30;
const GELU_ERROR = 1e-6; // absolute, over the whole range

/** `count` values from -limit to limit in equal steps, both ends included. */
function steps(limit: number, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => limit * ((2 * i) / (count - 1) - 1));
}

const activated = (kind: ActivationName, name: string, width: number, make: () => Float32Array): OpCase => ({
  name: `${kind} ${name}`,
  attributes: { kind },
  inputs: () => ({ x: matrix(make(), width) }),
  tolerance: toleranceFor(1),
});

function casesOf(kind: ActivationName): OpCase[] {
  return [
    {
      ...activated(kind, "over [-30, 30]", 4, () => steps(RANGE, 6004)),
      ...(kind === "gelu" ? { tolerance: GELU_ERROR / RANGE } : {}),
    },
    activated(kind, "over [-2, 2], odd width", 3, () => steps(2, 603)),
    activated(kind, "close to zero", 5, () => steps(1e-3, 205)),
    // The curves below zero alone: their own scale shows a tail that cancels.
    activated(kind, "over [-4, -1]", 1, () => steps(1.5, 301).map((value) => value - 2.5)),
    activated(kind, "of huge values", 4, () =>
      Float32Array.of(-3e38, -1e20, -1e5, -104, -88, 88, 104, 1e5, 1e20, 3e38, 0, 1e-40),
    ),
    activated(kind, "of nothing", 4, () => new Float32Array(0)),
  ];
}

/** Every activation by name. */
export const activationCases: CaseTable = {
  stem: "activation",
  cases: [
    ...names.flatMap(casesOf),
    { ...activated("gelu", "512x3072", 3072, () => normal(1, 512 * 3072)), bench: true },
    { ...activated("gelu_new", "512x3072", 3072, () => normal(1, 512 * 3072)), bench: true },
  ],
};
