/** @file Cases of `binary-cross-entropy-gradient`: those of `binary-cross-entropy`, with gradients of its losses. */

export { binaryCrossEntropyGradientCases } from "./binary-cross-entropy.ts";
