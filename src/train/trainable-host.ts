/** @file Weights of the host that are trained: all of them, its norms, or those of some places. */

import { EngineError } from "../errors.ts";
import type { WeightSpec } from "../hosts/host.ts";
import type { Inside } from "../model/model.ts";
import type { Trainable } from "./trainable.ts";

/** Which weights of the host are trained: `all`, its layer norms, or those whose resident names begin so, such as `layers.3.`. */
export type HostTargets = "all" | "norms" | readonly string[];

/** Norms do not decay, nor do biases, that of attention by distance among them: what PyTorch's trainers leave out by their names. */
function decays({ name, norm }: WeightSpec): boolean {
  return norm !== true && !/(^|\.)bias(\.|$)/.test(name);
}

function refuse(message: string, fix: string, code: "UNSUPPORTED" | "UNKNOWN_NAME" = "UNSUPPORTED"): never {
  throw new EngineError(code, message, { where: "train.host", fix });
}

/** What stands on the host's weights as they are would be wrong once they are others. */
function checkFree({ store, norms }: Inside): void {
  const { merged } = store.frozen;
  if (merged !== null) refuse(`adapter ${merged} is merged into the host's weights`, "unmerge it first");
  if (norms.shared)
    refuse(
      "a task has brought layer norms in place of the host's",
      "train the host before tasks with norms are deployed",
    );
  const dora = store.names.find((name) =>
    [...store.get(name).definition.tensors.keys()].some((tensor) => tensor.endsWith(".m.weight")),
  );
  if (dora !== undefined)
    refuse(
      `adapter ${dora} is a DoRA, which was made for the host's weights as they are`,
      "remove it, and add it again later",
    );
}

function chosen(weights: readonly WeightSpec[], targets: HostTargets): readonly WeightSpec[] {
  const trained = weights.filter(({ constant }) => constant !== true);
  if (targets === "all") return trained;
  if (targets === "norms") return trained.filter(({ norm }) => norm === true);
  const unknown = targets.find((prefix) => !trained.some(({ name }) => name.startsWith(prefix)));
  if (unknown !== undefined) {
    const known = [...new Set(trained.map(({ name }) => name.replace(/^(\w+\.(\d+\.)?).*$/, "$1")))].join(", ");
    refuse(`no weight of the host begins with ${JSON.stringify(unknown)}`, `name some of ${known}`, "UNKNOWN_NAME");
  }
  return trained.filter(({ name }) => targets.some((prefix) => name.startsWith(prefix)));
}

/**
 * The trained weights of the host, every parameter once: layers that share weights, and a table that is tied to a head, have one
 * gradient, the sum over their uses.
 * @throws EngineError UNKNOWN_NAME for a prefix that nothing has; UNSUPPORTED for weights in half precision, merged adapters, norms of
 * tasks and DoRA adapters
 */
export function hostTrainables(inside: Inside, targets: HostTargets): Trainable[] {
  const { host, parameters } = inside.parts;
  checkFree(inside);
  return chosen(host.weights, targets).map((spec): Trainable => {
    if (parameters.typeOf(spec.name).element !== "f32")
      refuse(`${spec.name} is in half precision, in which steps would be lost`, 'load the model with precision: "f32"');
    const elements = spec.shape.reduce((product, dim) => product * dim, 1);
    const parts = [{ from: 0, elements, decays: decays(spec), mask: null }];
    return { parameter: spec.name, owner: "host", thing: { kind: "host" }, elements, parts };
  });
}
