/** @file One way to run a synthetic encoder (dense, with its adapter, routed) as a candidate of a bench. */

import type { Comparison } from "../cases/check.ts";
import { buildModel, buildOptimized, SLOT_INPUTS } from "../model/build.ts";
import type { Signature } from "../model/build.ts";
import { capacitiesFor, lengthsFor } from "../model/lengths.ts";
import { normal } from "../random.ts";
import { coda } from "../routing/coda.ts";
import type { CodaPolicy, RoutedAttention } from "../routing/coda.ts";
import { denseFlops, expectSameFlops, graphFlops, routedFlops } from "./cost-model.ts";
import type { Encoder } from "./encoder.ts";
import type { Candidate } from "./harness.ts";
import { PlannedRun } from "./planned-run.ts";
import { compareWithFloat64 } from "./verify-encoder.ts";

/** What is run: the frozen layers alone, with the adapter, or routed around it. */
export type EncoderForm =
  | { readonly kind: "dense" }
  | { readonly kind: "dense + adapter" }
  | { readonly kind: "routed"; readonly reduction: number; readonly attention: RoutedAttention };

/** The form that speed-ups are measured against. */
export const baseForm: EncoderForm = { kind: "dense + adapter" };

/** @returns the form in words. */
export function formName(form: EncoderForm): string {
  return form.kind === "routed" ? `routed r = ${form.reduction}, ${form.attention}` : form.kind;
}

/** @returns the policy of a form, as a user would set it. */
export function policyOf(form: EncoderForm): CodaPolicy | null {
  return form.kind === "routed" ? coda({ reduction: form.reduction, attention: form.attention }) : null;
}

function signatureOf(form: EncoderForm): Signature {
  const adapted = form.kind !== "dense";
  return {
    source: "ids",
    adapters: { dense: adapted, light: adapted },
    routing: policyOf(form),
    outputs: ["hidden", "routing"],
    captures: [],
  };
}

/**
 * FLOP of all layers by MATHS §1.6.
 * @throws EngineError VALIDATION when the ops of the graph count differently
 */
export function formFlops(encoder: Encoder, form: EncoderForm, lengths: readonly number[]): number {
  const { sizes, host, bank } = encoder;
  const cost = form.kind === "dense" ? { ...sizes, bottleneck: 0 } : sizes;
  const layer =
    form.kind === "routed" ? routedFlops(cost, lengths, form.reduction, form.attention) : denseFlops(cost, lengths);
  const graph = buildModel(host, bank, signatureOf(form));
  const flops = layer * sizes.layers;
  const counted = graphFlops(graph, lengthsFor(graph, host.shape, lengths, { inputs: {}, sizes: {} }).sizes);
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

/** Plans one form over sequences of these lengths, with the capacities that a model would choose. */
export async function encoderCandidate(
  encoder: Encoder,
  form: EncoderForm,
  lengths: readonly number[],
): Promise<EncoderCandidate> {
  const { gpu, host, bank, parameters, arena } = encoder;
  const signature = signatureOf(form);
  const graph = buildOptimized(host, bank, signature);
  const { inputs, sizes } = lengthsFor(graph, host.shape, lengths, { inputs: {}, sizes: {} });
  const slots = new Uint32Array(lengths.length);
  const x = normal(1, (sizes.rows as number) * host.shape.width);
  const all = { ...inputs, x, [SLOT_INPUTS.dense]: slots, [SLOT_INPUTS.light]: slots };
  const work = { graph, inputs: all, sizes, capacities: capacitiesFor(sizes, undefined) };
  const planned = await PlannedRun.create(gpu, parameters, arena, work);
  const verify = async (say: (doing: string) => void): Promise<Comparison> => {
    const { outputs } = await planned.run();
    const truth = buildModel(host, bank, signature);
    return compareWithFloat64({
      encoder,
      graph: truth,
      inputs: all,
      sizes,
      outputs,
      policy: signature.routing,
      lengths,
      say,
    });
  };
  const flops = formFlops(encoder, form, lengths);
  return { name: formName(form), form, flops, planned, verify, run: async () => (await planned.run()).milliseconds };
}
