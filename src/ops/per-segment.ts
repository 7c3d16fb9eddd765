/** @file How kernels that give every segment one workgroup are launched, and the segment tables they read. */

import { expectDim, expectTensor, foldGrid } from "./op.ts";
import type { DeviceTraits, Dim, Launch, OpCall, SizeOf, TensorType } from "./op.ts";

/** Lanes of a workgroup are the square of the group of its two-level sums (kernels/lib/workgroup-sum.wgsl). */
const GROUPS: Readonly<Record<string, number>> = { "lanes-16": 4, "lanes-64": 8, "lanes-256": 16 };

/**
 * Variants by lanes per segment, best first. A software adapter gains nothing from more lanes than its vectors have
 * and pays for every barrier by the invocation: SwiftShader solves 512 scores in 0.24 ms with 16 lanes, 0.45 with 64,
 * 2.0 with 256, and 16,384 in the same time with 16 as with 64, which round less. A GPU wants many lanes as soon as a
 * segment may be long.
 */
export function segmentVariants(device: DeviceTraits, rows: number): readonly string[] {
  const order = device.software ? [rows <= 4096 ? 16 : 64, 16, 64, 256] : [rows <= 256 ? 64 : 256, 64, 256, 16];
  const fitting = order.filter((lanes) => lanes <= device.maxWorkgroupInvocations);
  return [...new Set(fitting)].map((lanes) => `lanes-${lanes}`);
}

/** @returns the number of segments of a table of S + 1 offsets. */
export function segmentCount(offsets: TensorType): (size: SizeOf) => number {
  return (size) => Math.max(size(offsets.shape[0] as Dim) - 1, 0);
}

/** The constants of a workgroup with the lanes of a variant. */
export function laneConstants(variant: string): { readonly GROUP: number; readonly WORKGROUP: number } {
  const group = GROUPS[variant] as number;
  return { GROUP: group, WORKGROUP: group * group };
}

/** The launch of a kernel with one workgroup per segment. */
export function segmentLaunch(
  kernel: string,
  variant: string,
  offsets: TensorType,
  uniform: Launch["uniform"] = {},
): Launch {
  const segments = segmentCount(offsets);
  return {
    kernel,
    constants: laneConstants(variant),
    uniform: { segments, ...uniform },
    grid: (size) => foldGrid(segments(size)),
  };
}

/** Checks the inputs that the selections share: scores[R], segments[S + 1], and offsets of what each may select [S + 1]. */
export function expectSelection(
  op: string,
  inputs: Readonly<Record<string, TensorType>>,
  table = "selected_segments",
): TensorType {
  const scores = expectTensor(op, "scores", inputs.scores, 1);
  const segments = expectTensor(op, "segments", inputs.segments, 1, ["u32"]);
  const selected = expectTensor(op, table, inputs[table], 1, ["u32"]);
  expectDim(op, `${table} axis 0`, selected.shape[0], segments.shape[0] as Dim);
  return scores;
}

/** The variants, with one workgroup per segment, of an op whose input `scores` has one row per token. */
export function selectionVariants(
  call: Pick<OpCall, "inputs">,
  device: DeviceTraits,
  capacity: SizeOf,
): readonly string[] {
  return segmentVariants(device, capacity(call.inputs.scores?.shape[0] as Dim));
}
