/**
 * @file One bottleneck at a residual site (MATHS §2.2, §2.3): what goes in, what is skipped, what comes out. f is the
 * sub-layer's output so far and h the residual stream, which stays what it was.
 */

import type { Value } from "../../graph/value.ts";
import { EXTRA, extraLayout } from "../pack-bottleneck.ts";
import type { ProgramLeaf } from "../program-leaves.ts";
import type { BottleneckStructure, Place } from "../structure.ts";
import type { Path } from "../feeds.ts";
import type { Rows, SiteContext } from "./context.ts";
import { unsupported } from "./context.ts";

/** A residual site as evaluations see it. */
export interface ResidualPlace extends Rows {
  readonly place: Place;
  readonly layer: number;
  /** h. */
  readonly stream: Value;
  readonly norm: ((x: Value) => Value) | null;
}

/** A leaf at a site, with its run-time inputs. */
export interface LeafAt {
  readonly structure: BottleneckStructure;
  readonly segments: Value;
  readonly slots: Value;
  /** In a training step the rate at which its up-output is left out; 0 elsewhere. */
  readonly rate: number;
  /** Its name among the places of the model. */
  readonly name: string;
}

/** @returns what a leaf has at a residual site, or null. */
export function bottleneckAt(leaf: ProgramLeaf, site: ResidualPlace): BottleneckStructure | null {
  return leaf.structure.layers[site.layer]?.bottlenecks[site.place] ?? null;
}

/** @returns the run-time inputs of a leaf. */
export function leafAt(context: SiteContext, leaf: ProgramLeaf, path: Path, site: ResidualPlace): LeafAt | null {
  const structure = bottleneckAt(leaf, site);
  if (structure === null) return null;
  return {
    structure,
    segments: context.segmentsOf(leaf, path, site),
    slots: context.slots(leaf, path),
    rate: context.rateOf(leaf, structure.table),
    name: ["layers", site.layer, site.place, ...path].join("."),
  };
}

/** LN(v + h) on post-LN hosts, v + h on pre-LN hosts: how a host closes a sub-layer. */
export function closeSubLayer(context: SiteContext, value: Value, site: ResidualPlace): Value {
  const sum = context.add(value, site.stream);
  return site.norm === null ? sum : site.norm(sum);
}

/** What a bottleneck reads and skips, from the output so far: x and res of MATHS §2.3. */
export function before(
  context: SiteContext,
  { originalBefore, residual, parallel }: BottleneckStructure,
  out: Value,
  site: ResidualPlace,
): { readonly x: Value; readonly res: Value } {
  if (parallel) return { x: site.stream, res: site.stream };
  if (residual === "sum" && site.norm === null) throw unsupported('residual_before_ln "post_add" on a pre-LN host');
  const x = originalBefore ? closeSubLayer(context, out, site) : out;
  if (residual === "output") return { x, res: out };
  return { x, res: residual === "input" ? x : context.add(out, site.stream) };
}

/** v: the scaled up-output before gate, skip and norm, [rows, d]. It is what AdapterFusion uses. */
export function upOutput(
  context: SiteContext,
  { structure, segments, slots }: LeafAt,
  x: Value,
  residual?: Value,
): Value {
  const input = structure.normBefore ? context.normalise(x) : x;
  return context.bottleneck(structure.table, { x: input, residual, segments, slots });
}

/** o + residual: the up-output with what a training step leaves out of it. */
function output(context: SiteContext, leaf: LeafAt, x: Value, residual?: Value): Value {
  if (leaf.rate === 0) return upOutput(context, leaf, x, residual);
  const kept = context.leaveOut(upOutput(context, leaf, x), leaf.rate, leaf.name);
  return residual === undefined ? kept : context.add(residual, kept);
}

/** The block of MATHS §2.2 with its skip; a residual of undefined leaves the skip away. */
export function block(context: SiteContext, leaf: LeafAt, x: Value, residual: Value | undefined): Value {
  const { structure, segments, slots } = leaf;
  const { gate, normAfter, residualInNorm, table } = structure;
  if (!gate && !normAfter) return output(context, leaf, x, residual);
  const extra = `${table}${EXTRA}`;
  const inner = normAfter && !(residualInNorm && !structure.parallel) ? undefined : residual;
  let sum: Value;
  if (gate) {
    const weight = context.gate(extra, x, 1, segments, slots);
    sum = context.addWeighted(inner, output(context, leaf, x), weight, segments);
  } else sum = output(context, leaf, x, inner);
  if (!normAfter) return sum;
  const layout = extraLayout(x.type.shape[1] as number);
  const outer = inner === undefined ? residual : undefined;
  const io = { x: context.normalise(sum), residual: outer, segments, slots };
  return context.affine(extra, io, { scaleAt: layout.gamma, shiftAt: layout.beta });
}

/**
 * @returns true when a segment without a slot keeps its sub-layer output and the host's own end, so that no mask is needed
 */
export function isTransparent({ parallel, residual, gate, normAfter, originalAfter }: BottleneckStructure): boolean {
  return !gate && !normAfter && originalAfter && (parallel || residual === "output");
}
