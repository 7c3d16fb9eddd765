/**
 * @file The paper's model on a device: BERT-base layers with drawn weights, a Houlsby adapter, sixteen Pfeiffer adapters and
 * their fusions, in every form that a table asks for. What is timed is the graph that models run.
 */

import { fuse, parallel, asComposition } from "../../src/adapters/composition.ts";
import type { Composition } from "../../src/adapters/composition.ts";
import { expectedFusionTensors, fusionPresets } from "../../src/adapters/fusion-config.ts";
import type { AdapterTensor } from "../../src/adapters/tensors.ts";
import { Encoder } from "../../src/bench/encoder.ts";
import type { EncoderSizes } from "../../src/bench/encoder.ts";
import { PlannedRun } from "../../src/bench/planned-run.ts";
import { hiddenTolerance } from "../../src/bench/verify-encoder.ts";
import { toleranceFor } from "../../src/cases/case.ts";
import { compare } from "../../src/cases/check.ts";
import type { Comparison } from "../../src/cases/check.ts";
import { EngineError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { interpret } from "../../src/graph/interpret.ts";
import type { Reference } from "../../src/graph/interpret.ts";
import { sizeLookup } from "../../src/graph/schedule.ts";
import type { HostShape } from "../../src/hosts/host.ts";
import { buildModel } from "../../src/model/build.ts";
import type { BuildParts, Signature } from "../../src/model/build.ts";
import { compose, fusionsOf } from "../../src/model/composed.ts";
import { capacitiesFor, lengthsFor } from "../../src/model/lengths.ts";
import type { BuiltGraph, Lengths } from "../../src/model/lengths.ts";
import { makeFusion } from "../../src/model/make-fusion.ts";
import { normal } from "../../src/random.ts";
import { references } from "../../src/reference/index.ts";
import type { ReferenceTensor } from "../../src/reference/tensor.ts";
import { copiesOf, formName } from "./forms.ts";
import type { Form } from "./forms.ts";
import { LiteralFusions } from "./literal-fusions.ts";

/** The paper's host; compression 16 makes bottlenecks of 48. */
export const paperSizes: EncoderSizes = { layers: 12, width: 768, heads: 12, ffnWidth: 3072, bottleneck: 48 };

/** Most adapters in one form. */
const MOST_ADAPTERS = 16;

/** Short and ragged: what is run against float64. */
const CHECKED_LENGTHS: readonly number[] = [5, 2];

/** Scores stay below this with the weights of {@link drawFusion}; their rounding is amplified by it (docs/fusion.md). */
const SCORE_SIZE = 4;

const HOULSBY = "houlsby";

function pfeifferName(index: number): string {
  return `pfeiffer ${index}`;
}

function fusedNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => pfeifferName(index));
}

function compositionOf(form: Form): Composition | null {
  switch (form.kind) {
    case "bare":
      return null;
    case "adapter":
      return asComposition(form.preset === "houlsby" ? HOULSBY : pfeifferName(0));
    case "fusion":
      return fuse(...fusedNames(form.adapters));
    case "tasks":
      return parallel(...fusedNames(form.tasks));
  }
}

/** Weights of a fusion: Wq and Wk so that scores are of the order of 1, Wv so that values keep their size. */
function drawFusion(shape: HostShape, seed: number): Map<string, AdapterTensor> {
  const drawn = new Map<string, AdapterTensor>();
  for (const [name, axes] of expectedFusionTensors(fusionPresets.dynamic, shape, ["ffn"])) {
    const count = axes.reduce((product, axis) => product * axis, 1);
    const matrix = name.includes(".value.") ? shape.width ** -0.5 : shape.width ** -0.75;
    drawn.set(name, { shape: axes, data: normal(seed + drawn.size, count, axes.length === 1 ? 0.1 : matrix) });
  }
  return drawn;
}

/** A form planned for a batch. */
export interface TimedForm {
  readonly name: string;
  readonly form: Form;
  readonly planned: PlannedRun;
  /** Runs once and checks what can be checked at any size: every number finite, equal sequences equal to the last bit. */
  readonly check: () => Promise<Comparison>;
}

interface Prepared {
  readonly parts: BuildParts;
  readonly signature: Signature;
}

