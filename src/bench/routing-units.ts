/**
 * @file What the suite `routing` measures: units, whose forms run in turns so that their ratios come from one run. A unit is also what
 * an interrupted bench goes on after.
 */

import { EngineError } from "../errors.ts";
import type { RoutedAttention } from "../routing/coda.ts";
import { denseTerms, layersOf, routedTerms, totalOf } from "./cost-model.ts";
import { bertBaseLayer, isGated } from "./encoder-host.ts";
import type { EncoderSizes } from "./encoder-host.ts";
import { baseForm } from "./encoder-forms.ts";
import type { EncoderForm } from "./encoder-forms.ts";
import { SAMPLED_ABOVE } from "./encoder-run.ts";
import { routedForms } from "./encoder-table.ts";
import { SMALLEST_TILE } from "./sampled-rows.ts";

/** A layer that is routed. */
export interface RoutingShape {
  readonly name: string;
  /** In words, for the heading of its table. */
  readonly title: string;
  readonly sizes: EncoderSizes;
}

const bertBase: RoutingShape = {
  name: "bert-base",
  title: "BERT-base layer: post-LN, d 768, 12 heads, dff 3072, bottleneck 64",
  sizes: bertBaseLayer,
};

const t5Xl: RoutingShape = {
  name: "t5-xl",
  title: "T5-XL-like layer: pre-LN, d 2048, 32 heads, gated dff 5120, bias by distance, no other biases, bottleneck 64",
  sizes: { layers: 1, width: 2048, heads: 32, ffnWidth: 5120, bottleneck: 64, style: "t5" },
};

const kwt: RoutingShape = {
  name: "kwt",
  title: "KWT-1 layer: post-LN, d 64, 1 head, dff 256, bottleneck 16",
  sizes: { layers: 1, width: 64, heads: 1, ffnWidth: 256, bottleneck: 16 },
};

/** The shapes in the order of their tables. */
export const routingShapes: readonly RoutingShape[] = [bertBase, t5Xl, kwt];

/** One unit of the suite. */
export interface RoutingUnit {
  /** Unique: the part that it belongs to, or part and tokens. */
  readonly id: string;
  readonly part: string;
  /** Forms are timed against each other, launches of one form by themselves, or launches of plans are counted. */
  readonly kind: "forms" | "profile" | "launches";
  readonly shape: RoutingShape;
  readonly tokens: number;
  readonly forms: readonly EncoderForm[];
  readonly rounds: number;
  /** Runs of more FLOP are verified in some rows. */
  readonly sampledAbove: number;
}

/** What a user may change. */
export interface UnitChoice {
  /** Everything, whatever it takes. */
  readonly full: boolean;
  readonly software: boolean;
  readonly only: readonly string[] | undefined;
  readonly rounds: number | undefined;
}

const LENGTHS = [128, 256, 512, 1024, 2048, 4096];
const REDUCTIONS = [1, 2, 3, 4, 5, 8];
/** What a software adapter measures by itself: all that two cores do in five minutes. */
const SHORT: Readonly<Record<string, { readonly lengths: readonly number[]; readonly reductions: readonly number[] }>> =
  {
    "bert-base": { lengths: [128, 256, 512], reductions: [1, 3, 5, 8] },
    "t5-xl": { lengths: [128], reductions: [3, 5, 8] },
    kwt: { lengths: [128, 256, 512, 1024], reductions: [1, 3, 5, 8] },
  };
const ROUNDS: Readonly<Record<string, number>> = {
  "bert-base": 5,
  "t5-xl": 3,
  kwt: 9,
  stack: 5,
  // A few per cent are looked for, where single rounds scatter by as much.
  overhead: 15,
  long: 3,
  selection: 3,
};
/** Float64 of a larger run takes longer than its rounds. */
const SHORT_SAMPLED_ABOVE = 2e9;
const LONG = 4096;
const STACK_TOKENS = 512;

/** Tables by shape, then the single goals; `long` takes minutes on a software adapter. */
export const routingParts: readonly string[] = [
  ...routingShapes.map(({ name }) => name),
  "stack",
  "overhead",
  "selection",
  "launches",
  "long",
];

function tableUnits(choice: UnitChoice): RoutingUnit[] {
  const whole = choice.full || !choice.software;
  return routingShapes.flatMap((shape) => {
    const short = SHORT[shape.name] as (typeof SHORT)[string];
    const { lengths, reductions } = whole ? { lengths: LENGTHS, reductions: REDUCTIONS } : short;
    return lengths.map((tokens) => {
      const forms = [baseForm, ...routedForms(reductions)];
      return unitOf(choice, { id: `${shape.name}/${tokens}`, part: shape.name, kind: "forms", shape, tokens, forms });
    });
  });
}

