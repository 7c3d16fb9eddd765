/**
 * @file The bank: slots on the GPU in which adapters live side by side (DESIGN §5.4). A slot number holds in every table;
 * width, activation, scale and "none" are slot data, so putting an adapter into a slot is nothing but writing buffers.
 */

import { EngineError } from "../errors.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Value } from "../graph/value.ts";
import { adapterStride } from "../ops/adapter.ts";
import { Constants } from "./constants.ts";
import { SLOT_WORDS, parameterName, slotData, slotInfo, slotsName } from "./bank-slots.ts";
import type { BankEntry, BankTable, BottleneckEntry, PackedAdapter } from "./packed.ts";
import { isBottleneck } from "./packed.ts";

/** How many adapters fit at once, and how wide their bottlenecks may be. What is not given grows as needed. */
export interface BankSize {
  /** Slots. Given: never more; without `evict`, one adapter too many is refused. */
  readonly count?: number;
  /** Widest bottleneck of a slot. Given: a wider one is refused. */
  readonly width?: number;
  /** Bytes on the GPU: as many slots as they hold; the adapter unused for longest makes room. */
  readonly bytes?: number;
  /** Whether the adapter unused for longest makes room where `count` slots are taken. */
  readonly evict?: boolean;
}

/** An adapter that may be put into a slot. Identity counts: a new adapter under an old name is another one. */
export interface Resident {
  readonly name: string;
  readonly packed: PackedAdapter;
}

/** What the bank holds now. */
export interface BankStatus {
  readonly slots: number;
  readonly bytes: number;
  /** Names in slots, the one unused for longest first. */
  readonly resident: readonly string[];
  readonly evictions: number;
}

/** The slot of an adapter in one table. */
export interface SlotStretch {
  readonly table: string;
  /** The stack of slots. */
  readonly parameter: string;
  readonly slot: number;
  /** Elements of a slot. */
  readonly elements: number;
  /** Units or rows that a slot has room for; 1 of a vector. */
  readonly room: number;
}

interface Table {
  readonly table: BankTable;
  /** Bottleneck width, or rows, that a slot has room for. */
  readonly room: number;
}

const DEFAULT_COUNT = 8;
const DEFAULT_WIDTH = 64;
/** Room of a bottleneck comes in steps of eight units: every kernel variant can take it then. */
const STEP = 8;
/** Ends the name of a buffer that is to take another's place. */
const NEW = " (new)";

/** The resident adapters of one model. */
export class AdapterBank {
  readonly constants: Constants;
  readonly #parameters: Parameters;
  readonly #size: BankSize;
  readonly #onEvict: (name: string) => void;
  readonly #tables = new Map<string, Table>();
  /** Slot of every resident, the one unused for longest first. */
  readonly #slots = new Map<Resident, number>();
  /** Slots are laid out once per width of the table, so that a swap only writes. */
  readonly #laidOut = new WeakMap<BottleneckEntry, { readonly room: number; readonly data: Float32Array }>();
  /** Who stands in the place of a resident that was trained. */
  readonly #heirs = new WeakMap<Resident, Resident>();
  /** Residents whose slots a training holds. */
  #held: ReadonlySet<Resident> | null = null;
  #count: number;
  #evictions = 0;
  #generation = 0;

  constructor(parameters: Parameters, size: BankSize, onEvict: (name: string) => void = () => undefined) {
    this.#parameters = parameters;
    this.constants = new Constants(parameters);
    this.#size = size;
    this.#onEvict = onEvict;
    this.#count = size.count ?? DEFAULT_COUNT;
  }

  /** Changes whenever buffers were made anew: plans that bound the old ones are void then. */
  get generation(): number {
    return this.#generation;
  }

