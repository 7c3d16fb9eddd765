/** @file Arithmetic on elements: ∂(a + b), ∂(a − b), ∂(a b), ∂(a / b), ∂max(a, b), ∂√a; what was repeated gets the sum over its uses. */

import { EngineError } from "../../errors.ts";
import { activationGradient } from "../activation-gradient.ts";
import { elementwise } from "../elementwise.ts";
import type { ElementwiseAttributes, ElementwiseOperation } from "../elementwise.ts";
import { fill } from "../fill.ts";
import type { BackwardCall, Builder, GradientRule, Ref } from "../gradient.ts";
import { gradientOf, inputOf } from "../gradient.ts";
import { sumTo } from "./sum-to.ts";

/** Operands of a call, its result and ∂L/∂y. */
interface Operands {
  readonly a: Ref;
  readonly b: Ref;
  readonly y: Ref;
  readonly dy: Ref;
}

/** ∂L/∂a and ∂L/∂b, the latter of the shape of y. */
interface Ways {
  readonly a: (g: Builder, operands: Operands) => Ref;
  readonly b: (g: Builder, operands: Operands) => Ref;
}

function apply(g: Builder, operation: ElementwiseOperation, a: Ref, b: Ref): Ref {
  return g.op(elementwise, { a, b }, { operation }).y as Ref;
}

/** ∂y where a is the larger one, else 0. Of equal ones b counts as the larger: `max` has no slope there. */
function whereLarger(g: Builder, { a, b, dy }: Operands): Ref {
  return g.op(activationGradient, { x: apply(g, "sub", a, b), dy }, { kind: "relu" }).dx as Ref;
}

function negated(g: Builder, x: Ref): Ref {
  const minusOne = g.op(fill, { x }, { value: -1, axes: 0 }).y as Ref;
  return apply(g, "mul", x, g.reshape(minusOne, [1]));
}

/** Operations that are falling in b: the sign is taken after the sum, where there is less to negate. */
const falling: ReadonlySet<ElementwiseOperation> = new Set(["sub", "div"]);

const ways: Readonly<Partial<Record<ElementwiseOperation, Ways>>> = {
  add: { a: (_, { dy }) => dy, b: (_, { dy }) => dy },
  sub: { a: (_, { dy }) => dy, b: (_, { dy }) => dy },
  mul: { a: (g, { b, dy }) => apply(g, "mul", dy, b), b: (g, { a, dy }) => apply(g, "mul", dy, a) },
  div: {
    a: (g, { b, dy }) => apply(g, "div", dy, b),
    b: (g, { b, y, dy }) => apply(g, "div", apply(g, "mul", dy, y), b),
  },
  max: { a: whereLarger, b: (g, operands) => apply(g, "sub", operands.dy, whereLarger(g, operands)) },
};

/** ∂√a = ∂y / 2√a. */
function rootGradient(g: Builder, call: BackwardCall<ElementwiseAttributes>): Ref {
  const [y, dy] = [call.outputs.y as Ref, gradientOf(call)];
  return apply(g, "div", dy, apply(g, "add", y, y));
}

/** Of `elementwise`: sums, differences, products, quotients, maxima and roots. */
export const elementwiseRule: GradientRule<ElementwiseAttributes> = (g, call) => {
  const { operation } = call.attributes;
  if (operation === "sqrt") return call.wants("a") ? { a: rootGradient(g, call) } : {};
  const way = ways[operation];
  if (way === undefined)
    throw new EngineError("UNSUPPORTED", `elementwise: the gradient of ${operation} is not built`, {
      where: "elementwise.operation",
    });
  const operands = { a: inputOf(call, "a"), b: inputOf(call, "b"), y: call.outputs.y as Ref, dy: gradientOf(call) };
  const second = (): Ref => {
    const sum = sumTo(g, way.b(g, operands), operands.b);
    return falling.has(operation) ? negated(g, sum) : sum;
  };
  return {
    ...(call.wants("a") ? { a: way.a(g, operands) } : {}),
    ...(call.wants("b") ? { b: second() } : {}),
  };
};
