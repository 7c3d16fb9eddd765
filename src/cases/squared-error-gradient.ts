/** @file Cases of `squared-error-gradient`: those of `squared-error`, with gradients of its losses. */

export { squaredErrorGradientCases } from "./squared-error.ts";
