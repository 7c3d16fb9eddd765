/**
 * @file Prediction heads that were added to a model. Heads of one shape share buffers: which of them runs is a run-time
 * number, so that a task is swapped without a new plan.
 */

import { leaveOut } from "../adapters/evaluate/dropout.ts";
import type { Dropouts } from "../adapters/evaluate/dropout.ts";
import { buildHead, expectedHeadTensors, headRows, initialHeadTensors } from "../adapters/heads.ts";
import type { HeadConfig } from "../adapters/heads-config.ts";
import { readHeadConfig } from "../adapters/heads-config.ts";
import { misfits, refuseMisfits } from "../adapters/tensors.ts";
import type { AdapterTensor } from "../adapters/tensors.ts";
import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";
import type { Host, Stream } from "../hosts/host.ts";
import type { Dim } from "../ops/op.ts";

/** A head's description: a configuration, with or without tensors by tail (`1.weight`). */
export interface HeadSource {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors?: ReadonlyMap<string, AdapterTensor> | undefined;
  readonly seed?: number;
  /** It came along with an adapter, and gives way to one that is added by name. */
  readonly along?: boolean;
}

/** A head in a graph: its shape, and how many there is room for. */
export interface HeadUse {
  readonly key: string;
  readonly config: HeadConfig;
  readonly slots: number;
}

/** The slot of a head in one parameter. */
export interface HeadStretch {
  readonly tail: string;
  readonly parameter: string;
  readonly slot: number;
  /** Elements of a slot. */
  readonly elements: number;
}

interface Shelf {
  readonly config: HeadConfig;
  slots: number;
  readonly names: (string | null)[];
}

interface AddedHead {
  readonly config: HeadConfig;
  readonly key: string;
  readonly tensors: ReadonlyMap<string, AdapterTensor>;
  readonly along: boolean;
}

const FIRST_SLOTS = 4;

/** Name of the run-time size that says which head of its shape runs at a place. */
export function headSlot(index: number): string {
  return `head.${index}`;
}

/** The added heads of one model. */
export class AddedHeads {
  readonly #parameters: Parameters;
  readonly #width: number;
  readonly #heads = new Map<string, AddedHead>();
  readonly #shelves = new Map<string, Shelf>();
  /** Heads that runs of before may still read. */
  readonly #leaving = new Set<string>();
  /** Heads that are being trained: the GPU holds newer values of them. */
  #held: ReadonlySet<string> = new Set();
  #generation = 0;

  constructor(parameters: Parameters, width: number) {
    this.#parameters = parameters;
    this.#width = width;
  }

  /** Changes when buffers were made anew. */
  get generation(): number {
    return this.#generation;
  }

  get names(): readonly string[] {
    return [...this.#heads.keys()].filter((name) => !this.#leaving.has(name));
  }

  has(name: string): boolean {
    return this.#heads.has(name);
  }

  /** @throws EngineError UNKNOWN_NAME */
  configOf(name: string): HeadConfig {
    const head = this.#heads.get(name);
    if (head !== undefined) return head.config;
    throw this.#unknown(name);
  }

  #unknown(name: string): EngineError {
    const known = this.names.join(", ") || "none";
    return new EngineError("UNKNOWN_NAME", `there is no head ${name}; known: ${known}`, { where: name });
  }

