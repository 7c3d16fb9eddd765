/** @file Runs soft top-k and its gradient on the test device, on segments given as they are, by a named variant. */

import type { OpCase } from "../../src/cases/case.ts";
import { evaluateCase } from "../../src/cases/evaluate.ts";
import { selectionInputs } from "../../src/cases/selection.ts";
import type { ScoredSegment } from "../../src/cases/selection.ts";
import { softTopK } from "../../src/ops/soft-top-k.ts";
import type { SoftTopKAttributes } from "../../src/ops/soft-top-k.ts";
import { softTopKGradient } from "../../src/ops/soft-top-k-gradient.ts";
import { softTopKSegment } from "../../src/reference/soft-top-k.ts";
import type { SoftTopKProblem } from "../../src/reference/soft-top-k.ts";
import { sharedGpu } from "../gpu-fixture.ts";

/** Every number of lanes, and blocks so small that a segment of 64 rows is long. */
export const selectionVariants = ["lanes-16", "lanes-64", "lanes-256", "blocks-64"] as const;

/** The variant by blocks for a case: blocks of 64 rows, or of 1024 where those would be thousands. */
export function blocksFor(opCase: OpCase): string {
  return (opCase.inputs().scores?.shape[0] as number) > 10_000 ? "blocks-1024" : "blocks-64";
}

/** The weights that the device gives, of all segments one after the other. */
export async function weightsOf(
  segments: readonly ScoredSegment[],
  attributes: SoftTopKAttributes,
  variant: string,
): Promise<Float32Array> {
  const opCase: OpCase = { name: "", attributes, inputs: () => selectionInputs(segments), tolerance: 0 };
  return (await evaluateCase(await sharedGpu(), softTopK, opCase, variant)).weights?.data as Float32Array;
}

/** The gradient of the scores that the device gives for a gradient of the weights, from weights of its own. */
export async function gradientOf(
  segments: readonly ScoredSegment[],
  gradient: Float32Array,
  attributes: SoftTopKAttributes,
  variant: string,
): Promise<Float32Array> {
  const shape = [gradient.length];
  const weights = await weightsOf(segments, attributes, variant);
  const inputs: OpCase["inputs"] = () => ({
    ...selectionInputs(segments),
    weights: { shape, data: weights, rows: "rows" },
    gradient: { shape, data: gradient, rows: "rows" },
  });
  const opCase: OpCase = { name: "", attributes, inputs, tolerance: 0 };
  return (await evaluateCase(await sharedGpu(), softTopKGradient, opCase, variant)).ds?.data as Float32Array;
}

/** The float64 weights of all segments one after the other. */
export function expectedWeights(segments: readonly ScoredSegment[], problem: SoftTopKProblem): Float64Array {
  const parts = segments.map(({ scores, k }) => softTopKSegment(Float64Array.from(scores), k, problem));
  const all = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  return all;
}

/** The pieces of a packed array, one per segment. */
export function split(packed: Float32Array, segments: readonly ScoredSegment[]): Float32Array[] {
  let end = 0;
  return segments.map(({ scores }) => packed.subarray(end, (end += scores.length)));
}
