/**
 * @file A training step of a small model checked end to end: gradients of the step's graph in float64 against central differences of its
 * loss, and the optimised graph on the device against float64.
 */

import { expect } from "vitest";
import { Arena } from "../../src/graph/arena.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import { GraphBuilder } from "../../src/graph/builder.ts";
import { withOrders } from "../../src/graph/order.ts";
import { Plan } from "../../src/graph/plan.ts";
import type { Graph, Value } from "../../src/graph/value.ts";
import type { DraftOptions } from "../../src/model/build.ts";
import type { Inside, Model } from "../../src/model/model.ts";
import type { RunInput } from "../../src/model/types.ts";
import { sizeLookup } from "../../src/graph/schedule.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";
import { deriveAdapters, derivedValues, freeDerived } from "../../src/train/derived.ts";
import type { DerivedAdapter } from "../../src/train/derived.ts";
import { SEED, drawsOf } from "../../src/train/dropouts.ts";
import { DIVISOR, TARGETS, objectiveOf } from "../../src/train/objectives.ts";
import { LOSS, buildStep } from "../../src/train/step-graph.ts";
import type { Objective, StepGraph } from "../../src/train/step-graph.ts";
import { trainablesOf } from "../../src/train/trainable.ts";
import type { TrainTargets, Trainable } from "../../src/train/trainable.ts";

/** A step over one batch. */
export interface StepCase {
  readonly input: RunInput;
  /** Outputs that the objective reads. */
  readonly outputs: readonly string[];
  readonly objective: Objective;
  readonly train: TrainTargets;
  /** Run-time inputs of the objective. */
  readonly given: Readonly<Record<string, Float32Array | Uint32Array>>;
  /** Lengths that the objective brings along. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** What dropout draws from: seed and pass. */
  readonly seeds?: readonly [number, number];
  /** How the step is drafted. */
  readonly draft?: DraftOptions;
  /** Slots that count as constants of a source, by the names of their parameters: DoRA's norm is one of PEFT's A and B. */
  readonly detached?: (source: string, slots: string) => boolean;
  /** Elements of a stretch that are moved; 6 when absent. */
  readonly moved?: number;
}

/** Three sequences. */
export const ids: readonly number[][] = [
  [3, 9, 27, 1, 14, 5, 22],
  [8, 2, 19],
  [4, 4, 11, 29, 7],
];

/** A step over them, which tells three classes apart by the added head `task`. */
export const classes: Omit<StepCase, "train"> = {
  input: { ids },
  outputs: ["heads.task"],
  objective: objectiveOf({ kind: "cross-entropy" }, "heads #0"),
  given: { [TARGETS]: Uint32Array.of(2, 0, 1), [DIVISOR]: Uint32Array.of(3) },
};

/** The resident parameters of a graph, as they are on the device. */
async function parametersOf({ parts }: Inside, graph: Graph): Promise<Map<string, ReferenceTensor>> {
  const nodes = graph.nodes.filter(({ kind }) => kind === "parameter");
  const bytes = await parts.gpu.read(nodes.map(({ label }) => parts.parameters.slice(label)));
  return new Map(
    nodes.map((node, index) => {
      const { shape, element } = (node.outputs.value as Value).type;
      const raw = bytes[index] as ArrayBuffer;
      const data = element === "u32" ? new Uint32Array(raw) : Float64Array.from(new Float32Array(raw));
      return [node.label, { shape: shape as readonly number[], data }];
    }),
  );
}

/** Where an element of a stretch lies in its parameter. */
function placeOf({ slot, elements }: Trainable, at: number): number {
  return (slot ?? 0) * elements + at;
}

/** Whether an element of a stretch is trained. */
function isTrained({ parts }: Trainable, at: number): boolean {
  return parts.some(({ from, elements, mask }) => at >= from && at < from + elements && mask?.[at - from] !== 0);
}

interface Checked {
  readonly stretches: readonly Trainable[];
  readonly step: StepGraph;
  /** Largest error of the device's gradients relative to the largest of their stretch. */
  readonly deviceError: number;
  /** In float64: the loss, and the gradient of every stretch that the step reads, by its parameter. */
  readonly loss: number;
  readonly gradients: ReadonlyMap<string, Float64Array>;
}