  get status(): BankStatus {
    const resident = [...this.#slots.keys()].map(({ name }) => name);
    return { slots: this.#count, bytes: this.#count * this.#slotBytes(), resident, evictions: this.#evictions };
  }

  /** @returns true when the adapter unused for longest makes room for another. */
  get evicts(): boolean {
    return this.#size.evict ?? this.#size.bytes !== undefined;
  }

  /**
   * Makes tables for everything that an adapter needs, or widens them.
   * @param joining slots that are about to be taken besides those in use
   * @throws EngineError NO_CAPACITY when it does not fit what was given at load
   */
  prepare({ name, packed }: Resident, joining = 0): void {
    const wanted = new Map<string, Table>();
    for (const entry of packed.entries) {
      const room = this.#roomFor(name, entry);
      const known = this.#tables.get(entry.table.name);
      if (known === undefined || known.room < room) wanted.set(entry.table.name, { table: entry.table, room });
    }
    if (wanted.size === 0) return;
    const before = new Map(this.#tables);
    for (const [key, table] of wanted) this.#tables.set(key, table);
    try {
      const count = this.#countForBytes();
      if (!this.evicts && this.#isFixed && count < this.#slots.size + joining) throw this.#full(count);
      this.#rebuild(count, count === this.#count ? new Set(wanted.keys()) : null);
    } catch (error) {
      this.#tables.clear();
      for (const [key, table] of before) this.#tables.set(key, table);
      throw error;
    }
  }

  /**
   * Takes a new adapter in: its tables, and its slot where none is evicted, so that one too many is refused here and not in a run.
   * Whatever fails, nothing has changed.
   * @throws EngineError NO_CAPACITY
   */
  admit(resident: Resident): void {
    this.prepare(resident, 1);
    if (!this.evicts) this.acquire([resident]);
  }

  /**
   * Puts adapters into slots, all at once, and writes those that are not there yet.
   * @throws EngineError NO_CAPACITY when there are not as many slots
   */
  acquire(residents: Iterable<Resident>): void {
    const wanted = new Set(Array.from(residents, (resident) => this.#heirOf(resident)));
    if (wanted.size > this.#count) this.#grow(wanted);
    for (const resident of wanted) {
      const slot = this.#slots.get(resident);
      if (slot === undefined) continue;
      // The most recently used stand last.
      this.#slots.delete(resident);
      this.#slots.set(resident, slot);
    }
    for (const resident of wanted) {
      if (this.#slots.has(resident)) continue;
      const slot = this.#freeSlot(wanted);
      this.#slots.set(resident, slot);
      this.#write(resident, slot);
    }
  }

  /** @returns the slot of an adapter that {@link acquire} has put into one. */
  slotOf(resident: Resident): number {
    const slot = this.#slots.get(this.#heirOf(resident));
    if (slot !== undefined) return slot;
    throw new Error(`adapter ${resident.name} is in no slot`);
  }

  /** Keeps residents where they are until null is given: what they hold on the GPU is newer than what they were packed from. */
  hold(residents: ReadonlySet<Resident> | null): void {
    this.#held = residents;
  }

  /** Puts a resident in the place of one that was trained to it: its slot holds these values. Calls that name that one mean this. */
  replace(old: Resident, by: Resident): void {
    const slot = this.slotOf(old);
    this.#slots.delete(old);
    this.#slots.set(by, slot);
    this.#heirs.set(old, by);
    if (this.#held?.has(old) === true) this.#held = new Set([...this.#held].map((one) => (one === old ? by : one)));
  }

  #heirOf(resident: Resident): Resident {
    let heir = resident;
    for (let next = this.#heirs.get(heir); next !== undefined; next = this.#heirs.get(heir)) heir = next;
    return heir;
  }

  /** Frees a slot. Its contents stay until the next adapter; nobody reads them. */
  release(resident: Resident): void {
    this.#slots.delete(this.#heirOf(resident));
  }

  /** What an adapter's slot holds, table by table: the parameter that is a stack of slots, and how many elements one of them has. */
  stretchesOf(resident: Resident): readonly SlotStretch[] {
    const slot = this.slotOf(resident);
    return resident.packed.entries.map(({ table: { name } }) => {
      const { table, room } = this.#find(name);
      const [rows, columns] = this.#shape(table, room, 1);
      return { table: name, parameter: parameterName(name), slot, elements: rows * columns, room };
    });
  }

  /** @returns the room of a table: the widest bottleneck, or the rows of a slot. */
  room(table: string): number {
    return this.#find(table).room;
  }

  /** The buffers of a table as graph values: weights, and for bottlenecks what stands beside them. */
  values(b: GraphBuilder, name: string): { readonly bank: Value; readonly slots?: Value } {
    const { table, room } = this.#find(name);
    const bank = b.parameter(parameterName(name), this.#shape(table, room));
    if (table.kind !== "bottleneck") return { bank };
    return { bank, slots: b.parameter(slotsName(name), [this.#count, SLOT_WORDS], "u32") };
  }

  /** What the slots beside a table of bottlenecks hold, by the name of their parameter; undefined for any other name. */
  slotsIn(parameter: string): Uint32Array | undefined {
    const found = [...this.#tables.keys()].find((name) => slotsName(name) === parameter);
    if (found === undefined) return undefined;
    const slots = new Uint32Array(this.#count * SLOT_WORDS);
    for (const [{ packed }, slot] of this.#slots) {
      const entry = packed.entries.find(({ table }) => table.name === found);
      if (entry !== undefined && isBottleneck(entry)) slots.set(slotInfo(entry), slot * SLOT_WORDS);
    }
    return slots;
  }

  #find(name: string): Table {
    const table = this.#tables.get(name);
    if (table !== undefined) return table;
    throw new Error(`the bank has no table ${name}`);
  }

  #roomFor(name: string, entry: BankEntry): number {
    if (entry.table.kind === "vector") return 1;
    if (!isBottleneck(entry)) return entry.data.length / (entry.table as { width: number }).width;
    const low = !/(^|\.)(attention|ffn|layer)$/.test(entry.table.name);
    const limit = low ? undefined : this.#size.width;
    if (limit !== undefined && entry.width > limit) {
      const message = `adapter ${name} has a bottleneck of ${entry.width}, the slots of this model hold ${limit}`;
      const fix = `load the model with slots: { width: ${entry.width} }`;
      throw new EngineError("NO_CAPACITY", message, { where: name, fix });
    }
    const known = this.#tables.get(entry.table.name)?.room ?? (low ? 0 : (limit ?? DEFAULT_WIDTH));
    return Math.max(known, limit ?? Math.ceil(entry.width / STEP) * STEP);
  }

  #shape(table: BankTable, room: number, count = this.#count): [number, number] {
    if (table.kind === "bottleneck") return [count, adapterStride(table.inputs, room, table.outputs)];
    return table.kind === "vector" ? [count, table.elements] : [count * room, table.width];
  }

  #slotBytes(): number {
    let words = 0;
    for (const { table, room } of this.#tables.values()) {
      const [rows, columns] = this.#shape(table, room, 1);
      words += rows * columns + (table.kind === "bottleneck" ? SLOT_WORDS : 0);
    }
    return 4 * words;
  }

  #countForBytes(): number {
    const { bytes, count } = this.#size;
    if (bytes === undefined) return this.#count;
    const fitting = Math.floor(bytes / this.#slotBytes());
    if (fitting >= 1) return Math.min(fitting, count ?? 1024);
    const message = `one adapter slot takes ${this.#slotBytes()} bytes, the budget is ${bytes}`;
    throw new EngineError("NO_CAPACITY", message, { where: "slots.bytes", fix: "load the model with a larger budget" });
  }

  /** Makes room for a run that names more adapters than there are slots. */
  #grow(wanted: ReadonlySet<Resident>): void {
    if (this.#isFixed) {
      const message = `${wanted.size} adapters are wanted at once, there are ${this.#count} slots`;
      const fix = "run fewer adapters at once, or load the model with more slots";
      throw new EngineError("NO_CAPACITY", message, { where: "slots.count", fix });
    }
    this.#rebuild(2 ** Math.ceil(Math.log2(wanted.size)), null);
  }

  #freeSlot(wanted: ReadonlySet<Resident>): number {
    const taken = new Set(this.#slots.values());
    for (let slot = 0; slot < this.#count; slot += 1) if (!taken.has(slot)) return slot;
    if (this.evicts) {
      for (const [resident, slot] of this.#slots) {
        if (wanted.has(resident) || this.#held?.has(resident) === true) continue;
        this.#evict(resident);
        return slot;
      }
    }
    if (this.#isFixed) throw this.#full();
    this.#rebuild(2 * this.#count, null);
    return this.#freeSlot(wanted);
  }

  /** The number of slots was given at load, itself or as bytes. */
  get #isFixed(): boolean {
    return this.#size.count !== undefined || this.#size.bytes !== undefined;
  }

  #full(count = this.#count): EngineError {
    const names = [...this.#slots.keys()].map(({ name }) => name).join(", ");
    return new EngineError("NO_CAPACITY", `all ${count} adapter slots are taken: ${names}`, {
      where: this.#size.bytes === undefined ? "slots.count" : "slots.bytes",
      fix: "remove an adapter, or load the model with more slots",
    });
  }

  #evict(resident: Resident): void {
    this.#slots.delete(resident);
    this.#evictions += 1;
    this.#onEvict(resident.name);
  }

  /** Makes the buffers of some tables anew, or of all when their number of slots changes, and writes the residents again. */
  #rebuild(count: number, only: ReadonlySet<string> | null): void {
    const moved = [...this.#tables.keys()].some((name) => (only?.has(name) ?? true) && this.#stands(name));
    if (this.#held !== null && moved)
      throw new EngineError("UNSUPPORTED", "the bank would grow while adapters in it are trained", {
        where: "slots",
        fix: "add adapters before the training, or load the model with slots for them",
      });
    const made: string[] = [];
    const stage = (name: string): string => `${name}${NEW}`;
    try {
      for (const [name, { table, room }] of this.#tables) {
        if (only !== null && !only.has(name)) continue;
        this.#allocate(stage(parameterName(name)), this.#shape(table, room, count), "f32", made);
        if (table.kind === "bottleneck") this.#allocate(stage(slotsName(name)), [count, SLOT_WORDS], "u32", made);
      }
    } catch (error) {
      for (const name of made) this.#parameters.delete(name);
      throw error;
    }
    for (const name of made) {
      const final = name.slice(0, -NEW.length);
      if (this.#parameters.has(final)) this.#generation += 1;
      this.#parameters.rename(name, final);
    }
    this.#count = count;
    this.#shrink();
    for (const [resident, slot] of this.#slots) this.#write(resident, slot, only);
  }

  /** Where a larger slot leaves fewer of them, the adapters unused for longest go and the others move together. */
  #shrink(): void {
    while (this.#slots.size > this.#count) this.#evict(this.#slots.keys().next().value as Resident);
    const taken = new Set(this.#slots.values());
    const free = Array.from({ length: this.#count }, (_, slot) => slot).filter((slot) => !taken.has(slot));
    for (const [resident, slot] of this.#slots)
      if (slot >= this.#count) this.#slots.set(resident, free.shift() as number);
  }

  #stands(table: string): boolean {
    return this.#parameters.has(parameterName(table));
  }

  #layOut(entry: BottleneckEntry, room: number): Float32Array {
    const known = this.#laidOut.get(entry);
    if (known?.room === room) return known.data;
    const data = slotData(entry, room);
    this.#laidOut.set(entry, { room, data });
    return data;
  }

  #allocate(name: string, shape: readonly number[], element: "f32" | "u32", made: string[]): void {
    this.#parameters.set(name, { shape, element });
    made.push(name);
  }

  #write({ packed }: Resident, slot: number, only: ReadonlySet<string> | null = null): void {
    for (const entry of packed.entries) {
      const { name } = entry.table;
      if (only !== null && !only.has(name)) continue;
      const { table, room } = this.#find(name);
      const [rows, columns] = this.#shape(table, room, 1);
      const stride = rows * columns;
      if (!isBottleneck(entry)) {
        this.#parameters.write(parameterName(name), entry.data, slot * stride);
        continue;
      }
      this.#parameters.write(parameterName(name), this.#layOut(entry, room), slot * stride);
      this.#parameters.write(slotsName(name), slotInfo(entry), slot * SLOT_WORDS);
    }
  }
}
