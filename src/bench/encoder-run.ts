/** @file One way to run a synthetic encoder (dense, with its adapter, routed) as a candidate of a bench. */

import type { Comparison } from "../cases/check.ts";
import { buildModel } from "../model/build.ts";
import { knownTables } from "../model/known-tables.ts";
import { capacitiesFor } from "../model/lengths.ts";
import type { BuiltGraph, Lengths } from "../model/lengths.ts";
import type { WantedRows } from "../graph/interpret-rows.ts";
import type { HostTensor } from "../graph/plan.ts";
import { explain } from "../graph/explain.ts";
import { normal } from "../random.ts";
import { denseTerms, expectSameTerms, graphTerms, layersOf, routedTerms, totalOf } from "./cost-model.ts";
import type { Encoder } from "./encoder.ts";
import { isGated } from "./encoder-host.ts";
import { formName, lengthsOf, plainGraph, prepareForm } from "./encoder-forms.ts";
import type { EncoderForm } from "./encoder-forms.ts";
import type { Candidate } from "./harness.ts";
import { PlannedRun } from "./planned-run.ts";
import { sampleRows } from "./sampled-rows.ts";
import { compareWithFloat64 } from "./verify-encoder.ts";

export { baseForm, formName } from "./encoder-forms.ts";
export type { ComposedForm, EncoderForm } from "./encoder-forms.ts";

/**
 * FLOP of all layers, as the ops of the plan's graph state them in the terms of MATHS §1.6.
 * @throws EngineError VALIDATION when MATHS has the form and counts differently
 */
function formFlops(encoder: Encoder, form: EncoderForm, built: BuiltGraph, batch: Lengths): number {
  const { sizes } = encoder;
  const lengths = batch.source.rows;
  const counted = graphTerms(built.graph, batch.sizes, knownTables(batch));
  if (form.kind === "composed") return totalOf(counted);
  const cost = { ...sizes, gated: isGated(sizes), ...(form.kind === "dense" ? { bottleneck: 0 } : {}) };
  const layer =
    form.kind === "routed" ? routedTerms(cost, lengths, form.reduction, form.attention) : denseTerms(cost, lengths);
  expectSameTerms(formName(form), layersOf(sizes.layers, layer), counted);
  return totalOf(counted);
}

/** Runs of more FLOP than this are compared with float64 in some rows: all of them would take minutes. */
export const SAMPLED_ABOVE = 10e9;
const SAMPLE_SEED = 1;

/** A planned form with its truth. */
export interface EncoderCandidate extends Candidate {
  readonly form: EncoderForm;
  readonly flops: number;
  /** Launches of a run. */
  readonly launches: number;
  readonly planned: PlannedRun;
  /** Whether the hidden states are compared in some rows only; what routers choose is always compared in full. */
  readonly sampled: boolean;
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
  sampledAbove: number = SAMPLED_ABOVE,
): Promise<EncoderCandidate> {
  const { gpu, host, parameters, arena } = encoder;
  const prepared = await prepareForm(encoder, form);
  const built = buildModel(prepared.parts, prepared.signature);
  const batch = lengthsOf(built, prepared.parts, lengths);
  const { sizes } = batch;
  const x = normal(1, (sizes.rows as number) * host.shape.width);
  const capacities = capacitiesFor(lengthsOf(built, prepared.parts, room), undefined);
  const work = { graph: built.graph, inputs: { ...batch.inputs, x }, sizes, capacities };
  const planned = await PlannedRun.create(gpu, parameters, arena, work);
  const flops = formFlops(encoder, form, built, batch);
  const { launches } = explain(planned.plan.steps, planned.plan.memory, sizes);
  // A composition may make rows of its own, copies for instance, that the lengths do not tell of.
  const sampled = flops > sampledAbove && form.kind !== "composed";
  const verify = async (say: (doing: string) => void): Promise<Comparison> => {
    const { outputs } = await planned.run();
    const rows = sampled ? sampleRows(lengths, [lastSelection(encoder, outputs)], SAMPLE_SEED) : null;
    return verifyForm(encoder, form, { lengths, arrays: { x }, outputs, rows }, say);
  };
  const run = async (): Promise<number> => (await planned.run()).milliseconds;
  return { name: formName(form), form, flops, launches, planned, sampled, verify, run };
}

/** The rows that the heavy path of the last layer has computed; none where it is dense. */
function lastSelection({ sizes }: Encoder, outputs: Readonly<Record<string, HostTensor>>): Uint32Array {
  const selected = outputs[`routing.${sizes.layers - 1}.selected`];
  return selected === undefined ? new Uint32Array(0) : (selected.data as Uint32Array);
}

/** A run that came about somewhere else: its lengths, the arrays that the host's embedding read, what it gave. */
export interface FormRun {
  readonly lengths: readonly number[];
  readonly arrays: Readonly<Record<string, Float32Array | Uint32Array>>;
  readonly outputs: Readonly<Record<string, HostTensor>>;
  /** Rows of the hidden states that are compared; all when absent. */
  readonly rows?: WantedRows;
}

/** Compares a run of a form with float64, with the weights of this encoder. */
export async function verifyForm(
  encoder: Encoder,
  form: EncoderForm,
  { lengths, arrays, outputs, rows = null }: FormRun,
  say: (doing: string) => void,
): Promise<Comparison> {
  const prepared = await prepareForm(encoder, form);
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
    rows,
    say,
  });
}
