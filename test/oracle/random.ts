/** @file Random cases for the oracle and the engine: a host, adapters, fusions, a setup and inputs, all from one seed. */

import type { Files } from "./adapter-files.ts";
import type { OracleRequest } from "./oracle.ts";
import { kindsFor, randomAdapter, randomFusion, randomHead } from "./random-adapters.ts";
import type { AdapterKind } from "./random-adapters.ts";
import { Draw } from "./random-draw.ts";
import { randomHost } from "./random-host.ts";
import type { RandomHost } from "./random-host.ts";
import { need } from "./rows.ts";
import type { SetupNode } from "./setup-tree.ts";

/** Shapes of setups that can be drawn. */
export type SetupShape =
  | "single"
  | "stack"
  | "fuse"
  | "fuseStack"
  | "stackFuse"
  | "split"
  | "splitStack"
  | "batchSplit"
  | "batchSplitStack"
  | "parallel"
  | "parallelStack"
  | "average"
  | "averageStack"
  | "stackAverage"
  | "stackSplit"
  | "stackBatchSplit"
  | "stackParallel";

/** All shapes. */
export const setupShapes: readonly SetupShape[] = [
  "single",
  "stack",
  "fuse",
  "fuseStack",
  "stackFuse",
  "split",
  "splitStack",
  "batchSplit",
  "batchSplitStack",
  "parallel",
  "parallelStack",
  "average",
  "averageStack",
  "stackAverage",
  "stackSplit",
  "stackBatchSplit",
  "stackParallel",
];

/** What may be fixed about a random case. */
export interface RandomOptions {
  readonly family?: RandomHost["family"];
  readonly shape?: SetupShape;
  /** The kind of every adapter; drawn otherwise, bottlenecks alone where the setup takes nothing else. */
  readonly kind?: AdapterKind;
  readonly compat?: boolean;
  /** Fields that every drawn configuration gets. */
  readonly fields?: Record<string, unknown>;
}

/** A case with a line that names it. */
export interface RandomCase extends OracleRequest {
  readonly title: string;
  readonly sizes: RandomHost;
  readonly adapters: Readonly<Record<string, Files>>;
  readonly fusions: Readonly<Record<string, Files>>;
  readonly active: SetupNode;
}

const leaf = (name: string): SetupNode => ({ type: "single", children: [name] });
const block = (type: string, children: readonly SetupNode[], kwargs: SetupNode["kwargs"] = {}): SetupNode => ({
  type,
  children,
  kwargs,
});

/** Shapes whose blocks only bottlenecks know. */
const bottlenecksOnly = /fuse|split(?!.*batch)|average/i;

/**
 * Draws a case. Under `compat` the drawn setups are such that the library runs them: no adapter is absent from a layer of a
 * block, no parallel bottleneck stands in a parallel block, prompts and linear methods stay alone.
 */
export function randomCase(seed: number, options: RandomOptions = {}): RandomCase {
  const draw = new Draw(seed);
  const compat = options.compat ?? false;
  const host = randomHost(draw.integer(0, 1e9), options.family);
  const shape = options.shape ?? draw.pick(setupShapes);
  const names = ["a", "b", "c", "d"].slice(0, shape === "single" ? 1 : draw.integer(shape === "stack" ? 2 : 3, 4));
  const length = draw.integer(4, 9);
  const batch = draw.integer(2, 4);
  const shared = sharedFields(draw, shape, compat, host);
  const kinds = names.map(() => options.kind ?? drawKind(draw, host, shape, compat));
  const adapters: Record<string, Files> = {};
  for (const [i, name] of names.entries()) {
    const kind = need(kinds[i], "a kind");
    // Other methods have none of a bottleneck's fields, and a prompt stands in no layer.
    const common = kind === "bottleneck" ? shared : "leave_out" in shared ? { leave_out: shared["leave_out"] } : {};
    const fields = { ...(kind === "prompt" ? {} : common), ...options.fields };
    const files = randomAdapter(host, name, kind, draw.integer(0, 1e9), fields);
    adapters[name] = { ...files, ...randomHead(host, name, draw.integer(0, 1e9)) };
  }
  const active = drawSetup(draw, shape, names, length, batch);
  // An adapter leaves out one layer at most, so with three some layer stays adapted.
  const skipLayers = host.layers > 2 && draw.chance(0.25) ? [draw.integer(0, host.layers - 1)] : [];
  return {
    title: `${seed}: ${host.family} ${host.width}×${host.layers} ${printSetup(active)} of ${kinds.join(", ")}`,
    sizes: host,
    host: host.files,
    adapters,
    fusions: fusionsOf(draw, host, active),
    active,
    skipLayers,
    compat,
    inputs: drawInputs(draw, host, /split/.test(shape) || shape === "stackSplit" ? length : undefined, batch),
  };
}

