/** @file Cases of `cross-entropy-gradient`: those of `cross-entropy`, with gradients of its losses. */

export { crossEntropyGradientCases } from "./cross-entropy.ts";
