/**
 * @file Adapters whose slots are computed of what is trained (src/adapters/derivation.ts). What slots are computed of is trained in
 * parameters of its own: a step goes back through that computation, and behind every update the slots are computed anew.
 */

import { derivationOf } from "../adapters/derivation.ts";
import type { Derivation } from "../adapters/derivation.ts";
import { measuresHost } from "../adapters/define.ts";
import type { Constants } from "../adapters/constants.ts";
import type { DeriveKit, DerivedStretch } from "../adapters/derive.ts";
import type { SlotStretch } from "../adapters/bank.ts";
import type { AdapterTensor } from "../adapters/tensors.ts";
import { sourcesOf } from "../adapters/unpack.ts";
import type { PackedSources } from "../adapters/unpack.ts";
import { Arena } from "../graph/arena.ts";
import { GraphBuilder } from "../graph/builder.ts";
import type { Leaf, LeafGradient, Seed } from "../graph/differentiate.ts";
import { Plan } from "../graph/plan.ts";
import type { Value } from "../graph/value.ts";
import type { Inside } from "../model/model.ts";
import { elementwise } from "../ops/elementwise.ts";
import { elementCount } from "../ops/op.ts";
import { gatherRows } from "../ops/gather-rows.ts";

/** An adapter of which some slots are computed. */
export interface DerivedAdapter {
  readonly name: string;
  readonly derivation: Derivation;
  /** Its slots by table. */
  readonly slots: ReadonlyMap<string, SlotStretch>;
  /** Where the elements of all other tensors went. */
  readonly copied: PackedSources;
}

/** The parameter in which a source is trained, or kept. */
export function sourceParameter({ name }: Pick<DerivedAdapter, "name">, key: string): string {
  return `trained.${name}.${key}`;
}

async function deriveOne({ store, parts }: Inside, name: string): Promise<DerivedAdapter | null> {
  const { definition, resident } = store.get(name);
  const { shape } = parts.host;
  const frozen = measuresHost(definition.tensors) ? await store.frozen.load() : undefined;
  const room = (table: string): number => store.bank.room(table);
  const derivation = derivationOf(definition, { host: shape, room, frozen });
  if (derivation === null) return null;
  const tensors = [...derivation.sources.values()].flatMap(({ tensor }) => (tensor === null ? [] : [tensor]));
  const slots = new Map(store.bank.stretchesOf(resident).map((stretch) => [stretch.table, stretch]));
  const copied = sourcesOf(name, definition, shape, { apart: new Set(tensors), frozen });
  return { name, derivation, slots, copied };
}

/**
 * Finds which of some adapters have slots that are computed, and puts what they are computed of on the GPU. The adapters must be in
 * their slots.
 * @throws EngineError LIMIT, UNKNOWN_NAME: nothing is left behind
 */
export async function deriveAdapters(inside: Inside, names: readonly string[]): Promise<readonly DerivedAdapter[]> {
  const derived: DerivedAdapter[] = [];
  const { parameters } = inside.parts;
  try {
    for (const name of names) {
      const one = await deriveOne(inside, name);
      if (one === null) continue;
      derived.push(one);
      for (const [key, { shape, data }] of one.derivation.sources)
        parameters.set(sourceParameter(one, key), { shape, element: "f32" }, data);
    }
    return derived;
  } catch (error) {
    freeDerived(inside, derived);
    throw error;
  }
}

/** Frees what {@link deriveAdapters} has made. */
export function freeDerived({ parts: { parameters } }: Inside, derived: readonly DerivedAdapter[]): void {
  for (const one of derived)
    for (const key of one.derivation.sources.keys()) {
      const parameter = sourceParameter(one, key);
      if (parameters.has(parameter)) parameters.delete(parameter);
    }
}

/** @returns the slots that a step must have gradients of, though none of their elements is trained itself. */
export function derivedLeaves(derived: readonly DerivedAdapter[]): Leaf[] {
  return derived.flatMap(({ derivation, slots }) =>
    [...new Set(derivation.stretches.map(({ table }) => table))].map((table) => slots.get(table) as SlotStretch),
  );
}

function kitOf(b: GraphBuilder, constants: Constants, derived: DerivedAdapter): DeriveKit {
  const source = (key: string): Value =>
    b.parameter(sourceParameter(derived, key), derived.derivation.sources.get(key)?.shape ?? []);
  return { b, constants, source };
}

const elementsOf = (shape: readonly number[]): number => shape.reduce((count, dim) => count * dim, 1);

