/** @file Cases of the bottleneck adapter: banks of slots of every width and activation, ragged segments. */

import { adapterStride, noSlot } from "../ops/adapter.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import type { Attributes } from "../ops/op.ts";
import { segmentTable } from "./segment-tables.ts";

/** A slot of the bank: active width, activation code, scale. */
export type SlotSetting = readonly [width: number, activation: number, scale: number];

/** A bank, its segments and widths. */
export interface AdapterSetting {
  readonly name: string;
  readonly width: number;
  readonly maxWidth: number;
  /** Rows of the up projection, and those of them that take part; width, and all, when absent. */
  readonly outWidth?: number;
  readonly firstColumn?: number;
  readonly columnCount?: number;
  readonly slots: readonly SlotSetting[];
  readonly lengths: readonly number[];
  /** Slot per segment; by default they take turns. */
  readonly segmentSlots?: readonly number[];
  readonly f16?: boolean;
  readonly withoutResidual?: boolean;
  /** Values of x and of the down projection. */
  readonly deviation?: number;
  readonly bench?: boolean;
}

/** Lengths of segments that fill no tile. */
export const ragged: readonly number[] = [1, 5, 0, 17, 16, 15, 4, 33];
/** A slot for every activation. */
export const everyActivation: readonly SlotSetting[] = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((code) => [
  7,
  code,
  0.5 + code / 8,
]);

/** Slots that do not give what they take, as those of LoRA, and columns of them: at the edges, inside, one, odd. */
const outputSettings: readonly AdapterSetting[] = [
  [64, 8, 64, 40, 24],
  [64, 8, 64, 0, 24],
  [72, 40, 8, 0, 8],
  [24, 8, 72, 24, 24],
  [8, 8, 136, 64, 40],
  [20, 12, 36, 8, 28],
  [16, 4, 12, 4, 4],
  [16, 8, 24, 7, 8],
  [16, 8, 23, 0, 23],
  [16, 6, 24, 8, 8],
  [15, 8, 24, 8, 8],
  [7, 3, 5, 4, 1],
].map((sizes, index): AdapterSetting => {
  const [width, maxWidth, outWidth, firstColumn, columnCount] = sizes as [number, number, number, number, number];
  // Every second one has an f16 bank and no residual.
  const bare = index % 2 === 1;
  const name = `${width} to ${maxWidth} to ${outWidth}, columns ${firstColumn} to ${firstColumn + columnCount}`;
  return {
    name: bare ? `${name}, f16 without a residual` : name,
    width,
    maxWidth,
    outWidth,
    firstColumn,
    columnCount,
    f16: bare,
    withoutResidual: bare,
    slots: [
      [maxWidth, 0, 2],
      [Math.ceil(maxWidth / 2), 2, -0.5],
      [0, 1, 1],
    ],
    lengths: [...ragged, 65, 6],
    segmentSlots: [0, 1, 0, 1, 0, 2, noSlot, 1, 0, 1],
  };
});

const settings: readonly AdapterSetting[] = [
  { name: "1 token, width 1", width: 1, maxWidth: 1, slots: [[1, 1, 1]], lengths: [1] },
  { name: "1 token, width 16", width: 16, maxWidth: 8, slots: [[8, 1, 1]], lengths: [1] },
  { name: "no rows", width: 16, maxWidth: 8, slots: [[8, 1, 1]], lengths: [0] },
  { name: "no segments", width: 16, maxWidth: 8, slots: [[8, 1, 1]], lengths: [] },
  { name: "every activation", width: 16, maxWidth: 8, slots: everyActivation, lengths: [3, 4, 5, 3, 4, 5, 3, 4, 5] },
  {
    name: "every width, some none",
    width: 20,
    maxWidth: 20,
    slots: [
      [1, 2, 1],
      [2, 1, 4],
      [3, 4, -1],
      [16, 2, 1],
      [17, 2, 1],
      [20, 3, 0.25],
      [0, 1, 1],
    ],
    lengths: [2, 3, 9, 18, 17, 16, 5, 6],
    segmentSlots: [0, 1, 2, 3, 4, 5, 6, noSlot],
  },
  {
    name: "without a residual, some none",
    width: 12,
    maxWidth: 8,
    slots: [[5, 2, 2]],
    lengths: [6, 3],
    segmentSlots: [noSlot, 0],
    withoutResidual: true,
  },
  {
    name: "odd widths",
    width: 33,
    maxWidth: 7,
    slots: [
      [7, 2, 1],
      [5, 1, 1],
    ],
    lengths: ragged,
  },
  {
    name: "odd widths, f16",
    width: 33,
    maxWidth: 7,
    slots: [
      [7, 2, 1],
      [6, 1, 1],
    ],
    lengths: ragged,
    f16: true,
  },
  {
    name: "f16",
    width: 64,
    maxWidth: 16,
    slots: [
      [16, 2, 1],
      [13, 4, 1],
    ],
    lengths: ragged,
    f16: true,
  },
  {
    name: "width 768, b 48",
    width: 768,
    maxWidth: 48,
    slots: [
      [48, 4, 1],
      [31, 1, 1],
    ],
    lengths: [1, 18, 35],
  },
  {
    name: "over a quad's 64 rows, three blocks of units",
    width: 40,
    maxWidth: 96,
    slots: [
      [96, 2, 1],
      [71, 1, 1],
      [0, 0, 1],
    ],
    lengths: [1, 64, 65, 130],
  },
  { name: "wider than private memory", width: 8, maxWidth: 500, slots: [[500, 1, 1]], lengths: [5] },
  { name: "as wide as private memory", width: 8, maxWidth: 496, slots: [[493, 1, 1]], lengths: [5] },
  ...outputSettings,
  { name: "scale 0", width: 16, maxWidth: 8, slots: [[8, 1, 0]], lengths: [9] },
  {
    name: "large values",
    width: 16,
    maxWidth: 8,
    slots: [
      [8, 3, 1],
      [8, 6, 1],
      [8, 7, 1],
    ],
    lengths: [9, 9, 9],
    deviation: 100,
  },
  { name: "denormals", width: 16, maxWidth: 8, slots: [[8, 1, 1]], lengths: [9], deviation: 1e-39 },
  { name: "d 768, b 64, n = 128", width: 768, maxWidth: 64, slots: [[64, 1, 1]], lengths: [128], bench: true },
  { name: "d 768, b 64, n = 512", width: 768, maxWidth: 64, slots: [[64, 1, 1]], lengths: [512], bench: true },
];

