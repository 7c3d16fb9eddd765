/** @file What is trained: stretches of resident parameters, named by what they belong to. */

import { EngineError } from "../errors.ts";
import type { Leaf } from "../graph/differentiate.ts";
import type { Inside } from "../model/model.ts";

/** A stretch of elements of a resident parameter that is trained. */
export interface Trainable extends Leaf {
  /** What it belongs to, such as `adapter bbbp` or `head bbbp`. */
  readonly owner: string;
  /** Elements of a parameter, or of its slot. */
  readonly elements: number;
  /** How many of them, the last ones, do not decay: biases and the like. */
  readonly biases: number;
}

/** What a training is told to train. */
export interface TrainTargets {
  readonly adapters?: readonly string[];
  readonly heads?: readonly string[];
  /** The vectors of the routers that are set. */
  readonly routers?: boolean;
}

function routersOf({ request }: Inside, width: number): Trainable[] {
  const { routing } = request(null);
  return [...(routing?.vectors.keys() ?? [])].map((parameter) => ({
    parameter,
    owner: "routers",
    elements: width,
    biases: 0,
  }));
}

/**
 * @returns the trained stretches of a model. Adapters must be in their slots: a run has named them, or they were admitted.
 * @throws EngineError BAD_CONFIG where there is nothing to train; UNKNOWN_NAME
 */
export function trainablesOf(inside: Inside, targets: TrainTargets): readonly Trainable[] {
  const { store, heads, parts } = inside;
  const adapters = (targets.adapters ?? []).flatMap((name) =>
    store.bank.stretchesOf(store.get(name).resident).map(({ table: _, ...stretch }) => ({
      ...stretch,
      owner: `adapter ${name}`,
    })),
  );
  const headed = (targets.heads ?? []).flatMap((name) =>
    heads.stretchesOf(name).map(({ tail, ...stretch }) => ({
      ...stretch,
      biases: tail.endsWith("bias") ? stretch.elements : 0,
      owner: `head ${name}`,
    })),
  );
  const routed = targets.routers === true ? routersOf(inside, parts.host.shape.width) : [];
  const all = [...adapters, ...headed, ...routed];
  if (all.length > 0) return all;
  throw new EngineError("BAD_CONFIG", "there is nothing to train", {
    where: "train",
    fix: "name adapters, heads or routers",
  });
}