/** The paper's model. */
export class Workload {
  readonly encoder: Encoder;
  readonly #literal: LiteralFusions;

  private constructor(encoder: Encoder) {
    const { gpu, parameters, host, store } = encoder;
    this.encoder = encoder;
    this.#literal = new LiteralFusions(gpu, parameters, host.shape.width, store.fusions);
  }

  /** Draws the host and all adapters, so that the bank has its final buffers before anything is planned. */
  static async create(gpu: Gpu, sizes: EncoderSizes): Promise<Workload> {
    const encoder = new Encoder(gpu, sizes, 1, { slots: MOST_ADAPTERS + 1 });
    const compressed = { reduction_factor: sizes.width / sizes.bottleneck };
    const pfeiffer = { mh_adapter: false, output_adapter: true, original_ln_before: true, non_linearity: "relu" };
    const houlsby = { mh_adapter: true, output_adapter: true, non_linearity: "swish" };
    await encoder.add(HOULSBY, { ...houlsby, ...compressed }, 10_000);
    for (let index = 0; index < MOST_ADAPTERS; index += 1) {
      await encoder.add(pfeifferName(index), { ...pfeiffer, ...compressed }, 20_000 + 1000 * index);
    }
    return new Workload(encoder);
  }

  async #prepare(form: Form, literal: boolean): Promise<Prepared> {
    const { host, store } = this.encoder;
    if (form.kind === "fusion") await this.#addFusion(fusedNames(form.adapters));
    const composition = compositionOf(form);
    const active = composition === null ? null : { composition, compat: false };
    const dropped = "dropped" in form ? Array.from({ length: form.dropped }, (_, layer) => layer) : [];
    const choice = { active, perSequence: undefined, light: null, dropped: new Set(dropped), compat: false };
    const { dense } = compose(store, choice);
    store.bank.acquire(dense.residents);
    for (const { name, children } of fusionsOf(dense.program)) await store.fusions.prepare(name, children);
    const fusions = literal ? this.#literal : store.fusions;
    const programs = { dense: dense.program, light: dense.program };
    const plain = { source: "ids", light: null, compat: false, routing: null, heads: [], captures: [] } as const;
    return {
      parts: { host, bank: store.bank, fusions, programs },
      signature: { ...plain, composition: dense.key, outputs: ["hidden"] },
    };
  }

  async #addFusion(names: readonly string[]): Promise<void> {
    const { host, store } = this.encoder;
    if (store.fusions.has(names.join(","))) return;
    const tensors = drawFusion(host.shape, 50_000 + 1000 * names.length);
    await makeFusion(store, host.shape, names, { names: null, config: "dynamic", tensors });
  }

  #lengths(built: BuiltGraph, { host, bank, programs }: BuildParts, rows: readonly number[]): Lengths {
    const hostFeed = { inputs: {}, sizes: {} };
    return lengthsFor(built, { shape: host.shape, rows, hostFeed, bank, programs, types: null, slots: {} });
  }

  async #plan(
    form: Form,
    lengths: readonly number[],
    x: Float32Array,
  ): Promise<{ planned: PlannedRun; batch: Lengths }> {
    const { gpu, parameters, arena } = this.encoder;
    const { parts, signature } = await this.#prepare(form, form.kind === "fusion" && form.literal);
    const built = buildModel(parts, signature);
    const batch = this.#lengths(built, parts, lengths);
    const work = { graph: built.graph, inputs: { ...batch.inputs, x }, sizes: batch.sizes };
    const capacities = capacitiesFor(batch, undefined);
    return { planned: await PlannedRun.create(gpu, parameters, arena, { ...work, capacities }), batch };
  }

  /**
   * Plans a form for sequences of one length. The last sequence is the first one again.
   * @throws EngineError LIMIT, OUT_OF_MEMORY where the device cannot hold it; VALIDATION where its time would be wall time
   */
  async timed(form: Form, { length, batch }: { readonly length: number; readonly batch: number }): Promise<TimedForm> {
    const { gpu, sizes } = this.encoder;
    const block = length * sizes.width;
    const x = normal(1, batch * block);
    if (batch > 1) x.copyWithin((batch - 1) * block, 0, block);
    const lengths = Array.from({ length: batch }, () => length);
    const { planned } = await this.#plan(form, lengths, x);
    const name = formName(form);
    if (gpu.info.clock !== "wall" && planned.plan.memory.copies.some(({ step }) => step > 0)) {
      planned.dispose();
      throw new EngineError("VALIDATION", `${name} runs in several passes, so one clock cannot time it`, {
        where: name,
      });
    }
    const check = async (): Promise<Comparison> => {
      const { outputs } = await planned.run();
      return checkCopies(outputs.hidden?.data as Float32Array, { block, batch, copies: copiesOf(form) });
    };
    return { name, form, planned, check };
  }

  /** Runs a form on short sequences against float64. Of fusions the truth is the literal form, unfolded and unoptimised. */
  async verify(form: Form): Promise<Comparison> {
    const { sizes } = this.encoder;
    const x = normal(2, CHECKED_LENGTHS.reduce((sum, length) => sum + length, 0) * sizes.width);
    const { planned } = await this.#plan(form, CHECKED_LENGTHS, x);
    try {
      const { outputs } = await planned.run();
      const truth = await this.#truth(form, x);
      return compare("hidden", outputs.hidden?.data ?? [], truth.data, toleranceOf(form, sizes));
    } finally {
      planned.dispose();
    }
  }

  async #truth(form: Form, x: Float32Array): Promise<ReferenceTensor> {
    const { parts, signature } = await this.#prepare(form, true);
    const built = buildModel(parts, signature, (graph) => graph);
    const batch = this.#lengths(built, parts, CHECKED_LENGTHS);
    const weights = await this.encoder.truths(built.graph);
    const shapes = new Map(built.graph.nodes.map((node) => [node.label, node.outputs.value?.type.shape ?? []]));
    const inputs: Readonly<Record<string, Float32Array | Uint32Array>> = { ...batch.inputs, x };
    const results = interpret(built.graph, {
      references: references as Readonly<Record<string, Reference>>,
      sizes: batch.sizes,
      sources: (name, kind) => {
        if (kind === "parameter") return weights.get(name) as ReferenceTensor;
        const data = inputs[name] as Float32Array | Uint32Array;
        const shape = (shapes.get(name) ?? []).map(sizeLookup(batch.sizes));
        return { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) };
      },
    });
    return results.get("hidden") as ReferenceTensor;
  }

  /** Frees everything; plans first. */
  async dispose(): Promise<void> {
    await this.encoder.dispose();
  }
}

