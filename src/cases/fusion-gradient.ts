/** @file Cases of `fusion-gradient`: those of `fusion`, with a gradient of y, with and without that of the hidden part. */

import { fusionColumns } from "../ops/fusion.ts";
import { matrix } from "./case-tensors.ts";
import { normal } from "./case.ts";
import type { CaseTable, OpCase } from "./case.ts";
import { fusionInputs, fusionSettings, fusionTolerance } from "./fusion.ts";
import type { FusionSetting } from "./fusion.ts";

/**
 * A gradient of a score is q (dp − mean): dp sums B + 1 products of order 1 and errs as a score does, which is multiplied by q and by
 * what a weight errs by, times the spread of dp, √B.
 */
function toleranceOf(setting: FusionSetting): number {
  return fusionTolerance(setting) * (1 + Math.sqrt(setting.width));
}

function caseOf(setting: FusionSetting, hidden: boolean): OpCase {
  const { name, rows, width, members, room = members.length, slotted = false, bench = false } = setting;
  const apart: FusionSetting = { ...setting, apart: true };
  const columns = fusionColumns(room, width);
  return {
    name: hidden ? name : `${name}, of scores alone`,
    attributes: { adapters: room, width, hidden, ...(slotted ? { slot: "fusion" } : {}) },
    inputs: () => ({ ...fusionInputs(apart), dy: matrix(normal(7 * rows + width, rows * columns), columns) }),
    tolerance: toleranceOf(setting),
    ...(slotted ? { sizes: { fusion: 1 } } : {}),
    ...(bench ? { bench } : {}),
  };
}

const ALONE: ReadonlySet<string> = new Set(["3 adapters, odd widths", "one pruned"]);

/** Cases of `fusion-gradient`. */
export const fusionGradientCases: CaseTable = {
  stem: "fusion-gradient",
  cases: [
    ...fusionSettings.map((setting) => caseOf(setting, true)),
    ...fusionSettings.filter(({ name }) => ALONE.has(name)).map((setting) => caseOf(setting, false)),
  ],
};
