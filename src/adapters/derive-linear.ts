/** @file Functions on linear maps of which packing folds something: VeRA, DoRA, vectors with a factor, maps whose products have several scales. */

import type { Value } from "../graph/value.ts";
import { rowDot } from "../ops/row-dot.ts";
import type { LinearMap } from "../sites/site.ts";
import { combine, number, placed, product } from "./derive.ts";
import type { DerivationDraft, Term } from "./derive.ts";
import { linearParts } from "./linear-parts.ts";
import type { FrozenMap, PartSettings } from "./linear-parts.ts";
import { groupShape } from "./pack.ts";
import { GROUPS, LINEAR_TABLES, commonFactor, groupOf, vectorLayout } from "./pack-linear.ts";
import type { GroupShape, LinearPart } from "./pack-linear.ts";
import type { MapGroup } from "./structure.ts";

/** A map's place in the tables of its group. */
interface MapAt {
  readonly prefix: string;
  readonly layer: number;
  readonly map: LinearMap;
  /** The table of the group. */
  readonly table: string;
  readonly shape: GroupShape;
  /** The first output column of the map, and of all maps of the group. */
  readonly top: number;
  readonly outputs: number;
}

type LowRank = Extract<LinearPart, { kind: "lora" }>;

/** m / ‖W + s B A‖ per output row (MATHS §2.7). PEFT's norm counts as a constant. */
function deriveMagnitudes(
  draft: DerivationDraft,
  at: MapAt,
  pair: { a: Term; b: Term },
  part: LowRank,
  peft: boolean,
): void {
  const { prefix, layer, map, table, shape, top, outputs } = at;
  const { columns, inputs } = shape;
  const { weight, bias } = (draft.from.frozen as FrozenMap)(layer, map);
  const base = draft.given(`frozen ${prefix}weight`, [columns, inputs], weight);
  const b = peft && part.factor !== 1 ? combine("mul", pair.b, number(part.factor)) : pair.b;
  const whole = product(b, pair.a, { transposed: true, residual: base });
  const lengths = combine("sqrt", (kit) => {
    const rows = whole(kit);
    return kit.b.op(rowDot, { x: rows, w: rows }, {}).y as Value;
  });
  const norm: Term = peft ? (kit) => kit.b.withGradient(lengths(kit), [], () => []) : lengths;
  const scale = combine("div", draft.source(`${prefix}m.weight`, { shape: [columns] }), norm);
  const vectors = `${table}${LINEAR_TABLES.vector}`;
  draft.stretch(vectors, top, [columns], scale);
  if (!peft || bias === null) return;
  const outside = draft.given(`frozen ${prefix}bias`, [columns], bias);
  const shift = combine("sub", outside, combine("mul", outside, scale));
  draft.stretch(vectors, vectorLayout(outputs, inputs).shift + top, [columns], shift);
}

/** A [r, in] and B [out, r]: the adapter's own, or VeRA's frozen pair between its two trained matrices. */
function pairOf(draft: DerivationDraft, prefix: string): { readonly a: Term; readonly b: Term } {
  if (!draft.from.tensors.has(`${prefix}vera_D`))
    return { a: draft.source(`${prefix}lora_A`), b: draft.source(`${prefix}lora_B`) };
  const frozen = (name: string): Term => draft.source(`shared_parameters.${name}`, { trained: false });
  return {
    a: product(draft.source(`${prefix}vera_D`), frozen("lora_A"), { transposed: true }),
    b: product(draft.source(`${prefix}vera_B`), frozen("lora_B"), { transposed: true }),
  };
}

/** @param own the factor that B takes in, since maps of one product have several */
function deriveLowRank(
  draft: DerivationDraft,
  at: MapAt,
  part: LowRank,
  { first, own, peft }: { first: number; own: number; peft: boolean },
): void {
  const { prefix, table, shape, top, outputs } = at;
  const { tensors } = draft.from;
  const magnitudes = tensors.has(`${prefix}m.weight`);
  const vera = tensors.has(`${prefix}vera_D`);
  if (!magnitudes && !vera && own === 1) return;
  const low = `${table}${LINEAR_TABLES.lora}`;
  const room = draft.from.room(low);
  const { inputs, columns } = shape;
  const pair = magnitudes || vera ? pairOf(draft, prefix) : { a: null, b: draft.source(`${prefix}lora_B`) };
  if (pair.a !== null) draft.stretch(low, first * inputs, [part.rank, inputs], pair.a);
  const scaled = own === 1 ? pair.b : combine("mul", pair.b, number(own));
  draft.stretch(low, room * inputs + top * room, [columns, room], placed(scaled, { first, count: part.rank, room }));
  if (own !== 1 && part.bias !== null) {
    const bias = combine("mul", draft.source(`${prefix}lora_bias`), number(own));
    draft.stretch(low, room * (inputs + outputs) + room + top, [columns], bias);
  }
  if (magnitudes) deriveMagnitudes(draft, at, pair as { a: Term; b: Term }, part, peft);
}

function deriveGroup(
  draft: DerivationDraft,
  settings: PartSettings,
  at: Omit<MapAt, "prefix" | "map" | "top">,
  group: MapGroup,
  parts: readonly LinearPart[],
): void {
  const common = commonFactor(parts.filter((part) => part.kind === "lora"));
  let first = 0;
  for (const part of parts) {
    const { map } = part;
    const top = GROUPS[group].indexOf(map) * at.shape.columns;
    const here = { ...at, map, prefix: `layers.${at.layer}.${map}.`, top };
    if (part.kind === "lora") {
      deriveLowRank(draft, here, part, { first, own: part.factor / common, peft: settings.dora === "peft" });
      first += part.rank;
    } else if (part.kind === "output" && part.gate === null && settings.alpha !== 1) {
      const own = draft.source(`${here.prefix}lora_B`, { shape: [at.shape.columns] });
      const table = `${at.table}${LINEAR_TABLES.vector}`;
      draft.stretch(table, top, [at.shape.columns], combine("mul", own, number(settings.alpha)));
    }
  }
}

/** Adds what the slots of functions on linear maps are computed of. */
export function deriveLinear(draft: DerivationDraft, settings: PartSettings): void {
  const { host, tensors, frozen } = draft.from;
  for (let layer = 0; layer < host.layers; layer += 1) {
    const parts = linearParts(tensors, layer, settings, frozen);
    for (const group of Object.keys(GROUPS) as MapGroup[]) {
      const own = parts.filter(({ map }) => groupOf(map) === group);
      const shape = groupShape(host, group);
      const outputs = GROUPS[group].length * shape.columns;
      deriveGroup(draft, settings, { layer, table: `layers.${layer}.${group}`, shape, outputs }, group, own);
    }
  }
}