/**
 * Values of N(0, 0.1), and NaN in everything past the active width and outside the columns: it must never be read into a
 * result.
 */
function bankInput(setting: AdapterSetting): CaseTensor {
  const { width, maxWidth, outWidth = width, firstColumn = 0, slots, f16 = false, deviation = 1 } = setting;
  const endColumn = firstColumn + columnsOf(setting);
  const stride = adapterStride(width, maxWidth, outWidth);
  const data = normal(width + maxWidth, slots.length * stride, 0.1);
  slots.forEach(([active], s) => {
    const slot = data.subarray(s * stride, (s + 1) * stride);
    const [up, downBias] = [maxWidth * width, maxWidth * (width + outWidth)];
    for (let i = 0; i < up; i += 1) slot[i] = (slot[i] as number) * deviation;
    slot.fill(NaN, active * width, up);
    slot.fill(NaN, downBias + active, downBias + maxWidth);
    for (let row = 0; row < outWidth; row += 1) {
      const used = row >= firstColumn && row < endColumn;
      slot.fill(NaN, up + row * maxWidth + (used ? active : 0), up + (row + 1) * maxWidth);
      if (!used) slot[downBias + maxWidth + row] = NaN;
    }
  });
  return { shape: [slots.length, stride], data, f16 };
}

/** @returns the width of y. */
export function columnsOf({ width, outWidth = width, firstColumn = 0, columnCount }: AdapterSetting): number {
  return columnCount ?? outWidth - firstColumn;
}

/** The inputs of `adapter`. */
export function inputsOf(setting: AdapterSetting): Record<string, CaseTensor> {
  const { width, slots, lengths, deviation = 1 } = setting;
  const rows = lengths.reduce((a, b) => a + b, 0);
  const words = new Uint32Array(slots.length * 4);
  slots.forEach(([active, activation, scale], s) => {
    const [bits] = new Uint32Array(Float32Array.of(scale).buffer);
    words.set([active, activation, bits as number, 0], s * 4);
  });
  const segmentSlots = Uint32Array.from(setting.segmentSlots ?? lengths.map((_, s) => s % slots.length));
  const inputs: Record<string, CaseTensor> = {
    x: matrix(normal(rows + width, rows * width, deviation), width),
    bank: bankInput(setting),
    slots: { shape: [slots.length, 4], data: words },
    segments: segmentTable(lengths),
    segment_slots: { shape: [segmentSlots.length], data: segmentSlots, rows: "segments" },
  };
  const columns = columnsOf(setting);
  if (setting.withoutResidual !== true) inputs.residual = matrix(normal(rows + 1, rows * columns), columns);
  return inputs;
}

/** The attributes of `adapter`. */
export function attributesOf({ width, maxWidth, outWidth, firstColumn, columnCount }: AdapterSetting): Attributes {
  return { width, maxWidth, outWidth, firstColumn, columnCount };
}

/** One reduction over the width, one over the bottleneck. */
function toleranceOf({ width, maxWidth }: AdapterSetting): number {
  return toleranceFor(width) + toleranceFor(maxWidth);
}

/** Slots of all kinds, segments that share and change them. */
export const adapterCases: CaseTable = {
  stem: "adapter",
  cases: settings.map((setting): OpCase => ({
    name: setting.name,
    attributes: attributesOf(setting),
    inputs: () => inputsOf(setting),
    tolerance: toleranceOf(setting),
    ...(setting.bench === true ? { bench: true } : {}),
  })),
};
