/** @file Cases of `mean-of-gradient`: the shapes and masks of `mean-of`. */

export { meanOfGradientCases } from "./mean-of.ts";
