/** @file `position-sums` on the device against float64. */

import { expect, test } from "vitest";
import { positionSumsCases } from "../../src/cases/position-sums.ts";
import { positionSums } from "../../src/ops/position-sums.ts";
import { positionSums as reference } from "../../src/reference/position-sums.ts";
import { describeOp } from "./check-case.ts";

describeOp(positionSums, reference, positionSumsCases);

test("position-sums names what does not fit", () => {
  const x = { shape: [9, 8], element: "f32" } as const;
  const segments = { shape: [4], element: "u32" } as const;
  expect(() => positionSums.infer({ x, segments }, { positions: -1 })).toThrow("positions is -1");
  expect(() => positionSums.infer({ x, segments }, { positions: 2, positionOffset: 0.5 })).toThrow(
    "positionOffset is 0.5",
  );
});
