/**
 * @file The regulariser of AdapterFusion (MATHS §2.4): λ Σ ‖I − Wv‖² over its layers, as graph values with the loss. The library adds its
 * gradient behind an optimiser's step, so that it enters the next one; here it is a part of the loss of every step.
 */

import { identityType } from "../adapters/fusion-trained.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { elementwise } from "../ops/elementwise.ts";
import { fill } from "../ops/fill.ts";
import { meanOf } from "../ops/mean-of.ts";
import { rowDot } from "../ops/row-dot.ts";
import { sumRows } from "../ops/sum-rows.ts";
import { DIVISOR, TARGETS } from "./objectives.ts";
import type { ObjectiveSettings } from "./objectives.ts";
import type { Objective } from "./step-graph.ts";

/** The library's λ. */
export const FUSION_REGULARISER = 0.01;

function both(b: GraphBuilder, operation: "add" | "sub" | "mul", left: Value, right: Value): Value {
  return b.op(elementwise, { a: left, b: right }, { operation }).y as Value;
}

/** ‖I − W‖² [1] of W [d, d]. */
function distance(b: GraphBuilder, parameter: string, width: number): Value {
  const { name, type } = identityType(width);
  const apart = both(b, "sub", b.parameter(parameter, type.shape), b.parameter(name, type.shape));
  const squares = b.op(rowDot, { x: apart, w: apart }, {}).y as Value;
  return b.op(sumRows, { x: b.reshape(squares, [width, 1]) }, {}).y as Value;
}

/**
 * How much of a batch's targets a part of it has, [1]: these add up to 1 over the parts, so that what is added to the loss of every part
 * times this is added once.
 * @param output the head's name among a model's results
 */
export function shareOf({ kind }: ObjectiveSettings, output: string): Objective {
  return (b, results) => {
    const { shape } = (results.get(output) as Value).type;
    const divisor = b.input(DIVISOR, [1], "u32");
    const role = kind === "cross-entropy" ? "labels" : "targets";
    const targets = kind === "cross-entropy" ? b.input(TARGETS, shape.slice(0, 1), "u32") : b.input(TARGETS, shape);
    const x = b.op(fill, { x: targets }, { value: 1 }).y;
    return b.op(meanOf, { x, [role]: targets, divisor }, {}).y as Value;
  };
}

/**
 * A loss with the regulariser.
 * @param values parameters of the Wv of held fusions: `Fusions.regularisedOf`
 * @param share of the regulariser that is added, [1]
 */
export function regularised(
  objective: Objective,
  share: Objective,
  {
    values,
    width,
    factor = FUSION_REGULARISER,
  }: {
    readonly values: readonly string[];
    readonly width: number;
    readonly factor?: number;
  },
): Objective {
  if (values.length === 0) return objective;
  return (b, results) => {
    const loss = objective(b, results);
    const terms = values.map((parameter) => distance(b, parameter, width));
    const sum = terms.reduce((total, term) => both(b, "add", total, term));
    const scale = b.op(fill, { x: loss }, { value: factor }).y as Value;
    const scaled = both(b, "mul", both(b, "mul", sum, scale), share(b, results));
    return both(b, "add", loss, scaled);
  };
}
