/**
 * @file The memory plan: which value lives in which slot of the arena, and when. Pure; tested without a GPU.
 *
 * The arena is a small set of slot buffers rather than one buffer, because WebGPU tracks usage per buffer: a dispatch
 * may not read one part of a buffer as read-only storage and write another part of it.
 */

import { EngineError } from "../errors.ts";
import { byteLength } from "../ops/op.ts";
import type { SizeOf } from "../ops/op.ts";
import { homesOf } from "./homes.ts";
import type { Home } from "./homes.ts";
import { countOfRows, deviceCounts } from "./indirect.ts";
import { callOf } from "./schedule.ts";
import type { Step } from "./schedule.ts";
import { root, valueKey } from "./value.ts";
import type { Graph, Value } from "./value.ts";

/** Where the elements of a value are found; `at` is the first of a parameter's. */
export type Place =
  | { readonly kind: "slot"; readonly slot: number }
  | { readonly kind: "input"; readonly name: string }
  | { readonly kind: "parameter"; readonly name: string; readonly at?: number };

/** A copy that must run before a step, because the step updates a value in place that others still need. */
export interface PlannedCopy {
  readonly step: number;
  readonly from: Place;
  readonly to: Place;
  readonly value: Value;
}

/** The result of {@link planMemory}. */
export interface MemoryPlan {
  /** Bytes of every slot at capacity. */
  readonly slots: readonly number[];
  readonly copies: readonly PlannedCopy[];
  /** Bytes that the slots would take without any reuse. */
  readonly unsharedBytes: number;
  readonly placeOf: (value: Value) => Place;
  /** Slot of a scratch buffer of a step. */
  readonly scratchSlot: (step: number, name: string) => number;
}

interface Storage {
  readonly bytes: number;
  readonly first: number;
  last: number;
  slot: number;
}

const ALIGNMENT = 256;

/** Rounds up to the alignment of buffer bindings, so that slots can be shared between plans and element types. */
function align(bytes: number): number {
  return Math.max(Math.ceil(bytes / ALIGNMENT) * ALIGNMENT, ALIGNMENT);
}

/** The last step that reads each value; results are read after the last step, and with them the counts that they are cut by. */
function lastUses(graph: Graph, steps: readonly Step[]): Map<string, number> {
  const last = new Map<string, number>();
  steps.forEach((step, index) => {
    for (const value of Object.values(step.node.inputs)) last.set(valueKey(root(value)), index);
  });
  const counts = deviceCounts(steps);
  for (const value of graph.outputs.values()) {
    last.set(valueKey(root(value)), Infinity);
    const count = countOfRows(value, counts);
    if (count !== undefined) last.set(valueKey(count), Infinity);
  }
  return last;
}

/**
 * Gives every value a slot; slots are reused as soon as their value has had its last reader.
 * @param homes of outputs that are to be written elsewhere, by name
 */
