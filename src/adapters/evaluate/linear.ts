/**
 * @file A composition at a linear map (MATHS §2.7): LoRA adds, IA³ multiplies, each from the map's own input and result. A
 * stack of LoRAs adds all their changes; the library composes them as functions (see compat).
 */

import type { Value } from "../../graph/value.ts";
import type { LinearInputSite, LinearSite } from "../../sites/site.ts";
import type { Path } from "../feeds.ts";
import { childrenOf } from "../feeds.ts";
import { GROUPS, LINEAR_TABLES, groupOf, vectorLayout } from "../pack-linear.ts";
import type { Program } from "../program.ts";
import type { ProgramLeaf } from "../program-leaves.ts";
import { leaves } from "../program-leaves.ts";
import type { LinearStructure } from "../structure.ts";
import type { SiteContext } from "./context.ts";
import { unsupported } from "./context.ts";

type Step = (leaf: ProgramLeaf, path: Path, structure: LinearStructure, value: Value) => Value;

function structureAt(leaf: ProgramLeaf, layer: number, site: LinearInputSite): LinearStructure | null {
  const [first] = site.maps;
  return first === undefined ? null : (leaf.structure.layers[layer]?.linear[groupOf(first.map)] ?? null);
}

/** Columns of a site among those of its group: all, or the part that is computed. */
function columnsOf(site: LinearInputSite): { outWidth: number; first: number; count: number; maps: number } {
  const [start] = site.maps as [LinearSite["maps"][number]];
  const maps = GROUPS[groupOf(start.map)];
  const count = site.maps.reduce((sum, part) => sum + part.count, 0);
  return {
    outWidth: maps.length * start.count,
    first: maps.indexOf(start.map) * start.count,
    count,
    maps: maps.length,
  };
}

/** Applies a step at every leaf that stands at the site. */
function walk(
  context: SiteContext,
  program: Program,
  path: Path,
  value: Value,
  at: { readonly layer: number; readonly site: LinearInputSite; readonly step: Step },
): Value {
  const { layer, site, step } = at;
  if (leaves(program).every((leaf) => structureAt(leaf, layer, site) === null)) return value;
  const go = (child: Program, index: number, from: Value): Value => walk(context, child, [...path, index], from, at);
  switch (program.kind) {
    case "none":
      return value;
    case "leaf": {
      const structure = structureAt(program, layer, site);
      return structure === null ? value : step(program, path, structure, value);
    }
    case "copies":
      return go(program.program, 0, value);
    case "stack":
      return program.children.reduce((current, child, index) => go(child, index, current), value);
    case "fuse":
      throw unsupported("fuse(...) of adapters that stand at linear maps: only bottlenecks can be fused");
    case "average": {
      const segments = context.segmentsOf(program, path, site);
      const factor = context.compat ? 1 / program.children.length : 1;
      const weight = (child: number, rest = false): Value => context.weight(program, path, { child, factor, rest });
      return program.children.reduce(
        (sum, child, index) => context.addWeighted(sum, go(child, index, value), weight(index), segments),
        context.addWeighted(undefined, value, weight(0, true), segments),
      );
    }
    case "choose":
      return walkChoose(context, program, path, value, at);
  }
}

function walkChoose(
  context: SiteContext,
  program: Extract<Program, { kind: "choose" }>,
  path: Path,
  value: Value,
  at: { readonly layer: number; readonly site: LinearInputSite; readonly step: Step },
): Value {
  const here = childrenOf(program).map((child, group) => ({ child, group }));
  // Gated IA³ and averages are no identities where a segment has no slot; all others are.
  const masked = ({ child }: { child: Program }): boolean =>
    hasAverage(child) ||
    leaves(child).some((leaf) => {
      const structure = structureAt(leaf, at.layer, at.site);
      return structure !== null && structure.gate && !structure.lora;
    });
  return here.reduce((current, { child, group }) => {
    const result = walk(context, child, [...path, group], masked({ child }) ? value : current, at);
    if (!masked({ child })) return result;
    return context.choose(
      current,
      result,
      context.mask(program, path, group),
      context.segmentsOf(program, path, at.site),
    );
  }, value);
}

function hasAverage(program: Program): boolean {
  return program.kind === "average" || childrenOf(program).some(hasAverage);
}

/** The rows that a matrix product reads: PEFT's IA³ scales them. */
export function evaluateInput(context: SiteContext, layer: number, site: LinearInputSite): Value {
  const step: Step = (leaf, path, structure, value) => {
    if (!structure.input) return value;
    const { outWidth } = columnsOf(site);
    const io = { x: value, segments: context.segmentsOf(leaf, path, site), slots: context.slots(leaf, path) };
    const layout = vectorLayout(outWidth, value.type.shape[1] as number);
    return context.affine(`${structure.table}${LINEAR_TABLES.vector}`, io, { scaleAt: layout.input });
  };
  return walk(context, context.program, [], site.x, { layer, site, step });
}

/** The result of a matrix product. */
export function evaluateLinear(context: SiteContext, layer: number, site: LinearSite): Value {
  const columns = columnsOf(site);
  const step: Step = (leaf, path, structure, value) => {
    const segments = context.segmentsOf(leaf, path, site);
    const slots = context.slots(leaf, path);
    const gates = structure.gate ? gatesOf(context, structure, site, { segments, slots }) : null;
    let y = value;
    if (structure.lora) {
      const table = `${structure.table}${LINEAR_TABLES.lora}`;
      const place = ["layers", layer, structure.table, columns.first, ...path].join(".");
      const x = context.leaveOut(site.x, context.rateOf(leaf, structure.table), place);
      const change = (residual?: Value): Value => context.bottleneck(table, { x, residual, segments, slots }, columns);
      y = gates === null ? change(y) : context.addWeighted(y, change(), gates, segments);
    }
    if (!structure.scale) return y;
    const layout = vectorLayout(columns.outWidth, site.x.type.shape[1] as number);
    const at = {
      scaleAt: 0,
      firstColumn: columns.first,
      ...(structure.shift ? { shiftAt: layout.shift } : {}),
    };
    const scaled = context.affine(`${structure.table}${LINEAR_TABLES.vector}`, { x: y, segments, slots }, at);
    return gates === null || structure.lora ? scaled : context.addWeighted(undefined, scaled, gates, segments);
  };
  return walk(context, context.program, [], site.y, { layer, site, step });
}

function gatesOf(
  context: SiteContext,
  structure: LinearStructure,
  site: LinearSite,
  at: { readonly segments: Value; readonly slots: Value },
): Value {
  const { maps, first, outWidth } = columnsOf(site);
  // Maps that are computed over other rows than their neighbours (k-to-all routing) have gates of those rows.
  const part = { firstGate: first / (outWidth / maps), slotGates: maps };
  const gates = site.maps.length;
  return context.gate(`${structure.table}${LINEAR_TABLES.gate}`, site.x, gates, at.segments, at.slots, part);
}