function unitOf(
  { full, software, rounds }: UnitChoice,
  unit: Omit<RoutingUnit, "rounds" | "sampledAbove">,
): RoutingUnit {
  const sampledAbove = full || !software ? SAMPLED_ABOVE : SHORT_SAMPLED_ABOVE;
  return { ...unit, rounds: rounds ?? ROUNDS[unit.part] ?? 1, sampledAbove };
}

function goalUnits(choice: UnitChoice): RoutingUnit[] {
  const only = (reductions: readonly number[], attention: RoutedAttention): readonly EncoderForm[] =>
    routedForms(reductions, [attention]);
  const stack: RoutingShape = {
    name: "stack",
    title: "Encoder of two BERT-base layers",
    sizes: { ...bertBaseLayer, layers: 2 },
  };
  const unit = (
    part: string,
    kind: RoutingUnit["kind"],
    shape: RoutingShape,
    tokens: number,
    forms: RoutingUnit["forms"],
  ): RoutingUnit => unitOf(choice, { id: part, part, kind, shape, tokens, forms });
  const forms = [baseForm, ...routedForms([3, 5, 8])];
  return [
    unit("stack", "forms", stack, STACK_TOKENS, forms),
    unit(
      "overhead",
      "forms",
      { ...bertBase, name: "overhead", title: "Overhead of routing that saves nothing" },
      STACK_TOKENS,
      [baseForm, ...only([1], "k-to-k")],
    ),
    unit("selection", "profile", bertBase, LONG, only([3], "k-to-k")),
    unit("launches", "launches", bertBase, STACK_TOKENS, routedForms([3])),
    unit("long", "forms", bertBase, LONG, [baseForm, ...only([8], "k-to-k")]),
  ];
}

/**
 * @returns the units that are run, in order
 * @throws EngineError BAD_INPUT for a part that there is not
 */
export function routingUnits(choice: UnitChoice): readonly RoutingUnit[] {
  const { only, full, software } = choice;
  const stranger = only?.find((part) => !routingParts.includes(part));
  if (stranger !== undefined) {
    throw new EngineError("BAD_INPUT", `the suite routing has no part ${JSON.stringify(stranger)}`, {
      where: "--only",
      fix: `name some of ${routingParts.join(", ")}`,
    });
  }
  const all = [...tableUnits(choice), ...goalUnits(choice)];
  if (only !== undefined) return all.filter(({ part }) => only.includes(part));
  return all.filter(({ part }) => part !== "long" || full || !software);
}

/** FLOP of one run of a form. */
export function unitFlops({ shape, tokens }: RoutingUnit, form: EncoderForm): number {
  const cost = { ...shape.sizes, gated: isGated(shape.sizes) };
  const layer =
    form.kind === "routed" ? routedTerms(cost, [tokens], form.reduction, form.attention) : denseTerms(cost, [tokens]);
  return totalOf(layersOf(shape.sizes.layers, layer));
}

/** What two CPU cores do in a second, roughly: on the software adapter, in float64, and drawing weights. */
const SOFTWARE_FLOPS = 7.5e9;
const FLOAT64_FLOPS = 1e9;
const DRAWN_WEIGHTS = 1e7;

/** FLOP in float64: all rows of a run, or keys and values of all rows and the rest of some, in the last layer of a stack. */
function verifiedFlops(unit: RoutingUnit, form: EncoderForm): number {
  const flops = unitFlops(unit, form);
  if (flops <= unit.sampledAbove) return flops;
  const { width, layers } = unit.shape.sizes;
  const taken = form.kind === "routed" ? 1 / form.reduction : 1;
  const seen = form.kind === "routed" && form.attention === "k-to-k" ? taken : 1;
  const keys = 6 * width * width * unit.tokens * seen;
  // Besides one row of every tile, the ends of the sequence and of the selection.
  const rows = Math.min(unit.tokens * taken, (2 * unit.tokens) / SMALLEST_TILE + 8);
  return (flops * (layers - 1)) / layers + keys + ((flops / layers) * rows) / (unit.tokens * taken);
}

/** Seconds that a unit takes on a software adapter of two cores, roughly. */
export function estimatedSeconds(unit: RoutingUnit): number {
  const { width, ffnWidth, layers } = unit.shape.sizes;
  const weights = layers * width * (4 * width + 3 * ffnWidth);
  const runs = unit.forms.reduce((total, form) => total + unitFlops(unit, form) * (1 + unit.rounds), 0);
  const truth = unit.forms.reduce((total, form) => total + verifiedFlops(unit, form), 0);
  if (unit.kind === "launches") return weights / DRAWN_WEIGHTS;
  return runs / SOFTWARE_FLOPS + truth / FLOAT64_FLOPS + weights / DRAWN_WEIGHTS;
}
