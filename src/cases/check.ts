/** @file Comparing one case on a device with its float64 reference, and saying where it went wrong. */

import { evaluateCase } from "./evaluate.ts";
import type { Reference } from "../graph/interpret.ts";
import { roundF16 } from "../half.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Op } from "../ops/op.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import type { CaseTensor, OpCase } from "./case.ts";

/** How far an output is from its reference. */
export interface Comparison {
  readonly ok: boolean;
  /** Largest difference as a multiple of the scale; Infinity where finite and non-finite values disagree. */
  readonly error: number;
  readonly tolerance: number;
  /** Output and place of the worst element, both values, normalised mean square error. */
  readonly detail: string;
}

/** @returns the inputs of a case as the references take them; f16 values are rounded first. */
export function referenceInputs(inputs: Readonly<Record<string, CaseTensor>>): Record<string, ReferenceTensor> {
  return Object.fromEntries(Object.entries(inputs).map(([role, tensor]) => [role, referenceTensor(tensor)]));
}

function referenceTensor({ shape, data, f16 }: CaseTensor): ReferenceTensor {
  if (data instanceof Uint32Array) return { shape, data };
  return { shape, data: Float64Array.from(f16 === true ? roundF16(data) : data) };
}

/** Runs one variant of a case on the device and compares every output with the reference. */
export async function checkCase<A>(
  gpu: Gpu,
  op: Op<A>,
  reference: Reference,
  opCase: OpCase,
  variant?: string,
): Promise<Comparison> {
  const actual = await evaluateCase(gpu, op, opCase, variant);
  const expected = reference(referenceInputs(opCase.inputs()), opCase.attributes, opCase.sizes ?? {});
  let worst: Comparison = { ok: true, error: 0, tolerance: opCase.tolerance, detail: "equal" };
  for (const [name, output] of Object.entries(actual)) {
    const tensor = expected[name];
    if (tensor === undefined)
      return { ok: false, error: Infinity, tolerance: 0, detail: `the reference has no output ${name}` };
    const exact = opCase.exact?.includes(name) === true;
    const found = compare(name, output.data, tensor.data, exact ? 0 : opCase.tolerance);
    if (!found.ok || found.error > worst.error) worst = worst.ok ? found : worst;
  }
  return worst;
}

/** Compares two arrays: error = largest |difference| / largest finite |expected|, and non-finite values must be equal. */
export function compare(
  name: string,
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
): Comparison {
  if (actual.length !== expected.length) {
    return {
      ok: false,
      error: Infinity,
      tolerance,
      detail: `${name} has ${actual.length} elements, expected ${expected.length}`,
    };
  }
  let scale = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const magnitude = Math.abs(expected[i] as number);
    if (Number.isFinite(magnitude)) scale = Math.max(scale, magnitude);
  }
  // Below the smallest normal number a device may flush to zero, so nothing is measured relative to less.
  scale = Math.max(scale, 2 ** -126);
  let error = 0;
  let at = 0;
  let squares = 0;
  let power = 0;
  for (let i = 0; i < expected.length; i += 1) {
    const difference = distance(actual[i] as number, expected[i] as number);
    if (Number.isFinite(difference)) squares += difference ** 2;
    if (Number.isFinite(expected[i] as number)) power += (expected[i] as number) ** 2;
    if (difference / scale <= error) continue;
    error = difference / scale;
    at = i;
  }
  const nmse = power === 0 ? squares : squares / power;
  const detail = `${name}[${at}] = ${actual[at]}, expected ${expected[at]} (error ${error.toExponential(2)}, NMSE ${nmse.toExponential(2)})`;
  return { ok: error <= tolerance, error, tolerance, detail };
}

function distance(actual: number, expected: number): number {
  if (Number.isFinite(actual) && Number.isFinite(expected)) return Math.abs(actual - expected);
  return Object.is(actual, expected) ? 0 : Infinity;
}
