/**
 * @file The optimiser of a training: what is trained in few buffers, its gradient and states flat beside it, all of it updated by one
 * launch a buffer. Nothing comes back to the host but the norm of the gradient.
 */

import { EngineError } from "../errors.ts";
import { Arena } from "../graph/arena.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Home } from "../graph/homes.ts";
import type { Pack, Parameters } from "../graph/parameters.ts";
import { Plan } from "../graph/plan.ts";
import type { RunOptions } from "../graph/plan.ts";
import type { Value } from "../graph/value.ts";
import type { BufferSlice, Gpu } from "../gpu/gpu.ts";
import { adamw } from "../ops/adamw.ts";
import { elementwise } from "../ops/elementwise.ts";
import type { Op } from "../ops/op.ts";
import { BLOCK_ELEMENTS, BLOCK_WORDS, GROUP_NUMBERS } from "../ops/optimizer-step.ts";
import { rowDot } from "../ops/row-dot.ts";
import { sgd } from "../ops/sgd.ts";
import { sumRows } from "../ops/sum-rows.ts";
import { Accumulator } from "./accumulator.ts";
import { flatLayout, placeOf } from "./flat.ts";
import type { FlatLayout, FlatPart } from "./flat.ts";
import type { TrainerState } from "./state.ts";
import type { StepGradient } from "./step-graph.ts";
import type { Trainable } from "./trainable.ts";

/** Which optimiser, and its constants. */
export type OptimizerSettings = {
  /** Weight decay of matrices; biases, norms and the like have none. */
  readonly weightDecay: number;
  /** The largest norm of the gradient; a larger one is brought down to it. null: any. */
  readonly clip: number | null;
} & (
  | { readonly kind: "adamw"; readonly beta1: number; readonly beta2: number; readonly epsilon: number }
  | { readonly kind: "sgd"; readonly momentum: number }
);

/** Where the gradients of a step go. */
export interface GradientTargets {
  /** By output of the step: the place, and the parameter that it is a place of. */
  readonly into: NonNullable<RunOptions["into"]>;
  readonly homes: ReadonlyMap<string, Home>;
  /** Numbers of the parts that have one. */
  readonly parts: ReadonlySet<number>;
}

/** One update. */
export interface UpdateOptions {
  readonly learningRate: number;
  /** What the gradient is multiplied by; 1 when absent. */
  readonly factor?: number;
}

const NAME = "train";
const STATES: Readonly<Record<OptimizerSettings["kind"], readonly string[]>> = {
  adamw: ["first", "second"],
  sgd: ["first"],
};
const OPS: Readonly<Record<OptimizerSettings["kind"], Op>> = { adamw, sgd };

/** What an optimiser stands on. */
export interface OptimizerParts {
  readonly gpu: Gpu;
  readonly parameters: Parameters;
  readonly trainables: readonly Trainable[];
  readonly settings: OptimizerSettings;
}

/** The optimiser of one training. Until it is disposed, what is trained lies in its buffers. */
export class Optimizer {
  readonly #options: OptimizerParts;
  readonly #packs: readonly Pack[];
  readonly #layout: FlatLayout;
  readonly #arena: Arena;
  readonly #plan: Plan;
  /** Updates of every part so far: moments are corrected by them. */
  readonly #updates: Uint32Array;
  /** Parts that a gradient was put to since the batch began. */
  readonly #touched = new Set<number>();
  #accumulator: Accumulator | null = null;

  private constructor(
    options: OptimizerParts,
    made: { packs: readonly Pack[]; layout: FlatLayout; arena: Arena; plan: Plan },
  ) {
    this.#options = options;
    this.#packs = made.packs;
    this.#layout = made.layout;
    this.#arena = made.arena;
    this.#plan = made.plan;
    this.#updates = new Uint32Array(made.layout.parts.length);
  }

  /**
   * Packs what is trained and allocates its gradient and states, all zero. Plans that bound it are void.
   * @throws EngineError LIMIT, SHAPE for parameters in half precision
   */
  static async create(options: OptimizerParts): Promise<Optimizer> {
    const { gpu, parameters, trainables, settings } = options;
    const most = Math.min(
      gpu.info.limits.maxStorageBufferBindingSize ?? Infinity,
      gpu.info.limits.maxBufferSize ?? Infinity,
    );
    const names = [...new Set(trainables.map(({ parameter }) => parameter))];
    const packs = parameters.pack(`${NAME}.weights`, names, most);
    const arena = new Arena(gpu);
    try {
      const layout = flatLayout(packs, trainables);
      allocate(parameters, layout, settings.kind);
      const graph = updateGraph(packs, layout, settings.kind);
      const plan = await Plan.create({ gpu, graph, parameters, arena, capacities: {} });
      return new Optimizer(options, { packs, layout, arena, plan });
    } catch (error) {
      await arena.dispose();
      free(parameters, packs);
      throw error;
    }
  }

