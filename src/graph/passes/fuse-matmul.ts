/** @file Fuses what surrounds a matmul into it: gathered rows on the left; bias, activation, residual, scatter behind. */

import { formatShape } from "../../ops/op.ts";
import type { Attributes } from "../../ops/op.ts";
import { rewrite } from "../rewrite.ts";
import type { RewriteContext } from "../rewrite.ts";
import type { AnyOp, Graph, Node, Value } from "../value.ts";

type Inputs = Readonly<Record<string, Value>>;
type Outputs = Readonly<Record<string, Value>>;

/** A matmul whose result nobody else needs, so that its epilogue may grow. */
function growing(value: Value | undefined, context: RewriteContext): Node | null {
  if (value === undefined || value.node.label !== "matmul" || value.node.kind !== "op") return null;
  return context.uses(value) === 1 && value.node.inputs.scatter === undefined ? value.node : null;
}

function grow(context: RewriteContext, node: Node, inputs: Inputs, attributes: Attributes = {}): Outputs {
  const all = { ...node.inputs, ...inputs };
  return context.builder.op(node.op as AnyOp, all, { ...node.attributes, ...attributes });
}

/** Products that read rows of x through indices themselves. */
const GATHERING: ReadonlySet<string> = new Set(["matmul", "matmul-weight-gradient"]);

/** x·Wᵀ or dyᵀ·x of gathered rows: the product reads through the indices itself. */
function gather(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  const source = inputs.x?.node;
  if (!GATHERING.has(node.label) || inputs.gather !== undefined || source?.label !== "gather-rows") return null;
  if (source.inputs.fill !== undefined) return null;
  const x = source.inputs.x as Value;
  const fused = { ...inputs, x, gather: source.inputs.rows as Value };
  return context.builder.op(node.op as AnyOp, fused, node.attributes);
}

function activation(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  if (node.label !== "activation") return null;
  const source = growing(inputs.x, context);
  if (source === null || source.attributes.activation !== undefined || source.inputs.residual !== undefined)
    return null;
  return grow(context, source, {}, { activation: node.attributes.kind as string });
}

/** matmul + row vector is a bias; matmul + matrix of the same shape is a residual. */
function addition(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  if (node.label !== "elementwise" || node.attributes.operation !== "add") return null;
  const { a, b } = inputs as { a: Value; b: Value };
  const left = growing(a, context);
  if (left !== null && b.type.shape.length === 1 && canTakeBias(left) && b.type.shape[0] === a.type.shape[1]) {
    return grow(context, left, { bias: b });
  }
  if (formatShape(a.type.shape) !== formatShape(b.type.shape) || a === b) return null;
  for (const [value, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const source = growing(value, context);
    if (source !== null && source.inputs.residual === undefined) return grow(context, source, { residual: other });
  }
  return null;
}

function canTakeBias(node: Node): boolean {
  const { inputs, attributes } = node;
  const { firstRow, rowCount, slot, transposed } = attributes;
  // A bias goes with the rows of w, but that of the transposed form with its columns.
  const whole = transposed === true || (firstRow === undefined && rowCount === undefined && slot === undefined);
  return whole && inputs.bias === undefined && inputs.residual === undefined && attributes.activation === undefined;
}

/** base[rows] += weight · matmul: the epilogue writes through the indices itself. */
function scatter(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  if (node.label !== "scatter-add-rows") return null;
  const source = growing(inputs.x, context);
  if (source === null) return null;
  const { base, rows, weight } = inputs as { base: Value; rows: Value; weight?: Value };
  return grow(context, source, { base, scatter: rows, ...(weight === undefined ? {} : { weight }) });
}

/** @returns the graph with gathers, biases, activations, residuals and scatters taken into the matmuls. */
export function fuseMatmul(graph: Graph): Graph {
  return rewrite(
    graph,
    (node, inputs, context) =>
      gather(node, inputs, context) ??
      activation(node, inputs, context) ??
      addition(node, inputs, context) ??
      scatter(node, inputs, context),
  );
}
