/** @file Arithmetic on elements, with a second operand of the same shape, a repeated row, or one value. */

import { EngineError } from "../errors.ts";
import { itemLaunch, itemSize } from "./item-launch.ts";
import { elementCount, expectTensor, formatShape, sameDim, trafficBytes } from "./op.ts";
import type { Dim, Op, Shape, TensorType } from "./op.ts";

/** What `elementwise` can do; `hypot` is √(a² + b²), for magnitudes whose squares are f32 numbers. */
export type ElementwiseOperation = "add" | "sub" | "mul" | "max" | "hypot" | "log" | "sqrt" | "div";

/** Attributes of `elementwise`. */
export interface ElementwiseAttributes {
  readonly operation: ElementwiseOperation;
  readonly [name: string]: string | undefined;
}

/** Code in the shader and number of operands. */
const operations: Readonly<Record<ElementwiseOperation, { readonly code: number; readonly operands: 1 | 2 }>> = {
  add: { code: 0, operands: 2 },
  sub: { code: 1, operands: 2 },
  mul: { code: 2, operands: 2 },
  max: { code: 3, operands: 2 },
  hypot: { code: 4, operands: 2 },
  log: { code: 5, operands: 1 },
  sqrt: { code: 6, operands: 1 },
  div: { code: 7, operands: 2 },
};

/** a, b? -> y of a's shape; b has a's shape, is a row [D], or is one value [1]. */
export const elementwise: Op<ElementwiseAttributes> = {
  stem: "elementwise",
  infer: ({ a, b }, { operation }) => {
    if (!Object.hasOwn(operations, operation)) {
      const known = Object.keys(operations).join(", ");
      throw new EngineError("SHAPE", `elementwise: unknown operation ${operation}`, {
        where: "elementwise.operation",
        fix: `use one of ${known}`,
      });
    }
    const { shape } = expectTensor("elementwise", "a", a, a?.shape.length ?? 0);
    if (operations[operation].operands === 2) {
      const second = expectTensor("elementwise", "b", b, b?.shape.length ?? 0);
      relation(shape, second.shape);
    } else if (b !== undefined) {
      throw new EngineError("SHAPE", `elementwise: ${operation} takes no b`, { where: "elementwise.b" });
    }
    return { y: { shape, element: "f32" } };
  },
  cost: (call, size) => ({
    flops: elementCount(call.outputs.y as TensorType, size) * (call.attributes.operation === "hypot" ? 4 : 1),
    bytes: trafficBytes(call, size),
  }),
  variants: () => ["item"],
  launch: ({ inputs, attributes }) => {
    const { shape } = inputs.a as TensorType;
    const b = inputs.b === undefined ? "same" : relation(shape, inputs.b.shape);
    const width = lastAxis(shape);
    const values = b === "row" && width % 4 !== 0 ? 1 : itemSize(shape);
    const constants = {
      OPERATION: operations[attributes.operation].code,
      B_ONE: b === "one",
      B_PERIOD: b === "row" ? width / values : 0,
    };
    return [itemLaunch({ kernel: "elementwise", shape, values, constants })];
  },
};

/** How b relates to a; throws SHAPE when it does not. */
function relation(a: Shape, b: Shape): "same" | "row" | "one" {
  if (a.length === b.length && a.every((dim, axis) => sameDim(dim, b[axis] as Dim))) return "same";
  if (b.length === 1 && b[0] === 1) return "one";
  if (b.length === 1 && b[0] === lastAxis(a)) return "row";
  const message = `elementwise: b is ${formatShape(b)}, expected ${formatShape(a)}, its last axis or [1]`;
  throw new EngineError("SHAPE", message, { where: "elementwise.b" });
}

/** The width of rows; 0 where the last axis is a run-time length, which no row vector can match. */
function lastAxis(shape: Shape): number {
  const width = shape.at(-1);
  return typeof width === "number" ? width : 0;
}
