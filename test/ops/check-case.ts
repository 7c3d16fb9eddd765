/**
 * @file The tests of one op: every case of its table × every variant that this device can run, against float64. A case
 * that asks for a feature which the device lacks is a visible skip with the reason.
 */

import { describe, expect, test } from "vitest";
import type { CaseTable } from "../../src/cases/case.ts";
import { checkCase } from "../../src/cases/check.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import { caseGraph } from "../../src/cases/evaluate.ts";
import { callOf, sizeLookup } from "../../src/graph/schedule.ts";
import type { Op, OpCall } from "../../src/ops/op.ts";
import { sharedGpu } from "../gpu-fixture.ts";

/** Declares a test for every case and variant of an op. */
export function describeOp<A>(op: Op<A>, reference: Reference, table: CaseTable): void {
  describe(op.stem, () => {
    for (const opCase of table.cases.filter(({ bench }) => bench !== true)) {
      test(opCase.name, async ({ skip }) => {
        const gpu = await sharedGpu();
        const { graph, sizes } = caseGraph(op, opCase);
        const node = graph.nodes.find(({ kind }) => kind === "op");
        if (node === undefined) throw new Error("a case without an op");
        const call = callOf(node) as OpCall<A>;
        const lacking = op.lacking?.(call, gpu.traits) ?? null;
        skip(lacking !== null, lacking?.message);
        const variants = op.variants(call, gpu.traits, sizeLookup(sizes));
        expect(variants.length).toBeGreaterThan(0);
        for (const variant of variants) {
          const result = await checkCase(gpu, op, reference, opCase, variant);
          expect(
            result.ok,
            `${op.stem}.${variant} ${opCase.name}: ${result.detail}, tolerance ${result.tolerance}`,
          ).toBe(true);
        }
      });
    }
  });
}
