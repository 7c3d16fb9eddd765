/**
 * @file A run of a whole model against float64: its graph before any pass, through the references, with the weights that are on the GPU.
 */

import { toleranceFor } from "../cases/case.ts";
import { compare } from "../cases/check.ts";
import type { Comparison } from "../cases/check.ts";
import { interpret } from "../graph/interpret.ts";
import type { Reference } from "../graph/interpret.ts";
import { sizeLookup } from "../graph/schedule.ts";
import type { Graph, Node, Value } from "../graph/value.ts";
import { f16ToF32 } from "../half.ts";
import { buildModel } from "../model/build.ts";
import type { Inside, Model } from "../model/model.ts";
import { ADDED } from "../model/results.ts";
import type { RunInput, RunOptions, RunOutput } from "../model/types.ts";
import { byteLength } from "../ops/op.ts";
import { references } from "../reference/index.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";
import { checkedChoices } from "./checked-choices.ts";
import { hiddenTolerance } from "./verify-encoder.ts";

/** The parameters of a graph, as they are resident. */
async function parameterValues({ parts }: Inside, graph: Graph): Promise<Map<string, ReferenceTensor>> {
  const { gpu, parameters } = parts;
  const fixed = (dim: unknown): number => dim as number;
  const names = [...new Set(graph.nodes.flatMap(({ kind, label }) => (kind === "parameter" ? [label] : [])))];
  const bytes = await gpu.read(
    names.map((name) => ({ ...parameters.slice(name), size: byteLength(parameters.typeOf(name), fixed) })),
  );
  return new Map(
    names.map((name, index): [string, ReferenceTensor] => {
      const { shape, element } = parameters.typeOf(name);
      const raw = bytes[index] as ArrayBuffer;
      const sizes = shape.map(fixed);
      const elements = sizes.reduce((product, size) => product * size, 1);
      if (element === "u32") return [name, { shape: sizes, data: new Uint32Array(raw) }];
      const values = element === "f16" ? f16ToF32(new Uint16Array(raw)) : new Float32Array(raw);
      return [name, { shape: sizes, data: Float64Array.from(values.subarray(0, elements)) }];
    }),
  );
}

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
    const values = await parameterValues(inside, graph);
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
