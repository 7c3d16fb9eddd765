/** @file The passes in their order. Each is a pure function from graph to graph. */

import type { Graph } from "../value.ts";
import { fuseMatmul } from "./fuse-matmul.ts";
import { fuseNorm, fuseRouterScore } from "./fuse-norm.ts";

/**
 * @returns an equal graph with fewer launches. Norms come first, because a sum that a norm can form while it reads the
 * row is worth more there than as a matmul's residual; dead code goes with every pass.
 */
export function optimize(graph: Graph): Graph {
  return fuseRouterScore(fuseMatmul(fuseNorm(graph)));
}