/** The elements of a stretch out of the gradient of its slot; null where the step has none of them. */
function cutOut(
  b: GraphBuilder,
  constants: Constants,
  { from, shape }: DerivedStretch,
  gradients: readonly LeafGradient[],
): Value | null {
  const elements = elementsOf(shape);
  const whole = gradients.find(({ at, value }) => at <= from && from + elements <= at + elementsIn(value));
  if (whole === undefined) return null;
  if (elementsIn(whole.value) === elements) return b.reshape(whole.value, shape);
  const width = shape.length === 2 ? (shape[1] as number) : 1;
  const first = (from - whole.at) / width;
  const rows = b.reshape(whole.value, [elementsIn(whole.value) / width, width]);
  const own = constants.indices(
    b,
    Uint32Array.from({ length: elements / width }, (_, row) => first + row),
  );
  return b.reshape(b.op(gatherRows, { x: rows, rows: own }, {}).y as Value, shape);
}

function elementsIn({ type }: Value): number {
  return elementCount(type, (dim) => dim as number);
}

/** @returns from where a step goes back to what slots are computed of, given the gradients of the slots. */
export function derivedSeeds(
  b: GraphBuilder,
  constants: Constants,
  derived: readonly DerivedAdapter[],
  found: ReadonlyMap<string, readonly LeafGradient[]>,
): Seed[] {
  return derived.flatMap((one) =>
    one.derivation.stretches.flatMap((stretch): Seed[] => {
      const { parameter } = one.slots.get(stretch.table) as SlotStretch;
      const gradient = cutOut(b, constants, stretch, found.get(parameter) ?? []);
      return gradient === null ? [] : [{ value: stretch.build(kitOf(b, constants, one)), gradient }];
    }),
  );
}

/** A computed stretch, and where it belongs. */
export interface DerivedValue {
  /** Its name among outputs. */
  readonly name: string;
  readonly value: Value;
  readonly parameter: string;
  /** The first element in the parameter. */
  readonly at: number;
}

/** @returns everything that is computed for slots. */
export function derivedValues(
  b: GraphBuilder,
  constants: Constants,
  derived: readonly DerivedAdapter[],
): readonly DerivedValue[] {
  return derived.flatMap((one) =>
    one.derivation.stretches.map((stretch, index) => {
      const { parameter, slot, elements } = one.slots.get(stretch.table) as SlotStretch;
      const value = stretch.build(kitOf(b, constants, one));
      return { name: `${one.name} ${index}`, value, parameter, at: slot * elements + stretch.from };
    }),
  );
}

/** Computes slots of what is trained. */
export class DerivedSlots {
  readonly #inside: Inside;
  readonly #values: readonly DerivedValue[];
  readonly #arena: Arena;
  readonly #plan: Plan;

  private constructor(inside: Inside, values: readonly DerivedValue[], arena: Arena, plan: Plan) {
    this.#inside = inside;
    this.#values = values;
    this.#arena = arena;
    this.#plan = plan;
  }

  /** @returns null where no slot is computed. */
  static async create(inside: Inside, derived: readonly DerivedAdapter[]): Promise<DerivedSlots | null> {
    if (derived.length === 0) return null;
    const { gpu, parameters } = inside.parts;
    const b = new GraphBuilder();
    const { constants } = inside.store.bank;
    const values = derivedValues(b, constants, derived);
    // Times 1, which changes no bit: a tensor that goes into its slot as it is would be no output of an op.
    const outputs = values.map(({ name, value }) => {
      const y = b.op(elementwise, { a: value, b: constants.row(b, 1, 1) }, { operation: "mul" }).y as Value;
      return [name, y] as const;
    });
    const arena = new Arena(gpu);
    const plan = await Plan.create({ gpu, graph: b.finish(new Map(outputs)), parameters, arena, capacities: {} });
    return new DerivedSlots(inside, values, arena, plan);
  }

  /** Writes the slots. */
  async refresh(): Promise<void> {
    const { parameters } = this.#inside.parts;
    const into = this.#values.map(({ name, parameter, at }) => {
      const { buffer, offset } = parameters.slice(parameter);
      return [name, { buffer, offset: offset + 4 * at }] as const;
    });
    await this.#plan.run({}, {}, { into: Object.fromEntries(into) });
  }

  async dispose(): Promise<void> {
    this.#plan.dispose();
    await this.#arena.dispose();
  }
}

/** The tensors of an adapter with what was trained of them, from the values of its sources by key. */
export function trainedTensors(
  { derivation }: DerivedAdapter,
  tensors: ReadonlyMap<string, AdapterTensor>,
  values: ReadonlyMap<string, Float32Array>,
): ReadonlyMap<string, AdapterTensor> {
  const changed = new Map(tensors);
  for (const [key, { tensor, from, trained }] of derivation.sources) {
    if (tensor === null || !trained) continue;
    const { shape, data } = changed.get(tensor) as AdapterTensor;
    const copy = data.slice();
    copy.set(values.get(key) as Float32Array, from);
    changed.set(tensor, { shape, data: copy });
  }
  return changed;
}
