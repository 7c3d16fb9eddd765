/** @file Cases of the adapter's gradient: banks as those of the adapter, with every choice of outputs. */

import { noSlot } from "../ops/adapter.ts";
import { attributesOf, columnsOf, everyActivation, inputsOf, ragged } from "./adapter.ts";
import type { AdapterSetting } from "./adapter.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

interface Setting extends AdapterSetting {
  /** The slot whose weights are trained; none when absent. */
  readonly trained?: number;
  readonly withoutInput?: boolean;
  readonly skip?: boolean;
}

const threeSlots = (maxWidth: number): Pick<Setting, "slots" | "lengths" | "segmentSlots"> => ({
  slots: [
    [maxWidth, 0, 2],
    [Math.ceil(maxWidth / 2), 2, -0.5],
    [0, 1, 1],
  ],
  lengths: [...ragged, 65, 6],
  segmentSlots: [0, 1, 0, 1, 0, 2, noSlot, 1, 0, 1],
});

/** Widths that differ, and columns of them: at the edges, inside, one, odd; every second one with an f16 bank. */
const columnSettings: readonly Setting[] = [
  [64, 8, 64, 40, 24],
  [72, 40, 8, 0, 8],
  [24, 8, 72, 24, 24],
  [20, 12, 36, 8, 28],
  [16, 4, 12, 4, 4],
  [16, 8, 24, 7, 8],
  [15, 6, 24, 8, 8],
  [7, 3, 5, 4, 1],
].map((sizes, index): Setting => {
  const [width, maxWidth, outWidth, firstColumn, columnCount] = sizes as [number, number, number, number, number];
  const f16 = index % 2 === 1;
  return {
    name: `${width} to ${maxWidth} to ${outWidth}, columns ${firstColumn} to ${firstColumn + columnCount}${f16 ? ", f16" : ""}`,
    width,
    maxWidth,
    outWidth,
    firstColumn,
    columnCount,
    f16,
    ...threeSlots(maxWidth),
    trained: index % 3,
  };
});

/** Segments and slots of one bank with every choice of outputs. */
const wantedSettings: readonly Setting[] = [33, 40].flatMap((width) => {
  const bank = { width, maxWidth: width === 33 ? 7 : 40, ...threeSlots(width === 33 ? 7 : 40) };
  return [
    { ...bank, name: `width ${width}, dx alone` },
    { ...bank, name: `width ${width}, dx alone, skipped`, skip: true },
    { ...bank, name: `width ${width}, weights alone`, trained: 1, withoutInput: true },
    { ...bank, name: `width ${width}, all, skipped`, trained: 0, skip: true },
    { ...bank, name: `width ${width}, all of a slot of width 0`, trained: 2 },
  ];
});

const settings: readonly Setting[] = [
  { name: "1 token, width 1", width: 1, maxWidth: 1, slots: [[1, 1, 1]], lengths: [1], trained: 0 },
  { name: "1 token, width 16", width: 16, maxWidth: 8, slots: [[8, 2, 1]], lengths: [1], trained: 0 },
  { name: "no rows", width: 16, maxWidth: 8, slots: [[8, 1, 1]], lengths: [0], trained: 0 },
  { name: "no segments", width: 16, maxWidth: 8, slots: [[8, 1, 1]], lengths: [], trained: 0 },
  ...[0, 2, 3, 4, 5, 6, 7].map((trained) => ({
    name: `every activation, trained ${trained}`,
    width: 16,
    maxWidth: 8,
    slots: everyActivation,
    lengths: [3, 4, 5, 3, 4, 5, 3, 4, 5],
    trained,
  })),
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
    trained: 4,
  },
  {
    name: "all none",
    width: 16,
    maxWidth: 8,
    slots: [[8, 1, 1]],
    lengths: [5, 2],
    segmentSlots: [noSlot, noSlot],
    trained: 0,
  },
  {
    name: "width 768, b 48",
    width: 768,
    maxWidth: 48,
    slots: [
      [48, 4, 1],
      [31, 2, 1],
    ],
    lengths: [1, 18, 35],
    trained: 1,
  },
  {
    name: "over a quad's 64 rows, three blocks of units",
    width: 40,
    maxWidth: 96,
    slots: [
      [96, 2, 1],
      [71, 6, 1],
      [0, 0, 1],
    ],
    lengths: [1, 64, 65, 130],
    trained: 1,
  },
  { name: "wider than private memory", width: 8, maxWidth: 500, slots: [[500, 1, 1]], lengths: [5], trained: 0 },
  { name: "as wide as private memory", width: 8, maxWidth: 496, slots: [[493, 1, 1]], lengths: [5], trained: 0 },
  ...columnSettings,
  ...wantedSettings,
  { name: "scale 0", width: 16, maxWidth: 8, slots: [[8, 1, 0]], lengths: [9], trained: 0 },
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
    trained: 0,
  },
  // Without dx, which is smaller than the smallest normal number, as the weights are.
  {
    name: "denormals",
    width: 16,
    maxWidth: 8,
    slots: [[8, 2, 1]],
    lengths: [9],
    deviation: 1e-39,
    trained: 0,
    withoutInput: true,
  },
  ...[128, 512].map((n) => ({
    name: `d 768, b 64, n = ${n}`,
    width: 768,
    maxWidth: 64,
    slots: [[64, 2, 1]] as const,
    lengths: [n],
    trained: 0,
    bench: true,
  })),
];

function gradientInputs(setting: Setting): Record<string, CaseTensor> {
  const rows = setting.lengths.reduce((a, b) => a + b, 0);
  const columns = columnsOf(setting);
  const dy = matrix(normal(rows + 3, rows * columns), columns);
  return { ...inputsOf({ ...setting, withoutResidual: true }), dy };
}

/** Error of a slope (kernels/lib/activation-gradient.wgsl). */
const SLOPE_ERROR = 1e-6;

/**
 * One reduction over the columns for du, one over the bottleneck for dx. A slope moves at most as far as z does, whose error grows
 * with its own magnitude: |x| · |Wd| · √D = 0.1 deviation² √D.
 */
function toleranceOf(setting: Setting): number {
  const { width, maxWidth, deviation = 1 } = setting;
  const units = toleranceFor(width) * Math.max(1, 0.1 * deviation ** 2 * Math.sqrt(width));
  return units + toleranceFor(columnsOf(setting)) + toleranceFor(maxWidth) + SLOPE_ERROR;
}

/** Outputs, slots and segments. */
export const adapterGradientCases: CaseTable = {
  stem: "adapter-gradient",
  cases: settings.map((setting): OpCase => ({
    name: setting.name,
    attributes: {
      ...attributesOf(setting),
      input: setting.withoutInput !== true,
      ...(setting.trained === undefined ? {} : { slot: setting.trained }),
      ...(setting.skip === true ? { skip: true } : {}),
    },
    inputs: () => gradientInputs(setting),
    tolerance: toleranceOf(setting),
    exact: ["mask"],
    ...(setting.bench === true ? { bench: true } : {}),
  })),
};
