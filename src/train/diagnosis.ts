/** @file Finds the value that went wrong first: a step once more, in which every value is looked through. */

import { GraphBuilder } from "../graph/builder.ts";
import type { HostTensor } from "../graph/plan.ts";
import type { Node, Value } from "../graph/value.ts";
import { draftModel, withFeeds } from "../model/build.ts";
import type { DraftOptions } from "../model/build.ts";
import type { BuiltGraph } from "../model/lengths.ts";
import type { Ready } from "../model/runner.ts";
import { allFinite, finiteCheck } from "../ops/finite-check.ts";
import { gradientsOf } from "./step-graph.ts";
import type { Objective, TrainedLeaves } from "./step-graph.ts";

/** A step with a check of every value. */
export interface DiagnosisGraph {
  readonly built: BuiltGraph;
  /** What is checked, by output, in the order in which it is computed. */
  readonly checked: ReadonlyMap<string, string>;
}

/** A value's name where it has one, else the place at which it is made. */
function describe({ kind, label, scope }: Node, name: string | undefined): string {
  if (name !== undefined) return name;
  if (kind !== "op") return `${kind} ${label}`;
  return scope === "" ? label : `${scope} (${label})`;
}

/** Builds forward and backward pass of a call as they are, without any fusion, and a check behind every value. */
export function buildDiagnosis(
  ready: Ready,
  leaves: Omit<TrainedLeaves, "constants">,
  objective: Objective,
  draft: DraftOptions,
): DiagnosisGraph {
  const b = new GraphBuilder({ differentiable: true });
  const drafted = draftModel(b, ready.parts, ready.signature, draft);
  const loss = b.scope("loss", () => objective(b, drafted.results));
  const found = gradientsOf(b, loss, { ...leaves, constants: ready.parts.bank.constants });
  const gradients = [...found.values()].flatMap((parts) => parts.map(({ value }) => value));
  const names = new Map<Value, string>();
  for (const [name, value] of b.names) if (!names.has(value)) names.set(value, name);
  const outputs = new Map<string, Value>();
  const checked = new Map<string, string>();
  for (const node of b.nodesOf([loss, ...gradients])) {
    for (const value of Object.values(node.outputs)) {
      if (value.type.element !== "f32" || node.kind === "view") continue;
      const output = `check ${outputs.size}`;
      outputs.set(output, b.op(finiteCheck, { x: value }, {}).y as Value);
      checked.set(output, describe(node, names.get(value)));
    }
  }
  return { built: withFeeds(b.finish(outputs), drafted), checked };
}

/** @returns the first value of which an element is not finite, in words; null where all are. */
export function firstWrong({ checked }: DiagnosisGraph, outputs: Readonly<Record<string, HostTensor>>): string | null {
  for (const [output, what] of checked) {
    const element = outputs[output]?.data[0];
    if (element !== undefined && element !== allFinite) return `element ${element} of ${what}`;
  }
  return null;
}
