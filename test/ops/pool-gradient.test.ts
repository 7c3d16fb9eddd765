/** @file `pool-gradient` on the device against float64. */

import { expect, test } from "vitest";
import { poolGradientCases } from "../../src/cases/pool-gradient.ts";
import { runtimeDim } from "../../src/ops/op.ts";
import { poolGradient } from "../../src/ops/pool-gradient.ts";
import { poolGradient as reference } from "../../src/reference/pool-gradient.ts";
import { describeOp } from "./check-case.ts";

describeOp(poolGradient, reference, poolGradientCases);

test("pool-gradient names what does not fit", () => {
  const x = { shape: [runtimeDim("rows"), 8], element: "f32" } as const;
  const segments = { shape: [4], element: "u32" } as const;
  const dy = { shape: [3, 8], element: "f32" } as const;
  expect(poolGradient.infer({ x, segments, dy }, { mode: "mean" }).dx?.shape).toEqual(x.shape);
  expect(() => poolGradient.infer({ x, segments, dy: { ...dy, shape: [4, 8] } }, { mode: "mean" })).toThrow(
    "dy axis 0 is 4, expected 3",
  );
});
