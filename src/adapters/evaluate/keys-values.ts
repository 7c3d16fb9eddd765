/** @file Prefixes in front of keys and values (MATHS §2.8): rows of the bank joined to a sequence's own rows. */

import type { Value } from "../../graph/value.ts";
import { gatherRows } from "../../ops/gather-rows.ts";
import { joinRows } from "../../ops/join-rows.ts";
import { runtimeDim } from "../../ops/op.ts";
import type { Dim } from "../../ops/op.ts";
import type { KeyValueSite, KeysAndValues } from "../../sites/site.ts";
import { gateTable } from "../pack-rows.ts";
import { prefixesOf } from "../program-leaves.ts";
import type { ProgramLeaf } from "../program-leaves.ts";
import type { Path, PrefixRange, Stage } from "../feeds.ts";
import { childrenOf } from "../feeds.ts";
import type { Program } from "../program.ts";
import type { LayerStructure } from "../structure.ts";
import { stagePrefix, unsupported } from "./context.ts";
import type { SiteContext } from "./context.ts";

/** Leaves with their paths, in order. */
function leavesWithPaths(program: Program, path: Path): { leaf: ProgramLeaf; path: Path }[] {
  if (program.kind === "leaf") return [{ leaf: program, path }];
  return childrenOf(program).flatMap((child, index) => leavesWithPaths(child, [...path, index]));
}

function prefixAt({ structure }: ProgramLeaf, layer: number): NonNullable<LayerStructure["prefix"]> {
  return (structure.layers[layer] as LayerStructure).prefix as NonNullable<LayerStructure["prefix"]>;
}

/** Rows of a prefix are weighed by a gate, or in a training step some of their elements are left out: they are values of their own then. */
function isGathered(context: SiteContext, leaf: ProgramLeaf, layer: number): boolean {
  const { table, gates } = prefixAt(leaf, layer);
  return gates > 0 || context.rateOf(leaf, table) > 0;
}

/** Which prefixes of a layer a run-time input is about. */
interface PrefixAt {
  readonly stage: Stage;
  readonly layer: number;
  readonly keys: string;
  readonly range: PrefixRange;
}

function refuseMixtures(program: Program, layer: number): void {
  const blend = (node: Program): boolean => {
    const blends = node.kind === "average" || node.kind === "fuse" || (node.kind === "choose" && node.cut !== null);
    return (blends && prefixesOf(node, layer).length > 0) || childrenOf(node).some(blend);
  };
  if (blend(program))
    throw unsupported("average, fuse or split of prefixes: a prefix can be stacked, or chosen per sequence");
}

/** Keys and values with the prefixes of every sequence in front; the site's own where there are none. */
export function evaluateKeysValues(context: SiteContext, layer: number, site: KeyValueSite): KeysAndValues {
  const carrying = prefixesOf(context.program, layer);
  if (carrying.length === 0) return site;
  refuseMixtures(context.program, layer);
  if (site.relativeBias) throw unsupported("a prefix on a host with relative position bias: its rows have no position");
  const gathered = carrying.some((leaf) => isGathered(context, leaf, layer));
  if (site.segments.node.kind === "op")
    throw unsupported('a prefix among keys that a router counts on the GPU: route with attention "k-to-all"');
  // Prefixes are rows of one table. A gate weighs the rows of its own prefix, so these join one by one.
  const ranges = gathered ? carrying.map((_, at) => ({ from: at, to: at + 1 })) : [{ from: 0, to: carrying.length }];
  const joined = ranges.reduce<KeysAndValues>((there, range) => join(context, layer, site, there, range), site);
  if (!site.causal || site.keySelection !== null) return joined;
  const feed = { kind: "prefix-positions", stage: context.stage, layer } as const;
  const keys = joined.kv.type.shape[0] as Dim;
  return { ...joined, positions: context.feed(`prefix.${layer}.positions`, [keys], feed) };
}

/** Puts the prefixes of some leaves in front of the keys and values that are there. */
function join(
  context: SiteContext,
  layer: number,
  site: KeyValueSite,
  there: KeysAndValues,
  range: PrefixRange,
): KeysAndValues {
  const { b, bank, names, stage } = context;
  const leaf = prefixesOf(context.program, layer)[range.from] as ProgramLeaf;
  const { table } = prefixAt(leaf, layer);
  const keys = site.segments.node.label;
  const at = { stage, layer, keys, range };
  const tag = `prefix.${layer}.${range.from}-${range.to}.${bank.room(table)}.${keys}`;
  const gathered = isGathered(context, leaf, layer);
  const form = gathered ? "gathered" : "joined";
  const index = context.feed(tag, [runtimeDim(`${stagePrefix(stage)}${tag}.rows`)], {
    kind: "prefix-rows",
    ...at,
    form,
  });
  const rows = gathered ? gatheredRows(context, site, { tag, leaf, at }) : bank.values(b, table).bank;
  const kv = b.op(joinRows, { a: there.kv, b: rows, rows: index }, { width: 2 * site.width, aAt: there.kAt })
    .y as Value;
  const segments = context.feed(`${tag}.segments`, [names.offsets], { kind: "prefix-segments", ...at, joined: true });
  // Rows of the second source lie past the end of the first: they get position 0, which every query sees.
  const positions =
    there.positions === undefined ? undefined : (b.op(gatherRows, { x: there.positions, rows: index }, {}).y as Value);
  return { kv, kAt: 0, vAt: site.width, segments, positions };
}

/** Rows of one leaf's prefix, without what a training step leaves out, weighed by the gate of their sequence (UniPELT). */
function gatheredRows(
  context: SiteContext,
  site: KeyValueSite,
  { tag, leaf, at }: { readonly tag: string; readonly leaf: ProgramLeaf; readonly at: PrefixAt },
): Value {
  const { b, bank, names, stage } = context;
  const { table, gates } = prefixAt(leaf, at.layer);
  const dim = runtimeDim(`${stagePrefix(stage)}${tag}.bank.rows`);
  const index = context.feed(`${tag}.bank`, [dim], { kind: "prefix-rows", ...at, form: "bank" });
  const gathered = b.op(gatherRows, { x: bank.values(b, table).bank, rows: index }, {}).y as Value;
  const path = (leavesWithPaths(context.program, []).find((one) => one.leaf === leaf) as { path: Path }).path;
  const place = ["layers", at.layer, "prefix", ...path].join(".");
  const rows = context.leaveOut(gathered, context.rateOf(leaf, table), place);
  if (gates === 0) return rows;
  const own = context.feed(`${tag}.own`, [names.offsets], { kind: "prefix-segments", ...at, joined: false });
  const segments = site.keySelection?.segments ?? context.segments;
  const weight = context.gate(gateTable(table, gates), site.input, gates, segments, context.slots(leaf, path));
  return context.addWeighted(undefined, rows, weight, own);
}