export function planMemory(
  graph: Graph,
  steps: readonly Step[],
  capacity: SizeOf,
  homes: ReadonlyMap<string, Home> = new Map(),
): MemoryPlan {
  const last = lastUses(graph, steps);
  const storages = new Map<string, Storage>();
  const scratch = new Map<string, Storage>();
  const order: Storage[] = [];
  const copies: { step: number; from: Value; to: Value }[] = [];
  const add = (bytes: number, first: number, until: number): Storage => {
    const storage = { bytes: align(bytes), first, last: until, slot: -1 };
    order.push(storage);
    return storage;
  };
  const updated = new Map<string, Value>();
  const homed = homesOf(graph, steps, homes);
  steps.forEach((step, index) => {
    const inPlace = step.node.op?.inPlace?.(callOf(step.node)) ?? {};
    const updates = step.node.op?.updates?.(callOf(step.node)) ?? {};
    for (const [name, value] of Object.entries(step.node.outputs)) {
      if (updates[name] !== undefined) {
        updated.set(valueKey(value), updatable(step, index, updates[name], last));
        continue;
      }
      const until = last.get(valueKey(value)) ?? index;
      const base = inPlace[name] === undefined ? undefined : root(step.node.inputs[inPlace[name]] as Value);
      const atHome = homed.has(valueKey(value));
      const shared = base === undefined || atHome ? undefined : reusable(base, step, index, last, storages);
      if (shared !== undefined) shared.last = Math.max(shared.last, until);
      else if (base !== undefined) copies.push({ step: index, from: base, to: value });
      if (atHome) continue;
      storages.set(valueKey(value), shared ?? add(byteLength(value.type, capacity), index, until));
    }
    for (const { launch } of step.launches) {
      for (const [name, elements] of Object.entries(launch.scratch ?? {})) {
        if (!scratch.has(`${index}.${name}`)) scratch.set(`${index}.${name}`, add(elements * 4, index, index));
      }
    }
  });
  const slots = assignSlots(order);
  const placeOf = (value: Value): Place => {
    const source = updated.get(valueKey(value)) ?? root(value);
    if (source.node.kind === "input") return { kind: "input", name: source.node.label };
    if (source.node.kind === "parameter") return { kind: "parameter", name: source.node.label };
    const home = homed.get(valueKey(source));
    if (home !== undefined) return { kind: "parameter", name: home.parameter, at: home.at };
    return { kind: "slot", slot: (storages.get(valueKey(source)) as Storage).slot };
  };
  return {
    slots,
    placeOf,
    unsharedBytes: order.reduce((sum, storage) => sum + storage.bytes, 0),
    copies: copies.map(({ step, from, to }) => ({ step, from: placeOf(from), to: placeOf(to), value: to })),
    scratchSlot: (step, name) => (scratch.get(`${step}.${name}`) as Storage).slot,
  };
}

/** The source that a step changes where it lies; whoever reads it must have done so. */
function updatable({ node }: Step, index: number, role: string, last: ReadonlyMap<string, number>): Value {
  const source = root(node.inputs[role] as Value);
  const { kind, label } = source.node;
  if ((kind === "parameter" || kind === "input") && (last.get(valueKey(source)) ?? -1) <= index) return source;
  const message = `${node.label} changes ${label}, which is ${kind === "op" ? "no parameter" : "read behind it"}`;
  throw new EngineError("SHAPE", message, { where: node.scope });
}

/** The storage of a value that is updated in place, if nobody needs its old contents and no other input shares it. */
function reusable(
  base: Value,
  step: Step,
  index: number,
  last: ReadonlyMap<string, number>,
  storages: ReadonlyMap<string, Storage>,
): Storage | undefined {
  const storage = storages.get(valueKey(base));
  if (storage === undefined || (last.get(valueKey(base)) ?? -1) > index || storage.last > index) return undefined;
  let readers = 0;
  for (const value of Object.values(step.node.inputs))
    if (storages.get(valueKey(root(value))) === storage) readers += 1;
  return readers === 1 ? storage : undefined;
}

/** Best fit in order of first use; a slot that is a little small grows rather than adding another. */
function assignSlots(order: readonly Storage[]): number[] {
  const slots: { bytes: number; freeFrom: number }[] = [];
  for (const storage of order) {
    let best = -1;
    slots.forEach((slot, index) => {
      if (slot.freeFrom > storage.first) return;
      const current = slots[best];
      if (current === undefined || fits(slot.bytes, current.bytes, storage.bytes)) best = index;
    });
    if (best < 0) best = slots.push({ bytes: 0, freeFrom: 0 }) - 1;
    const slot = slots[best] as { bytes: number; freeFrom: number };
    slot.bytes = Math.max(slot.bytes, storage.bytes);
    slot.freeFrom = storage.last + 1;
    storage.slot = best;
  }
  return slots.map((slot) => slot.bytes);
}

/** Is a slot of `candidate` bytes a better home for `wanted` bytes than one of `current` bytes? */
function fits(candidate: number, current: number, wanted: number): boolean {
  if (candidate >= wanted) return current < wanted || candidate < current;
  return current < wanted && candidate > current;
}