/** Rounding of hidden states; a fusion adds the reductions of its scores, amplified by the softmax, and of its sum. */
function toleranceOf(form: Form, sizes: EncoderSizes): number {
  const host = hiddenTolerance(sizes, CHECKED_LENGTHS);
  if (form.kind !== "fusion") return host;
  const scores = toleranceFor(sizes.width) * (1 + SCORE_SIZE);
  return Math.hypot(host, Math.sqrt(sizes.layers) * Math.hypot(scores, toleranceFor(form.adapters * sizes.bottleneck)));
}

/** A row's bits depend on its own sequence alone, so the last sequence of every copy of the batch is the first again. */
export function checkCopies(
  hidden: Float32Array,
  { block, batch, copies }: { readonly block: number; readonly batch: number; readonly copies: number },
): Comparison {
  const tolerance = 0;
  if (hidden.length !== copies * batch * block) {
    const detail = `hidden has ${hidden.length} elements, expected ${copies * batch * block}`;
    return { ok: false, error: Infinity, tolerance, detail };
  }
  const wrong = hidden.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) return { ok: false, error: Infinity, tolerance, detail: `hidden[${wrong}] is ${hidden[wrong]}` };
  for (let copy = 0; copy < copies; copy += 1) {
    const at = copy * batch * block;
    const first = hidden.subarray(at, at + block);
    const last = hidden.subarray(at + (batch - 1) * block, at + batch * block);
    const same = compare(`last sequence of copy ${copy}`, last, first, tolerance);
    if (!same.ok) return same;
  }
  return { ok: true, error: 0, tolerance, detail: "every number finite, equal sequences equal" };
}