  /** @returns the tensors of a head, for saving. */
  tensorsOf(name: string): ReadonlyMap<string, AdapterTensor> {
    this.configOf(name);
    return (this.#heads.get(name) as AddedHead).tensors;
  }

  /**
   * Reads and checks a head, and changes nothing.
   * @throws EngineError BAD_CONFIG, UNSUPPORTED; BAD_WEIGHTS with everything that does not fit; UNKNOWN_NAME for a name that is taken
   */
  check(name: string, source: HeadSource): { config: HeadConfig; tensors: ReadonlyMap<string, AdapterTensor> } {
    const known = this.#heads.get(name);
    if (name === "" || name === "default") {
      throw new EngineError("BAD_CONFIG", `a head cannot be called ${JSON.stringify(name)}`, { where: "addHead" });
    }
    if (known !== undefined && !known.along) {
      throw new EngineError("UNKNOWN_NAME", `there is a head ${name} already`, {
        where: name,
        fix: "remove it first or choose another name",
      });
    }
    const config = readHeadConfig(source.config, this.#width);
    const tensors = source.tensors ?? initialHeadTensors(config, this.#width, source.seed ?? 0);
    checkHead(name, config, tensors, this.#width);
    return { config, tensors };
  }

  /**
   * Adds a head.
   * @throws EngineError as {@link check} does; UNSUPPORTED where that would move one that is trained
   */
  add(name: string, source: HeadSource): void {
    const { config, tensors } = this.check(name, source);
    if (this.#heads.has(name)) this.remove(name);
    const key = keyOf(config);
    const shelf = this.#shelves.get(key) ?? this.#newShelf(key, config);
    let slot = shelf.names.indexOf(null);
    if (slot < 0) slot = this.#widen(key, shelf);
    shelf.names[slot] = name;
    this.#heads.set(name, { config, key, tensors, along: source.along === true });
    this.#write(key, slot, tensors);
  }

  /** Keeps heads where they are, for they are being trained, until others or none are named. */
  hold(names: ReadonlySet<string>): void {
    this.#held = names;
  }

  /** Takes what a head was trained to, which its slot holds already. */
  learned(name: string, tensors: ReadonlyMap<string, AdapterTensor>): void {
    const head = this.#heads.get(name);
    if (head === undefined) throw this.#unknown(name);
    this.#heads.set(name, { ...head, tensors: new Map([...head.tensors, ...tensors]) });
  }

  /**
   * Takes a head out of the following runs; {@link remove} frees its place once those of before are over.
   * @throws EngineError UNKNOWN_NAME
   */
  leave(name: string): void {
    if (!this.names.includes(name)) throw this.#unknown(name);
    this.#leaving.add(name);
  }

  /** The same for a head that came along with an adapter, if there is one. */
  leaveAlong(name: string): void {
    if (this.#heads.get(name)?.along === true) this.#leaving.add(name);
  }

  remove(name: string): void {
    const { key } = this.#heads.get(name) as AddedHead;
    const shelf = this.#shelves.get(key) as Shelf;
    shelf.names[shelf.names.indexOf(name)] = null;
    this.#heads.delete(name);
    this.#leaving.delete(name);
  }

  /** Removes the head that came along with an adapter, if there is one. */
  removeAlong(name: string): void {
    if (this.#heads.get(name)?.along === true) this.remove(name);
  }

  /** @returns how a head appears in a graph. */
  useOf(name: string): HeadUse {
    const config = this.configOf(name);
    const { key } = this.#heads.get(name) as AddedHead;
    return { key, config, slots: (this.#shelves.get(key) as Shelf).slots };
  }

  /** @returns the number of a head among those of its shape. */
  slotOf(name: string): number {
    const { key } = this.#heads.get(name) as AddedHead;
    return (this.#shelves.get(key) as Shelf).names.indexOf(name);
  }

  /** What a head's slot holds: the parameters that are stacks of slots, and how many elements one of them has, by tail. */
  stretchesOf(name: string): readonly HeadStretch[] {
    const { key, tensors } = this.#heads.get(name) as AddedHead;
    const slot = this.slotOf(name);
    return [...tensors].map(([tail, { data }]) => ({
      tail,
      parameter: headParameter(key, tail),
      slot,
      elements: data.length,
    }));
  }

  #newShelf(key: string, config: HeadConfig): Shelf {
    const shelf = { config, slots: FIRST_SLOTS, names: Array.from({ length: FIRST_SLOTS }, () => null) };
    this.#allocate(key, config, FIRST_SLOTS);
    this.#shelves.set(key, shelf);
    return shelf;
  }

  #allocate(key: string, config: HeadConfig, slots: number): void {
    const made: string[] = [];
    try {
      for (const [tail, shape] of expectedHeadTensors(config, this.#width)) {
        const [rows = 0, ...rest] = shape;
        const name = headParameter(key, tail);
        this.#parameters.set(name, { shape: [rows * slots, ...rest], element: "f32" });
        made.push(name);
      }
    } catch (error) {
      for (const name of made) this.#parameters.delete(name);
      throw error;
    }
  }

  /** Doubles the room for heads of one shape; plans that bound the old buffers are void. */
  #widen(key: string, shelf: Shelf): number {
    if (shelf.names.some((name) => name !== null && this.#held.has(name)))
      throw new EngineError("UNSUPPORTED", "there is no room for another head of this shape while one is trained", {
        where: "addHead",
        fix: "add heads before the training",
      });
    const first = shelf.slots;
    for (const tail of expectedHeadTensors(shelf.config, this.#width).keys())
      this.#parameters.delete(headParameter(key, tail));
    shelf.slots = 2 * first;
    shelf.names.push(...Array.from({ length: first }, () => null));
    this.#allocate(key, shelf.config, shelf.slots);
    this.#generation += 1;
    shelf.names.forEach((name, slot) => {
      if (name !== null) this.#write(key, slot, (this.#heads.get(name) as AddedHead).tensors);
    });
    return first;
  }

  #write(key: string, slot: number, tensors: ReadonlyMap<string, AdapterTensor>): void {
    for (const [tail, { data }] of tensors) this.#parameters.write(headParameter(key, tail), data, slot * data.length);
  }
}

/** What of a configuration shapes a graph. */
function keyOf({ head_type, num_labels, layers, activation_function, use_pooler, bias }: HeadConfig): string {
  const rows = head_type === "tagging" ? "token" : "sequence";
  return [
    rows,
    num_labels,
    layers,
    activation_function ?? "none",
    use_pooler ? "pooled" : "plain",
    bias ? "bias" : "nobias",
  ].join("-");
}

function headParameter(key: string, tail: string): string {
  return `heads.${key}.${tail}`;
}

function checkHead(name: string, config: HeadConfig, tensors: ReadonlyMap<string, AdapterTensor>, width: number): void {
  const problems = misfits(tensors, expectedHeadTensors(config, width));
  refuseMisfits(`head ${name} does not fit`, problems, { where: name, fix: "check num_labels and the host's width" });
}

/** @returns whether a head gives one row per token. */
export function isTokenHead(config: HeadConfig): boolean {
  return headRows(config) === "token";
}

/** Builds an added head: logits [sequences, labels], or [rows, labels] for a tagger. */
export function buildAddedHead(
  b: GraphBuilder,
  host: Host,
  { key, config, slots }: HeadUse,
  index: number,
  stream: Stream,
  { sequences, dropout = null }: { readonly sequences: Dim; readonly dropout?: Dropouts | null },
): Value {
  const count = typeof sequences === "object" ? sequences.symbol : "";
  const shapes = expectedHeadTensors(config, host.shape.width);
  const stacked = (tail: string): Value | undefined => {
    const shape = shapes.get(tail);
    if (shape === undefined) return undefined;
    const [rows = 0, ...rest] = shape;
    return b.parameter(headParameter(key, tail), [rows * slots, ...rest]);
  };
  const pooled = config.use_pooler ? host.pooler?.(b, stream, sequences) : undefined;
  return buildHead(b, config, stream.hidden, stream.segments, {
    ...(pooled === undefined ? {} : { pooled }),
    pick: host.shape.causal ? "last" : "first",
    count,
    leaveOut: (x, module) => {
      const rate = config.dropout_prob ?? dropout?.head ?? 0;
      return leaveOut(b, dropout, x, { rate, place: `heads.${index}.${module}` });
    },
    weight: (module) => {
      const bias = stacked(`${module}.bias`);
      return {
        w: stacked(`${module}.weight`) as Value,
        ...(bias === undefined ? {} : { bias }),
        slot: headSlot(index),
      };
    },
  });
}