  /** Bytes of the flat gradients and states. */
  get bytes(): number {
    const states = STATES[this.#options.settings.kind].length + (this.#accumulator === null ? 0 : 1);
    return this.#layout.elements.reduce((sum, elements) => sum + 4 * elements * (1 + states), 0);
  }

  /** Where a step is to write its gradients, and which parts they are of; found once for a step. */
  targetsOf(gradients: readonly StepGradient[]): GradientTargets {
    const { parameters, trainables } = this.#options;
    const parts = new Set<number>();
    const homes = new Map<string, Home>();
    const into = gradients.map((gradient) => {
      const { part, pack, at } = placeOf(this.#layout, trainables, gradient);
      parts.add(part);
      const parameter = `${NAME}.gradient.${pack}`;
      const { buffer, offset } = parameters.slice(parameter);
      homes.set(gradient.output, { parameter, at });
      return [gradient.output, { buffer, offset: offset + 4 * at }] as const;
    });
    return { into: Object.fromEntries(into), homes, parts };
  }

  /** Begins a batch: no part has a gradient. */
  begin(): void {
    this.#touched.clear();
  }

  /** Sets the gradient to zero: what the next step does not write has none. */
  clear(): void {
    const { gpu, parameters } = this.#options;
    const encoder = gpu.device.createCommandEncoder({ label: "clear gradients" });
    this.#packs.forEach((_, pack) => {
      const { buffer, offset, size } = parameters.slice(`${NAME}.gradient.${pack}`);
      encoder.clearBuffer(buffer, offset, size);
    });
    gpu.device.queue.submit([encoder.finish()]);
  }

  /** Adds the gradient, of one part of a batch, to that of the parts before. */
  async accumulate(first: boolean): Promise<void> {
    await (await this.#sums()).take(first);
  }

  /** Makes the gradient that of a whole batch, of which the last part has been run. */
  async gather(): Promise<void> {
    await (await this.#sums()).finish();
  }

  async #sums(): Promise<Accumulator> {
    const { gpu, parameters } = this.#options;
    this.#accumulator ??= await Accumulator.create(
      gpu,
      parameters,
      this.#packs.map((_, pack) => `${NAME}.gradient.${pack}`),
    );
    return this.#accumulator;
  }

  /** Notes that a step has written its gradients. */
  touch({ parts }: GradientTargets): void {
    for (const part of parts) this.#touched.add(part);
  }

  /**
   * Updates everything that has a gradient; what has none stays as it is, with its states (as PyTorch treats a gradient of None).
   * @returns the norm of the gradient times its factor, before it was brought down; where that is not finite nothing was updated
   */
  async update({ learningRate, factor = 1 }: UpdateOptions): Promise<number> {
    const { settings } = this.#options;
    const count = (by: number): void => {
      for (const part of this.#touched) this.#updates[part] = (this.#updates[part] as number) + by;
    };
    count(1);
    const constants =
      settings.kind === "adamw" ? [settings.beta1, settings.beta2, settings.epsilon] : [settings.momentum];
    const inputs = {
      groups: this.#groups(),
      settings: Float32Array.of(learningRate, ...constants, settings.clip ?? 0, factor),
    };
    const { outputs } = await this.#plan.run(inputs, {}, { read: ["norm"] });
    const norm = Math.sqrt(outputs.norm?.data[0] as number) * Math.abs(factor);
    if (!Number.isFinite(norm)) count(-1);
    return norm;
  }

  #groups(): Float32Array {
    const { settings } = this.#options;
    const { parts } = this.#layout;
    const groups = new Float32Array(parts.length * GROUP_NUMBERS.length);
    parts.forEach(({ decays }, index) => {
      const t = this.#updates[index] as number;
      const corrections = settings.kind === "adamw" ? [1 - settings.beta1 ** t, 1 - settings.beta2 ** t] : [1, 1];
      const row = [this.#touched.has(index) ? 1 : 0, decays ? settings.weightDecay : 0, ...corrections];
      groups.set(row, index * GROUP_NUMBERS.length);
    });
    return groups;
  }

  /** Reads back weights and states, to go on from them in another process. */
  async save(): Promise<Omit<TrainerState, "passes">> {
    const slices = this.#slices();
    const bytes = await this.#options.gpu.read(slices.map(({ slice }) => slice));
    const tensors = slices.map(({ name }, index) => [name, new Float32Array(bytes[index] as ArrayBuffer)] as const);
    const updates = this.#layout.parts.map((part, index) => [this.#nameOf(part), this.#updates[index] as number]);
    return { tensors: Object.fromEntries(tensors), updates: Object.fromEntries(updates) as Record<string, number> };
  }

  /**
   * Puts back what {@link save} has read.
   * @throws EngineError BAD_CONFIG for a state of something else: nothing has changed then
   */
  restore({ tensors, updates }: Omit<TrainerState, "passes">): void {
    const slices = this.#slices();
    checkState(
      slices.map(({ name, slice }) => [name, (slice.size as number) / 4]),
      tensors,
    );
    for (const { name, slice } of slices)
      this.#options.gpu.write(slice.buffer, slice.offset as number, tensors[name] as Float32Array);
    this.#layout.parts.forEach((part, index) => {
      this.#updates[index] = updates[this.#nameOf(part)] ?? 0;
    });
  }

  #nameOf({ stretch, from }: FlatPart): string {
    const { owner, parameter } = this.#options.trainables[stretch] as Trainable;
    return `${owner}/${parameter}/${from}`;
  }

  /** Where the weights and states of every part lie. */
  #slices(): readonly { readonly name: string; readonly slice: Required<BufferSlice> }[] {
    const { parameters, settings } = this.#options;
    return this.#layout.parts.flatMap((part) => {
      const size = 4 * part.elements;
      const at = (kind: string, parameter: string, first: number) => {
        const { buffer, offset } = parameters.slice(parameter);
        return { name: `${this.#nameOf(part)}/${kind}`, slice: { buffer, offset: offset + 4 * first, size } };
      };
      const weights = at("weights", (this.#packs[part.pack] as Pack).name, part.first);
      return [weights, ...STATES[settings.kind].map((state) => at(state, `${NAME}.${state}.${part.pack}`, part.at))];
    });
  }

  /** Gives what was trained buffers of its own again, and frees the rest. */
  async dispose(): Promise<void> {
    await this.#accumulator?.dispose();
    this.#plan.dispose();
    await this.#arena.dispose();
    free(this.#options.parameters, this.#packs);
  }
}