/** A block's children share their sites and layers where the library would fail otherwise. */
function sharedFields(draw: Draw, shape: SetupShape, compat: boolean, host: RandomHost): Record<string, unknown> {
  if (shape === "single" || shape === "stack" || !compat) return {};
  const before = draw.chance(0.5);
  return {
    leave_out: draw.chance(0.3) ? [draw.integer(0, host.layers - 1)] : [],
    mh_adapter: draw.chance(0.5),
    output_adapter: true,
    ...(/parallel/i.test(shape) ? { is_parallel: false, original_ln_before: before } : {}),
  };
}

function drawKind(draw: Draw, host: RandomHost, shape: SetupShape, compat: boolean): AdapterKind {
  if (bottlenecksOnly.test(shape) || (compat && shape !== "single")) return "bottleneck";
  // A prompt lengthens the sequence, which a branch beside it would not share.
  const kinds = kindsFor(host).filter((kind) => kind !== "prompt" || shape === "single");
  return draw.chance(0.4) ? "bottleneck" : draw.pick(kinds);
}

function drawSetup(draw: Draw, shape: SetupShape, names: readonly string[], length: number, batch: number): SetupNode {
  const leaves = names.map((name) => leaf(name));
  const [first, ...rest] = leaves as [SetupNode, ...SetupNode[]];
  const stacked = [block("Stack", leaves.slice(0, 2)), ...leaves.slice(2)];
  const inner = shape.replace(/^stack|Stack$/, "");
  const kind = inner.charAt(0).toUpperCase() + inner.slice(1);
  if (shape === "single") return block("Stack", [first]);
  if (shape === "stack") return block("Stack", leaves);
  const children = shape.startsWith("stack") ? rest : shape.endsWith("Stack") ? stacked : leaves;
  const made = block(kind, children, drawSizes(draw, kind, children.length, length, batch));
  return shape.startsWith("stack") ? block("Stack", draw.chance(0.5) ? [first, made] : [made, first]) : made;
}

function drawSizes(
  draw: Draw,
  kind: string,
  count: number,
  length: number,
  batch: number,
): NonNullable<SetupNode["kwargs"]> {
  if (kind === "Split") return { splits: cut(draw, length, count, 1) };
  if (kind === "BatchSplit") return { batch_sizes: cut(draw, batch, count, 0) };
  if (kind !== "Average") return {};
  const weights = Array.from({ length: count }, () => draw.integer(1, 4));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return { weights: weights.map((weight) => weight / sum) };
}

/** `count` parts of at least `least` that add up to `total`. */
function cut(draw: Draw, total: number, count: number, least: number): number[] {
  const parts = Array.from({ length: count }, () => least);
  for (let left = total - least * count; left > 0; left--) {
    const i = draw.integer(0, count - 1);
    parts[i] = need(parts[i], "a part") + 1;
  }
  return parts;
}

function drawInputs(draw: Draw, host: RandomHost, length: number | undefined, batch: number): number[][] {
  return Array.from({ length: batch }, () =>
    Array.from({ length: length ?? draw.integer(1, 9) }, () => draw.integer(1, host.vocabulary - 1)),
  );
}

/** A fusion for every fuse block. */
function fusionsOf(draw: Draw, host: RandomHost, node: SetupNode): Record<string, Files> {
  const children = node.children.filter((child): child is SetupNode => typeof child !== "string");
  const inner = Object.assign({}, ...children.map((child) => fusionsOf(draw, host, child))) as Record<string, Files>;
  if (node.type !== "Fuse") return inner;
  const names = children.map((child) => lastLeaf(child));
  return { ...inner, [names.join(",")]: randomFusion(host, names, draw.integer(0, 1e9)) };
}

function lastLeaf(node: SetupNode): string {
  const last = need(node.children.at(-1), "a child");
  return typeof last === "string" ? last : lastLeaf(last);
}

/** A setup as text. */
export function printSetup(node: SetupNode): string {
  if (node.type === "single") return String(node.children[0]);
  const children = node.children.map((child) => (typeof child === "string" ? child : printSetup(child)));
  const sizes = Object.values(node.kwargs ?? {}).map((value) => `; ${JSON.stringify(value)}`);
  return `${node.type}(${children.join(",")}${sizes.join("")})`;
}
