/** @file One way to run a synthetic encoder (dense, with its adapter, routed) as a candidate of a bench. */

import { adapterLeaf } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import type { Comparison } from "../cases/check.ts";
import { buildModel } from "../model/build.ts";
import type { BuildParts, Signature } from "../model/build.ts";
import { compose, fusionsOf } from "../model/composed.ts";
import { capacitiesFor, lengthsFor } from "../model/lengths.ts";
import type { BuiltGraph, Lengths } from "../model/lengths.ts";
import type { HostTensor } from "../graph/plan.ts";
import { normal } from "../random.ts";
import { coda } from "../routing/coda.ts";
import type { CodaPolicy, RoutedAttention } from "../routing/coda.ts";
import { denseFlops, expectSameFlops, graphFlops, routedFlops } from "./cost-model.ts";
import { BENCH_ADAPTER } from "./encoder.ts";
import type { Encoder } from "./encoder.ts";
import type { Candidate } from "./harness.ts";
import { PlannedRun } from "./planned-run.ts";
import { compareWithFloat64 } from "./verify-encoder.ts";

/** What is run: the frozen layers alone, with the adapter, or routed around it. */
export type EncoderForm =
  | { readonly kind: "dense" }
  | { readonly kind: "dense + adapter" }
  | { readonly kind: "routed"; readonly reduction: number; readonly attention: RoutedAttention }
  | ComposedForm;

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
interface Prepared {
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

async function prepare({ host, store }: Encoder, form: EncoderForm): Promise<Prepared> {
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
function plainGraph({ parts, signature }: Prepared): BuiltGraph {
  return buildModel(parts, signature, (graph) => graph);
}

function lengthsOf(built: BuiltGraph, { host, bank, programs }: BuildParts, rows: readonly number[]): Lengths {
  const hostFeed = { inputs: {}, sizes: {} };
  return lengthsFor(built, { shape: host.shape, rows, hostFeed, bank, programs, types: null, slots: {} });
}

/**
 * FLOP of all layers: by MATHS §1.6 where it has the form, else what the ops of the graph state.
 * @throws EngineError VALIDATION when the ops of the graph count differently from MATHS
 */
function formFlops(encoder: Encoder, form: EncoderForm, prepared: Prepared, lengths: readonly number[]): number {
  const { sizes } = encoder;
  const built = plainGraph(prepared);
  const counted = graphFlops(built.graph, lengthsOf(built, prepared.parts, lengths).sizes);
  if (form.kind === "composed") return counted;
  const cost = form.kind === "dense" ? { ...sizes, bottleneck: 0 } : sizes;
  const layer =
    form.kind === "routed" ? routedFlops(cost, lengths, form.reduction, form.attention) : denseFlops(cost, lengths);
  const flops = layer * sizes.layers;
  // The attention op knows the mean length only, so its cost is exact where all sequences are equally long.
  if (new Set(lengths).size === 1) expectSameFlops(formName(form), sizes.width, flops, counted);
  return flops;
}

/** A planned form with its truth. */
export interface EncoderCandidate extends Candidate {
  readonly form: EncoderForm;
  readonly flops: number;
  readonly planned: PlannedRun;
}

/**
 * Plans one form over sequences of these lengths, with the capacities that a model would choose for sequences of `room`: the
 * same kernels then run on fewer rows.
 */
export async function encoderCandidate(
  encoder: Encoder,
  form: EncoderForm,
  lengths: readonly number[],
  room: readonly number[] = lengths,
): Promise<EncoderCandidate> {
  const { gpu, host, parameters, arena } = encoder;
  const prepared = await prepare(encoder, form);
  const built = buildModel(prepared.parts, prepared.signature);
  const batch = lengthsOf(built, prepared.parts, lengths);
  const { sizes } = batch;
  const x = normal(1, (sizes.rows as number) * host.shape.width);
  const capacities = capacitiesFor(lengthsOf(built, prepared.parts, room), undefined);
  const work = { graph: built.graph, inputs: { ...batch.inputs, x }, sizes, capacities };
  const planned = await PlannedRun.create(gpu, parameters, arena, work);
  const verify = async (say: (doing: string) => void): Promise<Comparison> => {
    const { outputs } = await planned.run();
    return verifyForm(encoder, form, { lengths, arrays: { x }, outputs }, say);
  };
  const flops = formFlops(encoder, form, prepared, lengths);
  return { name: formName(form), form, flops, planned, verify, run: async () => (await planned.run()).milliseconds };
}

/** A run that came about somewhere else: its lengths, the arrays that the host's embedding read, what it gave. */
export interface FormRun {
  readonly lengths: readonly number[];
  readonly arrays: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly outputs: Readonly<Record<string, HostTensor>>;
}

/** Compares a run of a form with float64, with the weights of this encoder. */
export async function verifyForm(
  encoder: Encoder,
  form: EncoderForm,
  { lengths, arrays, outputs }: FormRun,
  say: (doing: string) => void,
): Promise<Comparison> {
  const prepared = await prepare(encoder, form);
  const built = plainGraph(prepared);
  const batch = lengthsOf(built, prepared.parts, lengths);
  return compareWithFloat64({
    encoder,
    graph: built.graph,
    inputs: { ...batch.inputs, ...arrays },
    sizes: batch.sizes,
    outputs,
    policy: prepared.signature.routing,
    lengths,
    say,
  });
}
