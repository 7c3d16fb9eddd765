/** @file Cases of the gradient of attention: those of attention itself, and what may be wanted. */

import { attention } from "../reference/attention.ts";
import type { ReferenceTensors } from "../reference/tensor.ts";
import {
  attentionAttributes,
  attentionInputs,
  attentionPacked,
  attentionSettings,
  attentionTolerance,
} from "./attention.ts";
import type { AttentionSetting } from "./attention.ts";
import { matrix } from "./case-tensors.ts";
import { normal } from "./case.ts";
import type { CaseTable, CaseTensor, OpCase } from "./case.ts";

/** Which gradients are wanted; all that there are when absent. */
type Wants = Readonly<Partial<Record<"wantsQ" | "wantsKv" | "wantsBias", boolean>>>;

/** Probabilities come twice into a gradient, and dy · v as scores do: four roundings where attention has one. */
const HARDER = 4;

/** The inputs of attention, what it gave and the gradient of that. */
function inputsOf(setting: AttentionSetting): Record<string, CaseTensor> {
  const inputs = attentionInputs(setting);
  const given = Object.fromEntries(
    Object.entries(inputs).map(([role, { shape, data }]) => [
      role,
      { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) },
    ]),
  ) as ReferenceTensors;
  const { data } = attention(given, attentionAttributes(setting)).y as { data: Float64Array };
  const width = setting.heads * setting.headWidth;
  return {
    ...inputs,
    y: matrix(Float32Array.from(data), width, "queries"),
    dy: matrix(normal(data.length + 3, data.length), width, "queries"),
  };
}

function caseOf(setting: AttentionSetting, wants?: Wants): OpCase {
  const packed = attentionPacked(setting);
  const all = { wantsQ: true, wantsKv: true, ...(setting.bias === undefined ? {} : { wantsBias: true }) };
  const words = Object.keys(wants ?? {}).join(", ");
  return {
    name: wants === undefined ? setting.name : `${setting.name}: ${words}`,
    attributes: { ...attentionAttributes(setting), ...(wants ?? all), ...(packed ? { packed } : {}) },
    inputs: () => inputsOf(setting),
    tolerance: HARDER * attentionTolerance(setting),
    ...(setting.bench === true ? { bench: true } : {}),
  };
}

/** The gradients of these queries are 0, relative to which nothing can be measured; those of the values are not. */
const flat = ["1 token", "equal rows"];
/** Forms that the others hold as well. */
const covered = ["ragged, causal", "bias within 5, causal", "k-to-all, bias", "k-to-k", "k-to-k, bias"];

function named(name: string): AttentionSetting {
  return attentionSettings.find((setting) => setting.name === name) as AttentionSetting;
}

/** The forms of attention with all gradients, and some of them alone. */
export const attentionGradientCases: CaseTable = {
  stem: "attention-gradient",
  cases: [
    ...attentionSettings.filter(({ name }) => ![...flat, ...covered].includes(name)).map((setting) => caseOf(setting)),
    ...flat.map((name) => caseOf(named(name), { wantsKv: true })),
    ...(["wantsQ", "wantsKv", "wantsBias"] as const).map((want) =>
      caseOf(named("k-to-all, causal, bias"), { [want]: true }),
    ),
    caseOf(named("bias within 40"), { wantsQ: true }),
  ],
};
