/** @file Rows above a threshold: how many there are, the GPU finds out, up to a capacity. */

import { EngineError } from "../../errors.ts";
import type { Value } from "../../graph/value.ts";
import { thresholdRows } from "../../ops/threshold-rows.ts";
import type { Router } from "../router.ts";
import { selectionDim } from "../selection.ts";
import { gatedBy, sigmoid } from "./values.ts";

/**
 * Selects the rows with s = Xn w above `threshold`, at most ceil(n / r) of a sequence: of more, the largest. λ = σ(s). A sequence may
 * select nothing. The heavy path is dispatched for as many rows as there are, without asking the host.
 */
export function threshold({ threshold: above = 0 }: { readonly threshold?: number } = {}): Router {
  if (!Number.isFinite(above)) {
    const message = `routers.threshold: threshold is ${above}, expected a finite number`;
    throw new EngineError("BAD_CONFIG", message, { where: "coda.router.threshold" });
  }
  return {
    name: "threshold",
    settings: { threshold: above },
    vectors: ["score"],
    score: gatedBy(sigmoid),
    rule: ({ layer, reduction }) => ({ kind: "counted", reduction, layer }),
    choose: ({ b, segments, selectedSegments, prefix, rule }, { scores }) => {
      const inputs = { scores, segments, capacity_segments: selectedSegments };
      const count = selectionDim({ prefix, rule }).symbol;
      const chosen = b.op(thresholdRows, inputs, { threshold: above, count });
      return {
        rows: chosen.rows as Value,
        positions: chosen.positions as Value,
        segments: chosen.selected_segments as Value,
        invalid: chosen.invalid as Value,
      };
    },
  };
}
