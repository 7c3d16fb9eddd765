/** @file The gradient rule of `activation`. */

import { test } from "vitest";
import { activation, activationCodes } from "../../src/ops/activation.ts";
import type { ActivationName } from "../../src/ops/activation.ts";
import { checkGradient } from "./check-gradient.ts";
import { numbers } from "./sources.ts";

for (const kind of Object.keys(activationCodes) as ActivationName[]) {
  test(kind, async () => {
    await checkGradient({
      sources: { x: numbers(1, [7, 5], 2) },
      build: (b, { x }) => [b.op(activation, { x }, { kind }).y as NonNullable<typeof x>],
    });
  });
}
