/** @file What a synthetic encoder is run as (dense, with its adapter, routed, composed), made ready to be built. */

import { adapterLeaf } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import { buildModel } from "../model/build.ts";
import type { BuildParts, Signature } from "../model/build.ts";
import { compose, fusionsOf } from "../model/composed.ts";
import { lengthsFor } from "../model/lengths.ts";
import type { BuiltGraph, Lengths } from "../model/lengths.ts";
import { coda } from "../routing/coda.ts";
import type { CodaPolicy, RoutedAttention } from "../routing/coda.ts";
import { BENCH_ADAPTER } from "./encoder.ts";
import type { Encoder } from "./encoder.ts";

/** What is run: the frozen layers alone, with the adapter, or routed around it. */
export type EncoderForm = { readonly kind: "dense" } | { readonly kind: "dense + adapter" } | RoutedForm | ComposedForm;

/** Every layer routed around its frozen part. */
export interface RoutedForm {
  readonly kind: "routed";
  readonly reduction: number;
  readonly attention: RoutedAttention;
}

/** A composition of adapters, or one adapter per sequence, with adapters left out of the lowest layers. */
export interface ComposedForm {
  readonly kind: "composed";
  readonly name: string;
  readonly adapters: Composition | readonly (string | null)[];
  readonly dropped?: number;
}

/** The form that speed-ups are measured against. */
export const baseForm: EncoderForm = { kind: "dense + adapter" };

/** @returns the form in words. */
export function formName(form: EncoderForm): string {
  if (form.kind === "composed") return form.name;
  return form.kind === "routed" ? `routed r = ${form.reduction}, ${form.attention}` : form.kind;
}

/** @returns the policy of a form, as a user would set it. */
export function policyOf(form: EncoderForm): CodaPolicy | null {
  return form.kind === "routed" ? coda({ reduction: form.reduction, attention: form.attention }) : null;
}

type Choice = Parameters<typeof compose>[1];

/** A form ready to be built: its signature, and what it is built from. */
export interface PreparedForm {
  readonly parts: BuildParts;
  readonly signature: Signature;
}

/** What runs in a form, as a model would have it set. */
function chosen(form: EncoderForm): Pick<Choice, "active" | "perSequence" | "dropped"> {
  const nothing = { active: null, perSequence: undefined, dropped: new Set<number>() };
  if (form.kind === "dense") return nothing;
  if (form.kind !== "composed")
    return { ...nothing, active: { composition: adapterLeaf(BENCH_ADAPTER), compat: false } };
  const dropped = new Set(Array.from({ length: form.dropped ?? 0 }, (_, layer) => layer));
  if ("kind" in form.adapters) return { ...nothing, dropped, active: { composition: form.adapters, compat: false } };
  return { ...nothing, dropped, perSequence: form.adapters };
}

/** Makes resident what a form needs, and says what it is built from. */
export async function prepareForm({ host, store }: Encoder, form: EncoderForm): Promise<PreparedForm> {
  const { dense } = compose(store, { ...chosen(form), light: null, compat: false });
  for (const resident of dense.residents) store.bank.prepare(resident);
  store.bank.acquire(dense.residents);
  for (const { name, children } of fusionsOf(dense.program)) await store.fusions.prepare(name, children);
  const programs = { dense: dense.program, light: dense.program };
  return {
    parts: { host, bank: store.bank, fusions: store.fusions, programs },
    signature: {
      source: "ids",
      composition: dense.key,
      light: null,
      compat: false,
      routing: policyOf(form),
      outputs: ["hidden", "routing"],
      heads: [],
      captures: [],
    },
  };
}

/** The graph before any pass: what is interpreted in float64, and what the cost model counts. */
export function plainGraph({ parts, signature }: PreparedForm): BuiltGraph {
  return buildModel(parts, signature, (graph) => graph);
}

/** Sizes and run-time inputs of a form over sequences of these lengths. */
export function lengthsOf(built: BuiltGraph, { host, bank, programs }: BuildParts, rows: readonly number[]): Lengths {
  const hostFeed = { inputs: {}, sizes: {} };
  return lengthsFor(built, { shape: host.shape, rows, hostFeed, bank, programs, types: null, slots: {} });
}
