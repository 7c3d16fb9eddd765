/**
 * @file Selections by several workgroups a segment: segments of many rows are cut into blocks (kernels/lib/segment-block.wgsl) and
 * every pass over them is a launch; shorter ones keep their one workgroup, in one more launch before.
 */

import { foldGrid } from "./op.ts";
import type { DeviceTraits, Dim, Launch, OpCall, SizeOf, TensorType } from "./op.ts";
import { laneConstants, segmentCount, segmentLaunch, segmentVariants, selectionVariants } from "./per-segment.ts";

/** Most rows of a capacity for which one workgroup per segment comes first. */
const ONE_LAUNCH_ROWS = 65_536;
/** Rows of a block: few enough that 65,537 rows fill 16 workgroups, many enough that the 256 counters of a histogram pay. */
const BLOCK_ROWS = 4096;
const RADIX_PASSES = 4;
const RADIX_BINS = 256;
const PREFIX = "blocks-";

/** How the launches of one variant are made. */
export interface SegmentBlocks {
  /** The kernel with one workgroup per segment, for the segments that have no block. */
  readonly short: (kernel: string, uniform?: Launch["uniform"]) => Launch;
  /** A launch with one workgroup per block; `scratch` in elements per block. */
  readonly launch: (
    kernel: string,
    scratch: Readonly<Record<string, number>>,
    uniform?: Launch["uniform"],
    constants?: Launch["constants"],
  ) => Launch;
  /** The launch that sets the histograms of {@link radixLaunches} to zero. */
  readonly clear: () => Launch;
}

/** Scratch of a radix select by blocks, in elements per block: 4 histograms, and vectors of 4 after each pass. */
export const radixScratch: Readonly<Record<string, number>> = {
  histograms: RADIX_PASSES * RADIX_BINS,
  selections: 4 * (RADIX_PASSES + 1),
};

/** @returns variants of a selection: of more than 65,536 rows by blocks before those with one workgroup per segment. */
export function blockVariants(call: Pick<OpCall, "inputs">, device: DeviceTraits, capacity: SizeOf): readonly string[] {
  const byBlocks = capacity(call.inputs.scores?.shape[0] as Dim) > ONE_LAUNCH_ROWS ? [`${PREFIX}${BLOCK_ROWS}`] : [];
  return [...byBlocks, ...selectionVariants(call, device, capacity)];
}

/** @returns how a variant `blocks-<rows of a block>` launches, or null for any other. */
export function segmentBlocks(
  { inputs }: Pick<OpCall, "inputs">,
  variant: string,
  device: DeviceTraits,
  capacity: SizeOf,
): SegmentBlocks | null {
  if (!variant.startsWith(PREFIX)) return null;
  const rows = Number(variant.slice(PREFIX.length));
  const offsets = inputs.segments as TensorType;
  const blocks = (size: SizeOf): number => Math.floor(size(inputs.scores?.shape[0] as Dim) / rows);
  const most = Math.max(blocks(capacity), 1);
  const lanes = segmentVariants(device, rows)[0] as string;
  const scaled = (scratch: Readonly<Record<string, number>>): Record<string, number> =>
    Object.fromEntries(Object.entries(scratch).map(([name, elements]) => [name, elements * most]));
  const grid: Launch["grid"] = (size) => foldGrid(blocks(size));
  return {
    short: (kernel, uniform) => {
      const launch = segmentLaunch(kernel, lanes, offsets, uniform);
      return { ...launch, constants: { ...launch.constants, BLOCK: rows } };
    },
    launch: (kernel, scratch, uniform, constants) => ({
      kernel,
      constants: { BLOCK: rows, ...laneConstants(lanes), ...constants },
      uniform: { segments: segmentCount(offsets), blocks, ...uniform },
      grid,
      scratch: scaled(scratch),
    }),
    clear: () => ({
      kernel: "top-k.clear",
      constants: { WORKGROUP: laneConstants(lanes).WORKGROUP },
      uniform: { blocks },
      grid,
      scratch: scaled({ histograms: radixScratch.histograms as number }),
    }),
  };
}

/** The passes of a radix select by blocks; with `soft`, infinities count as the largest finite numbers. */
export function radixLaunches(blocks: SegmentBlocks, soft: boolean): Launch[] {
  const passes = Array.from({ length: RADIX_PASSES }, (_, step) =>
    blocks.launch("top-k.histogram", radixScratch, { step }, { SOFT: soft }),
  );
  return [blocks.clear(), ...passes];
}
