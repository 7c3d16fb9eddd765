/** @file Bottlenecks of which packing folds something: a Compacter's factors, the affine part of the norm before, a scaling that is trained. */

import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { rowDot } from "../ops/row-dot.ts";
import { scaleRows } from "../ops/scale-rows.ts";
import type { BottleneckConfig } from "./config/types.ts";
import { combine, placed, product } from "./derive.ts";
import type { DerivationDraft, Term } from "./derive.ts";
import { bottleneckScopes } from "./pack-bottleneck.ts";
import { need } from "./tensors.ts";

/** The two factors of R_i or of L_i M_i, or the whole, as [m, n] for every i. */
function factors(
  draft: DerivationDraft,
  names: { readonly whole: string; readonly left: string; readonly right: string },
): readonly Term[] {
  const { tensors } = draft.from;
  const pieces = (name: string): Term[] => {
    const [count, m, n] = need(tensors, name).shape as [number, number, number];
    return Array.from({ length: count }, (_, i) => draft.source(name, { from: i * m * n, shape: [m, n] }));
  };
  if (tensors.has(names.whole)) return pieces(names.whole);
  const right = pieces(names.right);
  return pieces(names.left).map((left, i) => product(left, right[i] as Term, { transposed: true }));
}

function rule(draft: DerivationDraft, prefix: string): readonly Term[] {
  const own = [`${prefix}phm_rule`, "shared_parameters.phm_rule"];
  const { tensors } = draft.from;
  const at = own.find((name) => tensors.has(name) || tensors.has(`${name}_left`)) ?? `${prefix}phm_rule`;
  return factors(draft, { whole: at, left: `${at}_left`, right: `${at}_right` });
}

function blocks(draft: DerivationDraft, prefix: string, shared: string): readonly Term[] {
  const at = draft.from.tensors.has(`${prefix}W_left`) ? `${prefix}W` : `shared_parameters.${shared}`;
  return factors(draft, { whole: `${prefix}W`, left: `${at}_left`, right: `${at}_right` });
}

/** [p², m n] with (a, c) and (u, v) as [p n, p m] with (c, v) and (a, u). */
function interleaved(
  b: GraphBuilder,
  constants: { indices: (b: GraphBuilder, data: Uint32Array) => Value },
  x: Value,
  [p, m, n]: readonly [number, number, number],
): Value {
  const order = new Uint32Array(p * p * m * n);
  for (let a = 0; a < p; a += 1)
    for (let c = 0; c < p; c += 1)
      for (let u = 0; u < m; u += 1)
        for (let v = 0; v < n; v += 1) order[(c * n + v) * p * m + a * m + u] = ((a * p + c) * m + u) * n + v;
  const elements = b.reshape(x, [order.length, 1]);
  const y = b.op(gatherRows, { x: elements, rows: constants.indices(b, order) }, {}).y as Value;
  return b.reshape(y, [p * n, p * m]);
}

/** W = Σ_i kron(R_i, L_i M_i) as [out, in] (MATHS §2.8). */
function hypercomplex(
  draft: DerivationDraft,
  prefix: string,
  shared: string,
  [inputs, outputs]: readonly [number, number],
): Term {
  const [r, lm] = [rule(draft, prefix), blocks(draft, prefix, shared)];
  const p = r.length;
  const [m, n] = [inputs / p, outputs / p];
  return (kit) => {
    const { b, constants } = kit;
    const sum = r.reduce<Term | undefined>((before, one, i) => {
      const column: Term = () => b.reshape(one(kit), [p * p, 1]);
      const row: Term = () => b.reshape((lm[i] as Term)(kit), [m * n, 1]);
      return product(column, row, before === undefined ? {} : { residual: before });
    }, undefined) as Term;
    return interleaved(b, constants, sum(kit), [p, m, n]);
  };
}

/** The offsets of a bottleneck's slot: down [B, D], up [D, B], down bias [B], up bias [D]. */
interface Slot {
  readonly table: string;
  readonly prefix: string;
  readonly width: number;
  readonly units: number;
  readonly room: number;
}

function deriveDown(
  draft: DerivationDraft,
  config: BottleneckConfig,
  { table, prefix, width, units, room }: Slot,
): void {
  const { phm_layer: phm, ln_before: norm } = config;
  if (!phm && !norm) return;
  const at = `${prefix}adapter_down.0.`;
  const weight = phm ? hypercomplex(draft, at, "W_down", [width, units]) : draft.source(`${at}weight`);
  if (!norm) {
    draft.stretch(table, 0, [units, width], weight);
    return;
  }
  const gamma = draft.source(`${prefix}adapter_norm_before.weight`);
  const beta = draft.source(`${prefix}adapter_norm_before.bias`);
  const shift: Term = (kit) => kit.b.op(rowDot, { x: weight(kit), w: beta(kit) }, {}).y as Value;
  draft.stretch(table, 0, [units, width], combine("mul", weight, gamma));
  const bias = `${at}${phm ? "b" : "bias"}`;
  const whole = draft.from.tensors.has(bias) ? combine("add", shift, draft.source(bias)) : shift;
  draft.stretch(table, 2 * room * width, [units], whole);
}

function deriveUp(draft: DerivationDraft, config: BottleneckConfig, { table, prefix, width, units, room }: Slot): void {
  const { phm_layer: phm, scaling } = config;
  if (!phm && typeof scaling === "number") return;
  const at = `${prefix}adapter_up.`;
  const weight = phm ? hypercomplex(draft, at, "W_up", [units, width]) : draft.source(`${at}weight`);
  const whole = placed(weight, { first: 0, count: units, room });
  const from = room * width;
  if (typeof scaling === "number") {
    draft.stretch(table, from, [width, room], whole);
    return;
  }
  const factor = draft.source(`${prefix}scaling`, { shape: [scaling === "channel" ? width : 1] });
  const rows: Term = (kit) => kit.b.op(scaleRows, { x: whole(kit), weight: factor(kit) }, {}).y as Value;
  draft.stretch(table, from, [width, room], scaling === "channel" ? rows : combine("mul", whole, factor));
  const bias = `${at}${phm ? "b" : "bias"}`;
  if (draft.from.tensors.has(bias))
    draft.stretch(table, 2 * room * width + room, [width], combine("mul", draft.source(bias), factor));
}

/** Adds what a bottleneck's slots are computed of. */
export function deriveBottlenecks(draft: DerivationDraft, config: BottleneckConfig): void {
  const { host, tensors, room } = draft.from;
  for (const { table, prefix } of bottleneckScopes(config, host.layers)) {
    const units = tensors.get(`${prefix}adapter_down.0.${config.phm_layer ? "b" : "bias"}`)?.shape[0];
    const known = units ?? (need(tensors, `${prefix}adapter_down.0.weight`).shape[0] as number);
    const slot = { table, prefix, width: host.width, units: known, room: room(table) };
    deriveDown(draft, config, slot);
    deriveUp(draft, config, slot);
  }
}
