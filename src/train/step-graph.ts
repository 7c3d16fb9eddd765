/** @file The graph of a training step: the model forward, its loss, and the gradients of what is trained. */

import { EngineError } from "../errors.ts";
import { GraphBuilder } from "../graph/builder.ts";
import { backpropagate, differentiate } from "../graph/differentiate.ts";
import type { Leaf, LeafGradient } from "../graph/differentiate.ts";
import { optimize } from "../graph/passes/optimize.ts";
import type { Graph, Value } from "../graph/value.ts";
import { draftModel, withFeeds } from "../model/build.ts";
import type { DraftOptions } from "../model/build.ts";
import type { BuiltGraph } from "../model/lengths.ts";
import type { Ready } from "../model/runner.ts";
import { elementCount } from "../ops/op.ts";
import type { Dim } from "../ops/op.ts";
import type { Constants } from "../adapters/constants.ts";
import { derivedLeaves, derivedSeeds } from "./derived.ts";
import type { DerivedAdapter } from "./derived.ts";
import type { Trainable } from "./trainable.ts";
import { trainedGradient } from "./trained-gradient.ts";

/** Makes a loss [1] of what a model gives. */
export type Objective = (b: GraphBuilder, results: ReadonlyMap<string, Value>) => Value;

/** Where the gradient of a stretch of a leaf stands among the outputs of a step. */
export interface StepGradient extends Leaf {
  readonly output: string;
  /** The first element, from the start of the parameter or of its slot. */
  readonly at: number;
  readonly elements: number;
}

/** The graph of a step. Its outputs are `loss` and the gradients. */
export interface StepGraph {
  readonly built: BuiltGraph;
  readonly gradients: readonly StepGradient[];
}

/** The name of the loss among the outputs of a step. */
export const LOSS = "loss";

/** Trained parameters have lengths that are known before any run. */
function staticSize(dim: Dim): number {
  if (typeof dim === "number") return dim;
  throw new EngineError("SHAPE", `a gradient cannot have the run-time axis ${dim.symbol}`);
}

/** How a step is built. */
export interface StepOptions extends DraftOptions {
  /** Applied to the whole; {@link optimize} when absent. */
  readonly passes?: (graph: Graph) => Graph;
  /** Adapters whose slots are computed of what is trained; none when absent. */
  readonly derived?: readonly DerivedAdapter[];
}

/**
 * Builds the step of a call. Nothing is built that no trained leaf lies below.
 * @throws EngineError UNSUPPORTED for an op on the way back without a gradient; BAD_CONFIG for leaves that the loss does not depend on
 */
export function buildStep(
  ready: Ready,
  trainables: readonly Trainable[],
  objective: Objective,
  { passes = optimize, derived = [], ...draft }: StepOptions = {},
): StepGraph {
  const b = new GraphBuilder({ differentiable: true });
  const drafted = draftModel(b, ready.parts, ready.signature, draft);
  const loss = b.scope("loss", () => objective(b, drafted.results));
  const found = gradientsOf(b, loss, { trainables, derived, constants: ready.parts.bank.constants });
  const outputs = new Map<string, Value>([[LOSS, loss]]);
  const gradients = trainables.flatMap((trainable) =>
    (found.get(trainable.parameter) ?? []).flatMap(({ at, value }): StepGradient[] => {
      const { parameter, slot } = trainable;
      const elements = elementCount(value.type, staticSize);
      const trained = trainedGradient(b, ready.parts.bank.constants, trainable, { at, value }, elements);
      if (trained === null) return [];
      const output = `gradient ${parameter} ${at}`;
      outputs.set(output, trained);
      return [{ parameter, ...(slot === undefined ? {} : { slot }), output, at, elements }];
    }),
  );
  return { built: withFeeds(passes(b.finish(outputs)), drafted), gradients };
}

/** What gradients are built of. */
export interface TrainedLeaves {
  readonly trainables: readonly Leaf[];
  readonly derived: readonly DerivedAdapter[];
  readonly constants: Constants;
}

/** ∂loss of everything that is trained: through the slots that are computed of it, where some are. */
export function gradientsOf(
  b: GraphBuilder,
  loss: Value,
  { trainables, derived, constants }: TrainedLeaves,
): ReadonlyMap<string, readonly LeafGradient[]> {
  const known = new Set(trainables.map(({ parameter }) => parameter));
  const slots = derivedLeaves(derived).filter(({ parameter }) => !known.has(parameter));
  const found = differentiate(b, loss, [...trainables, ...slots]);
  const seeds = b.scope("slots", () => derivedSeeds(b, constants, derived, found));
  if (seeds.length === 0) return found;
  const behind = backpropagate(b, seeds, trainables);
  return new Map(
    [...found].map(([parameter, own]) => [parameter, own.length > 0 ? own : (behind.get(parameter) ?? [])]),
  );
}

/** The name of the logits among the outputs of an evaluation. */
export const LOGITS = "logits";

/** Builds the loss of a call and the output of its head, without anything that trains: `loss` and `logits`. */
export function buildEvaluation(
  ready: Ready,
  objective: Objective,
  head: string,
  draft: DraftOptions = {},
): BuiltGraph {
  const b = new GraphBuilder();
  const drafted = draftModel(b, ready.parts, ready.signature, draft);
  const loss = b.scope("loss", () => objective(b, drafted.results));
  const logits = drafted.results.get(head) as Value;
  return withFeeds(optimize(b.finish({ [LOSS]: loss, [LOGITS]: logits })), drafted);
}
