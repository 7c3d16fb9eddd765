/** @file Cases of segment-gate-gradient: gates as those of segment-gate, with every choice of outputs. */

import { noSlot } from "../ops/adapter.ts";
import { matrix } from "./case-tensors.ts";
import { normal, toleranceFor } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";
import { attributesOf, DEVIATION, inputsOf } from "./segment-gate.ts";
import type { GateSetting } from "./segment-gate.ts";
import { lengthsName } from "./segment-slots.ts";

interface Setting extends GateSetting {
  /** The slot whose weights are trained; none when absent. */
  readonly trained?: number;
  readonly withoutInput?: boolean;
}

const ragged = [1, 5, 0, 17, 16, 15, 64, 65];
const someNone = [0, 2, 1, noSlot, 2, noSlot, 1, 0];

const settings: readonly Setting[] = [
  { lengths: [1], width: 1, gates: 1, slots: 1, trained: 0 },
  { lengths: [], width: 4, gates: 2, slots: 1, trained: 0 },
  { lengths: [0, 0], width: 4, gates: 2, slots: 1, trained: 0 },
  { lengths: ragged, width: 3, gates: 2, slots: 3, trained: 1 },
  { lengths: ragged, width: 8, gates: 1, slots: 3, padding: 3, named: someNone },
  { lengths: ragged, width: 8, gates: 1, slots: 3, padding: 3, named: someNone, trained: 2 },
  { lengths: ragged, width: 5, gates: 3, slots: 3, named: someNone, trained: 0, withoutInput: true },
  // Rows in fours, slots that are not: no vectors.
  { lengths: [57, 2, 55], width: 16, gates: 2, slots: 2, padding: 1, trained: 1 },
  { lengths: [28, 3], width: 768, gates: 2, slots: 2, padding: 2, trained: 0 },
  { lengths: ragged, width: 8, gates: 3, slots: 2, taken: [1, 2], trained: 1 },
  { lengths: [9, 4], width: 7, gates: 3, slots: 1, taken: [2, 1], trained: 0, withoutInput: true },
];

function gradientInputs(setting: Setting): Record<string, CaseTensor> {
  const { lengths } = setting;
  const { gates } = attributesOf(setting);
  return { ...inputsOf(setting), dy: matrix(normal(lengths.length + 5, lengths.length * gates), gates, "segments") };
}

function nameOf({ lengths, width, gates, taken, trained, withoutInput, named }: Setting): string {
  const words = [
    `${lengthsName(lengths)} x ${width}`,
    `gates ${gates}${taken === undefined ? "" : ` from ${taken[0]} ${taken[1]}`}`,
    ...(trained === undefined ? [] : [`slot ${trained}`]),
    ...(withoutInput === true ? ["without dx"] : []),
    ...(named === undefined ? [] : ["some none"]),
  ];
  return words.join(", ");
}

/** Error of a slope (kernels/lib/activation-gradient.wgsl); the largest slope of a sigmoid is a quarter. */
const SLOPE_ERROR = 4e-6;

/** Segments, gates and outputs. */
export const segmentGateGradientCases: CaseTable = {
  stem: "segment-gate-gradient",
  cases: settings.map((setting): OpCase => ({
    name: nameOf(setting),
    attributes: {
      ...attributesOf(setting),
      input: setting.withoutInput !== true,
      ...(setting.trained === undefined ? {} : { slot: setting.trained }),
    },
    inputs: () => gradientInputs(setting),
    // A slope moves by less than z does, a product of magnitude 0.2 √D; then a sum over gates.
    tolerance:
      SLOPE_ERROR +
      toleranceFor(setting.width) * Math.max(1, DEVIATION * Math.sqrt(setting.width)) +
      toleranceFor(setting.gates),
  })),
};
