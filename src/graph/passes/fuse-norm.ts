/**
 * @file Fuses what surrounds a norm into it: the residual sum and gathered rows before it, router score and scatter behind; and into
 * the gradient of a norm its sum with another gradient.
 */

import { formatShape } from "../../ops/op.ts";
import { rewrite } from "../rewrite.ts";
import type { RewriteContext } from "../rewrite.ts";
import type { AnyOp, Graph, Node, Value } from "../value.ts";

type Inputs = Readonly<Record<string, Value>>;
type Outputs = Readonly<Record<string, Value>>;

const NORMS: ReadonlySet<string> = new Set(["layer-norm", "rms-norm"]);
const GRADIENTS: ReadonlySet<string> = new Set(["layer-norm-gradient", "rms-norm-gradient"]);

function plainGather(value: Value | undefined): Node | null {
  const node = value?.node;
  return node?.label === "gather-rows" && node.inputs.fill === undefined ? node : null;
}

/** Norm(a + b): the sum is formed while the row is read, unless somebody else needs it. */
function residual(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  const sum = inputs.x?.node;
  if (!NORMS.has(node.label) || inputs.residual !== undefined || inputs.gather !== undefined) return null;
  if (sum?.label !== "elementwise" || sum.attributes.operation !== "add" || context.uses(inputs.x as Value) !== 1)
    return null;
  const { a, b } = sum.inputs as { a: Value; b: Value };
  if (a.type.shape.length !== b.type.shape.length) return null;
  // The operand that is gathered becomes the residual, which the norm can read through the indices.
  const [x, other] = plainGather(a) !== null && plainGather(b) === null ? [b, a] : [a, b];
  return context.builder.op(node.op as AnyOp, { ...inputs, x, residual: other }, node.attributes);
}

/** ∂x + other: the sum is formed while ∂x is written. Not where the gradients of row vectors come of the same launches. */
function gradientSum(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  if (node.label !== "elementwise" || node.attributes.operation !== "add") return null;
  const { a, b } = inputs as { a: Value; b: Value };
  if (formatShape(a.type.shape) !== formatShape(b.type.shape)) return null;
  for (const [value, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const { label, op, inputs: own, attributes } = value.node;
    if (!GRADIENTS.has(label) || own.residual !== undefined || attributes.affine === true) continue;
    if (context.uses(value) !== 1) continue;
    return { y: context.builder.op(op as AnyOp, { ...own, residual: other }, attributes).dx as Value };
  }
  return null;
}

function gather(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  if (!NORMS.has(node.label) || inputs.gather !== undefined || inputs.scatter !== undefined) return null;
  for (const role of inputs.residual === undefined ? (["x"] as const) : (["residual"] as const)) {
    const source = plainGather(inputs[role]);
    if (source === null) continue;
    const fused = { ...inputs, [role]: source.inputs.x as Value, gather: source.inputs.rows as Value };
    return context.builder.op(node.op as AnyOp, fused, { ...node.attributes, gatherOf: role });
  }
  return null;
}

/** base[rows] += weight · (Norm(v) − origin[rows]): the end of a routed post-LN layer. */
function scatter(node: Node, inputs: Inputs, context: RewriteContext): Outputs | null {
  if (node.label !== "scatter-add-rows") return null;
  const { base, rows, x, weight } = inputs as { base: Value; rows: Value; x: Value; weight?: Value };
  const difference = x.node;
  if (difference.label !== "elementwise" || difference.attributes.operation !== "sub" || context.uses(x) !== 1)
    return null;
  const norm = difference.inputs.a as Value;
  const origin = plainGather(difference.inputs.b);
  if (!NORMS.has(norm.node.label) || norm.output !== "y" || context.uses(norm) !== 1) return null;
  if (origin === null || origin.inputs.rows !== rows) return null;
  const { gather: gathered, router, ...kept } = norm.node.inputs;
  if (gathered !== undefined || router !== undefined) return null;
  const fused = {
    ...kept,
    scatter: rows,
    base,
    origin: origin.inputs.x as Value,
    ...(weight === undefined ? {} : { weight }),
  };
  const { gatherOf: _, ...attributes } = norm.node.attributes;
  return context.builder.op(norm.node.op as AnyOp, fused, attributes);
}

/** One router per norm at most: the row-dot nodes that read a norm's result, by norm. */
function routersOf(graph: Graph): Map<Node, Node> {
  const routers = new Map<Node, Node>();
  for (const node of graph.nodes) {
    if (node.label !== "row-dot") continue;
    const source = (node.inputs.x as Value).node;
    const vector = (node.inputs.w as Value).node.kind;
    if (
      NORMS.has(source.label) &&
      source.inputs.scatter === undefined &&
      vector === "parameter" &&
      !routers.has(source)
    ) {
      routers.set(source, node);
    }
  }
  return routers;
}

/** @returns the graph with residual sums, gathers and scatters taken into the norms, and sums into their gradients. */
export function fuseNorm(graph: Graph): Graph {
  return rewrite(rewrite(rewrite(rewrite(graph, residual), gather), scatter), gradientSum);
}

/** @returns the graph in which a norm gives the router's score of its rows as well. Must come after the other fusions. */
export function fuseRouterScore(graph: Graph): Graph {
  const routers = routersOf(graph);
  const scored = new Set(routers.values());
  return rewrite(graph, (node, inputs, context) => {
    if (scored.has(node)) {
      const score = inputs.x?.node.outputs.score;
      return score === undefined ? null : { y: score };
    }
    const router = routers.get(node);
    if (router === undefined) return null;
    const vector = context.mapped(router.inputs.w as Value);
    return context.builder.op(node.op as AnyOp, { ...inputs, router: vector }, node.attributes);
  });
}