/** Gradient and states of every pack, all zero, and which part each block of it is of. */
function allocate(parameters: Parameters, { elements, blocks }: FlatLayout, kind: OptimizerSettings["kind"]): void {
  elements.forEach((count, pack) => {
    for (const name of ["gradient", ...STATES[kind]])
      parameters.set(`${NAME}.${name}.${pack}`, { shape: [count], element: "f32" });
    const shape = [count / BLOCK_ELEMENTS, BLOCK_WORDS];
    parameters.set(`${NAME}.blocks.${pack}`, { shape, element: "u32" }, blocks[pack] as Uint32Array);
  });
}

/** Gives what is packed buffers of its own again, and frees what was allocated beside it so far. */
function free(parameters: Parameters, packs: readonly Pack[]): void {
  packs.forEach((pack, index) => {
    for (const name of ["gradient", "blocks", ...new Set(Object.values(STATES).flat())]) {
      const parameter = `${NAME}.${name}.${index}`;
      if (parameters.has(parameter)) parameters.delete(parameter);
    }
    parameters.unpack(pack);
  });
}

/** @throws EngineError BAD_CONFIG where the tensors of a state are others than those expected, naming the first */
function checkState(
  expected: readonly (readonly [string, number])[],
  tensors: Readonly<Record<string, Float32Array>>,
): void {
  const names = new Set(expected.map(([name]) => name));
  const strange = Object.keys(tensors).find((name) => !names.has(name));
  const wrong = expected.find(([name, elements]) => tensors[name]?.length !== elements);
  if (strange === undefined && wrong === undefined) return;
  const message =
    wrong === undefined
      ? `the state holds ${strange}, which is not trained here`
      : `the state holds ${tensors[wrong[0]]?.length ?? "no"} elements of ${wrong[0]}, expected ${wrong[1]}`;
  throw new EngineError("BAD_CONFIG", message, {
    where: "checkpoint",
    fix: "use the checkpoint of this configuration",
  });
}

/** Σ g² over all packs, then one update a pack. */
function updateGraph(packs: readonly Pack[], { elements, parts }: FlatLayout, kind: OptimizerSettings["kind"]) {
  const b = new GraphBuilder();
  const flat = (name: string, pack: number): Value =>
    b.parameter(`${NAME}.${name}.${pack}`, [elements[pack] as number]);
  const squares = packs.map((_, pack) => {
    const rows = b.reshape(flat("gradient", pack), [(elements[pack] as number) / BLOCK_ELEMENTS, BLOCK_ELEMENTS]);
    const lengths = b.op(rowDot, { x: rows, w: rows }, {}).y as Value;
    return b.op(sumRows, { x: b.reshape(lengths, [(elements[pack] as number) / BLOCK_ELEMENTS, 1]) }, {}).y as Value;
  });
  const norm = squares.reduce((a, other) => b.op(elementwise, { a, b: other }, { operation: "add" }).y as Value);
  const outputs: Record<string, Value> = { norm };
  const groups = b.input("groups", [parts.length, GROUP_NUMBERS.length]);
  const settings = b.input("settings", [kind === "adamw" ? 6 : 4]);
  packs.forEach(({ name, elements: weights }, pack) => {
    const states = Object.fromEntries(STATES[kind].map((state) => [state, flat(state, pack)]));
    const shape = [(elements[pack] as number) / BLOCK_ELEMENTS, BLOCK_WORDS];
    const inputs = {
      weights: b.parameter(name, [weights]),
      ...states,
      gradient: flat("gradient", pack),
      blocks: b.parameter(`${NAME}.blocks.${pack}`, shape, "u32"),
      groups,
      norm,
      settings,
    };
    const updated = b.op(OPS[kind], inputs, {});
    for (const [output, value] of Object.entries(updated)) outputs[`${output} ${pack}`] = value;
  });
  return b.finish(outputs);
}
