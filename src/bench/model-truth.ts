/**
 * @file A run of a whole model against float64: its graph before any pass, through the references, with the weights that are on the GPU.
 */

import { toleranceFor } from "../cases/case.ts";
import { compare } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import { interpret } from "../graph/interpret.ts";
import type { Reference } from "../graph/interpret.ts";
import { sizeLookup } from "../graph/schedule.ts";
import type { Node, Value } from "../graph/value.ts";
import { buildModel } from "../model/build.ts";
import type { Model } from "../model/model.ts";
import { ADDED } from "../model/results.ts";
import type { RunInput, RunOptions, RunOutput } from "../model/types.ts";
import { references } from "../reference/index.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import { checkedChoices } from "./checked-choices.ts";
import { float64Parameters } from "./float64-parameters.ts";
import { hiddenTolerance } from "./verify-encoder.ts";

/** What a run says of its routers, by the names of the graph's outputs. */
function chosenBy({ routing }: RunOutput): (name: string) => Float32Array | Uint32Array {
  return (name) => {
    const [, layer, part] = name.split(".") as [string, string, "selected" | "weights" | "scores"];
    return routing?.[Number(layer)]?.[part] as Float32Array | Uint32Array;
  };
}

/** Rounding of the logits of a head with two matrices behind hidden states. */
function logitsTolerance(hidden: number, width: number): number {
  return Math.hypot(hidden, toleranceFor(width), toleranceFor(width));
}

/** A call of a model, and the units of the adapters that run in it. */
export interface CallToCheck {
  readonly input: RunInput;
  /** Of a routed call with `routing` among the outputs, by routers that do not choose keys apart. */
  readonly options: RunOptions;
  readonly bottleneck: number;
}

/**
 * Compares the logits of all heads of a run with float64, and every choice of the routers.
 * @param run what the model gave
 * @returns the worst comparison
 */
export async function compareModel(
  model: Model,
  { input, options, bottleneck }: CallToCheck,
  run: RunOutput,
): Promise<Comparison> {
  return model.exclusive(async (inside) => {
    const { runner } = inside;
    const call = inside.request(input, options);
    const ready = await runner.ready(call);
    const { graph, ...built } = buildModel(ready.parts, ready.signature, (plain) => plain);
    const lengths = runner.lengthsOf({ graph, ...built }, call, ready);
    const arrays: Readonly<Record<string, Float32Array | Uint32Array>> = { ...call.batch.arrays, ...lengths.inputs };
    const values = await float64Parameters(inside.parts.gpu, inside.parts.parameters, graph);
    const nodes = new Map(graph.nodes.map((node) => [node.label, node]));
    const size = sizeLookup(lengths.sizes);
    const inputTensor = (name: string): ReferenceTensor => {
      const { shape } = ((nodes.get(name) as Node).outputs.value as Value).type;
      const data = arrays[name] as Float32Array | Uint32Array;
      return { shape: shape.map(size), data: data instanceof Uint32Array ? data : Float64Array.from(data) };
    };
    const { shape } = model.host;
    const { rows } = call.batch;
    const rounding = hiddenTolerance({ ...shape, bottleneck }, rows);
    const findings: Comparison[] = [];
    const chosen = { values: chosenBy(run), policy: ready.signature.routing, rounding, lengths: rows };
    const expected = interpret(graph, {
      references: references as Readonly<Record<string, Reference>>,
      sources: (name, kind) => (kind === "parameter" ? (values.get(name) as ReferenceTensor) : inputTensor(name)),
      sizes: lengths.sizes,
      override: checkedChoices(graph, chosen, findings),
    });
    for (const [name, { data }] of Object.entries(run.heads)) {
      const added = call.heads.indexOf(name);
      const truth = expected.get(added < 0 ? `heads.${name}` : `${ADDED}${added}`) as ReferenceTensor;
      findings.push(compare(name, data, truth.data, logitsTolerance(rounding, shape.width)));
    }
    return findings.find(({ ok }) => !ok) ?? findings.reduce((worst, one) => (one.error > worst.error ? one : worst));
  });
}