/** Checks the gradients of every trained stretch. */
export async function checkStep(model: Model, stepCase: StepCase): Promise<Checked> {
  return model.exclusive(async (inside) => {
    const { runner } = inside;
    const request = inside.request(stepCase.input, { outputs: stepCase.outputs });
    const ready = await runner.ready(request);
    const derived = await deriveAdapters(inside, stepCase.train.adapters ?? []);
    const stretches = trainablesOf(inside, stepCase.train, derived);
    const drafted = { ...stepCase.draft, derived };
    const plain = buildStep(ready, stretches, stepCase.objective, { ...drafted, passes: (graph) => graph });
    const known = runner.lengthsOf(plain.built, request, ready);
    const lengths = { ...known, sizes: { ...known.sizes, ...stepCase.sizes } };
    const { graph } = plain.built;
    const { seeds = [0, 0] } = stepCase;
    const drawn = { ...drawsOf(graph, lengths.sizes, seeds), [SEED]: Uint32Array.from(seeds) };
    const arrays = { ...request.batch.arrays, ...lengths.inputs, ...stepCase.given, ...drawn };
    const inputs = withOrders(graph, arrays);
    const parameters = await parametersOf(inside, graph);
    const size = sizeLookup(lengths.sizes);
    const inputShapes = new Map(
      graph.nodes
        .filter(({ kind }) => kind === "input")
        .map(({ label, outputs }) => [label, (outputs.value as Value).type.shape.map(size)]),
    );
    const evaluate = (of: Graph, changed: ReadonlyMap<string, ReferenceTensor>): Map<string, ReferenceTensor> =>
      interpret(of, {
        references: references as Record<string, Reference>,
        sizes: lengths.sizes,
        sources: (name, kind) => {
          if (kind === "parameter") return (changed.get(name) ?? parameters.get(name)) as ReferenceTensor;
          const data = inputs[name] as Float32Array | Uint32Array;
          return {
            shape: inputShapes.get(name) as number[],
            data: data instanceof Uint32Array ? data : Float64Array.from(data),
          };
        },
      });
    const { slots, sources } = await slotsIn(inside, derived, parameters, stepCase.detached);
    const truth = evaluate(graph, new Map());
    const lossOnly: Graph = { nodes: graph.nodes, outputs: new Map([[LOSS, graph.outputs.get(LOSS) as Value]]) };
    const loss = (changed: ReadonlyMap<string, ReferenceTensor>): number =>
      evaluate(forward(lossOnly), slots(changed)).get(LOSS)?.data[0] as number;
    const gradients = new Map<string, Float64Array>();
    for (const stretch of stretches) {
      const parameter = parameters.get(stretch.parameter) ?? sources.get(stretch.parameter);
      // What the step does not read has no gradient.
      if (parameter === undefined) expect(plain.gradients.map((one) => one.parameter)).not.toContain(stretch.parameter);
      else {
        const gradient = wholeOf(plain, stretch, truth);
        gradients.set(stretch.parameter, gradient);
        checkDifferences(stretch, gradient, parameter, loss, stepCase.moved ?? 6);
      }
    }
    const optimised = buildStep(ready, stretches, stepCase.objective, drafted);
    const arena = new Arena(inside.parts.gpu);
    const capacities = { ...runner.capacitiesOf(known, ready.signature), ...stepCase.sizes };
    const plan = await Plan.create({
      gpu: inside.parts.gpu,
      graph: optimised.built.graph,
      parameters: inside.parts.parameters,
      arena,
      capacities,
    });
    try {
      const { outputs } = await plan.run(withOrders(optimised.built.graph, arrays), lengths.sizes);
      let deviceError = 0;
      for (const [name, { data }] of truth) {
        const scale = Array.from(data).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
        data.forEach((value: number, i: number) => {
          deviceError = Math.max(deviceError, Math.abs((outputs[name]?.data[i] as number) - value) / scale);
        });
      }
      return { stretches, step: optimised, deviceError, loss: truth.get(LOSS)?.data[0] as number, gradients };
    } finally {
      plan.dispose();
      await arena.dispose();
      freeDerived(inside, derived);
    }
  });
}

type Parameters = ReadonlyMap<string, ReferenceTensor>;

/**
 * Slots that are computed of what is trained, in float64. What packing has put there must be that, to rounding.
 * @returns the changed parameters with the slots that follow from them, and what these are computed of
 */
async function slotsIn(
  inside: Inside,
  derived: readonly DerivedAdapter[],
  resident: Parameters,
  detached: NonNullable<StepCase["detached"]> = () => false,
): Promise<{ readonly slots: (changed: Parameters) => Parameters; readonly sources: Parameters }> {
  if (derived.length === 0) return { slots: (changed) => changed, sources: new Map() };
  const b = new GraphBuilder();
  const values = derivedValues(b, inside.store.bank.constants, derived);
  const graph = b.finish(new Map(values.map(({ name, value }) => [name, value])));
  const own = await parametersOf(inside, graph);
  const compute = (changed: Parameters): Map<string, ReferenceTensor> =>
    interpret(graph, {
      references: references as Record<string, Reference>,
      sizes: {},
      sources: (name) => (changed.get(name) ?? own.get(name)) as ReferenceTensor,
    });
  const slots = (changed: Parameters): Map<string, ReferenceTensor> => {
    const computed = compute(changed);
    const all = new Map(changed);
    const [source = ""] = changed.keys();
    for (const { name, parameter, at } of values.filter((one) => !detached(source, one.parameter))) {
      const table = all.get(parameter) ?? resident.get(parameter);
      if (table === undefined) continue;
      const data = Float64Array.from(table.data);
      data.set((computed.get(name) as ReferenceTensor).data, at);
      all.set(parameter, { shape: table.shape, data });
    }
    return all;
  };
  for (const [name, { data }] of slots(new Map())) {
    const packed = resident.get(name)?.data ?? [];
    const [scale, apart] = [0, 0].map((_, which) =>
      Array.from(data, (value, at) => Math.abs(value - (which === 0 ? 0 : Number(packed[at])))).reduce(
        (most, value) => Math.max(most, value),
        1e-30,
      ),
    ) as [number, number];
    expect(apart / scale, `${name} as it is packed`).toBeLessThan(1e-6);
  }
  return { slots, sources: own };
}

/** The nodes that a graph's outputs need. */
function forward({ nodes, outputs }: Graph): Graph {
  const needed = new Set([...outputs.values()].map(({ node }) => node));
  for (const node of nodes.toReversed())
    if (needed.has(node)) for (const { node: input } of Object.values(node.inputs)) needed.add(input);
  return { nodes: nodes.filter((node) => needed.has(node)), outputs };
}

/** The gradient of a stretch as one array; zeros where no part lies. */
function wholeOf(
  { gradients }: StepGraph,
  stretch: Trainable,
  truth: ReadonlyMap<string, ReferenceTensor>,
): Float64Array {
  const whole = new Float64Array(stretch.elements);
  const own = gradients.filter(({ parameter }) => parameter === stretch.parameter);
  for (const { output, at } of own) whole.set((truth.get(output) as ReferenceTensor).data, at);
  return whole;
}

function checkDifferences(
  stretch: Trainable,
  gradient: Float64Array,
  { shape, data }: ReferenceTensor,
  loss: (changed: ReadonlyMap<string, ReferenceTensor>) => number,
  moved: number,
): void {
  const scale = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  // The largest one, and others spread over the stretch.
  const largest = gradient.findIndex((value) => Math.abs(value) === scale);
  const places = new Set([Math.max(largest, 0)]);
  for (let i = 1; i < moved; i += 1) places.add(Math.floor(((i - 0.5) * gradient.length) / (moved - 1)));
  for (const at of places) {
    if (!isTrained(stretch, at)) {
      expect(Math.abs(gradient[at] as number), `${stretch.owner} ${stretch.parameter}[${at}] is not trained`).toBe(0);
      continue;
    }
    const h = 1e-4;
    const lossAt = (by: number): number => {
      const copy = Float64Array.from(data);
      const place = placeOf(stretch, at);
      copy[place] = (copy[place] as number) + by;
      return loss(new Map([[stretch.parameter, { shape, data: copy }]]));
    };
    // Five points: the error is of the order of h⁴.
    const expected = (8 * (lossAt(h) - lossAt(-h)) - (lossAt(2 * h) - lossAt(-2 * h))) / (12 * h);
    const found = gradient[at] as number;
    const what = `∂${stretch.owner} ${stretch.parameter}[${at}]: ${found}, expected ${expected} (scale ${scale})`;
    expect(Math.abs(found - expected) / scale, what).toBeLessThan(1e-5);
  }
}
