/**
 * @file An unpickler that executes nothing (MATHS §3.5). It knows the opcodes of torch's weights-only subset, keeps
 * containers as inert data, and asks a policy about every global; what the policy does not name is refused.
 */

import { badFile } from "./bad-file.ts";
import type { ByteReader } from "./byte-reader.ts";

/** Dicts, lists and tuples per pickle. A tensor takes about six, so this is some 700,000 tensors. */
const MAX_CONTAINERS = 2 ** 22;

/** The newest pickle protocol; torch writes 2. */
const MAX_PROTOCOL = 5;

/** A class or function that a pickle mentions: its dotted name and nothing else. */
export class PickleGlobal {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** A tuple; apart from lists because only lists may grow. */
export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A dict or an OrderedDict. */
export class PickleDict {
  readonly entries: Map<PickleValue, PickleValue> = new Map();
}

/** Base of the values that a policy makes: storages, tensors. */
export abstract class PickleObject {
  /** What it is, for errors: "a tensor". */
  abstract readonly kind: string;
}

/** What a pickle can hold here. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleValue[]
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | PickleObject;

/** Decides what a pickle may name and makes values of it. Methods throw `BAD_FILE` to refuse. */
export interface PicklePolicy {
  /** Whether the global of this dotted name may be mentioned at all. */
  allows(name: string): boolean;
  /** What calling an allowed global with these arguments stands for. */
  call(callable: PickleGlobal, args: readonly PickleValue[]): PickleValue;
  /** What a persistent id stands for. */
  persistent(id: PickleValue): PickleValue;
  /** Whether a state (which is dropped) may be set on this value. */
  takesState(target: PickleValue): boolean;
}

/**
 * Reads one pickle at the reader's cursor, which is left behind its STOP.
 * @throws EngineError `BAD_FILE`: an opcode outside the subset, a global outside the allow-list (named), malformed data.
 */
export function unpickle(reader: ByteReader, policy: PicklePolicy): PickleValue {
  const machine = new PickleMachine(reader, policy);
  for (;;) {
    const at = reader.offset;
    const opcode = reader.u8();
    if (opcode === STOP) return machine.result();
    const operation = operations.get(opcode);
    if (operation === undefined) {
      const hex = opcode.toString(16).padStart(2, "0");
      throw badFile(
        reader.where,
        `pickle opcode 0x${hex} at byte ${at} is not one that torch checkpoints need.`,
        "Save the checkpoint with torch.save and its default protocol (2), or as safetensors.",
      );
    }
    operation(machine, reader);
  }
}

class PickleMachine {
  private readonly reader: ByteReader;
  private readonly policy: PicklePolicy;
  private readonly stack: PickleValue[] = [];
  private readonly marks: number[] = [];
  private readonly memo: Map<number, PickleValue> = new Map();
  private containers = 0;

  constructor(reader: ByteReader, policy: PicklePolicy) {
    this.reader = reader;
    this.policy = policy;
  }

  fail(problem: string): never {
    throw badFile(this.reader.where, `pickle, before byte ${this.reader.offset}: ${problem}.`);
  }

  push(value: PickleValue): void {
    this.stack.push(value);
  }

  container(value: PickleValue): void {
    this.containers += 1;
    if (this.containers > MAX_CONTAINERS) this.fail(`more than ${MAX_CONTAINERS} containers`);
    this.push(value);
  }

  mark(): void {
    this.marks.push(this.stack.length);
  }

  /** The lowest stack index that the current operation may touch: nothing below the last mark. */
  private floor(): number {
    return this.marks.at(-1) ?? 0;
  }

  pop(): PickleValue {
    if (this.stack.length <= this.floor()) this.fail("the stack is empty");
    return this.stack.pop() as PickleValue;
  }

  top(): PickleValue {
    if (this.stack.length <= this.floor()) this.fail("the stack is empty");
    return this.stack.at(-1) as PickleValue;
  }

  popCount(count: number): PickleValue[] {
    if (this.stack.length - count < this.floor()) this.fail("the stack is empty");
    return this.stack.splice(this.stack.length - count, count);
  }

  popToMark(): PickleValue[] {
    const from = this.marks.pop();
    if (from === undefined) this.fail("there is no mark");
    return this.stack.splice(from);
  }

  put(index: number): void {
    this.memo.set(index, this.top());
  }

  get(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) this.fail(`the memo has no entry ${index}`);
    this.push(value);
  }

  append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) this.fail("items are appended to something that is not a list");
    for (const item of items) list.push(item);
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof PickleDict)) this.fail("items are set on something that is not a dict");
    if (items.length % 2 !== 0) this.fail("a dict key has no value");
    for (let index = 0; index < items.length; index += 2) {
      dict.entries.set(items[index] as PickleValue, items[index + 1] as PickleValue);
    }
  }

  global(): void {
    const module = this.reader.line();
    const name = `${module}.${this.reader.line()}`;
    if (!this.policy.allows(name)) {
      throw badFile(
        this.reader.where,
        `the pickle names ${JSON.stringify(name)}, which is not on the list of what a checkpoint may hold.`,
        "Do not load this file in Python unless you trust it. Save only the state dict: torch.save(model.state_dict(), path).",
      );
    }
    this.push(new PickleGlobal(name));
  }

  call(): void {
    const args = this.pop();
    const callable = this.pop();
    if (!(args instanceof PickleTuple)) this.fail("call arguments are not a tuple");
    if (!(callable instanceof PickleGlobal)) this.fail("something is called that is not a global");
    this.container(this.policy.call(callable, args.items));
  }

  /** Drops the state: what it can carry (`_metadata` of an OrderedDict, Python attributes) is no weight. */
  build(): void {
    this.pop();
    if (!this.policy.takesState(this.top())) this.fail("state is set on something that takes none");
  }

  persistent(): void {
    this.push(this.policy.persistent(this.pop()));
  }

  result(): PickleValue {
    const value = this.pop();
    if (this.stack.length > 0 || this.marks.length > 0) this.fail("values are left on the stack at the end");
    return value;
  }
}

/** A two's complement little-endian integer; a number where that is exact. */
function longInteger(bytes: Uint8Array): number | bigint {
  let value = 0n;
  for (let index = bytes.length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index] as number);
  value = BigInt.asIntN(bytes.length * 8, value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

type Operation = (machine: PickleMachine, reader: ByteReader) => void;

const STOP = 0x2e;

/** The whole instruction set; STOP is handled by the loop. */
const operations: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [
    0x80, // PROTO
    (m, r) => {
      const protocol = r.u8();
      if (protocol > MAX_PROTOCOL) m.fail(`protocol ${protocol} is not known`);
    },
  ],
  [0x4e, (m) => m.push(null)], // NONE
  [0x88, (m) => m.push(true)], // NEWTRUE
  [0x89, (m) => m.push(false)], // NEWFALSE
  [0x4a, (m, r) => m.push(r.i32())], // BININT
  [0x4b, (m, r) => m.push(r.u8())], // BININT1
  [0x4d, (m, r) => m.push(r.u16())], // BININT2
  [0x8a, (m, r) => m.push(longInteger(r.take(r.u8())))], // LONG1
  [0x47, (m, r) => m.push(r.f64BigEndian())], // BINFLOAT
  [0x58, (m, r) => m.push(r.text(r.u32()))], // BINUNICODE
  [0x55, (m, r) => m.push(r.text(r.u8()))], // SHORT_BINSTRING
  [0x28, (m) => m.mark()], // MARK
  [0x29, (m) => m.container(new PickleTuple([]))], // EMPTY_TUPLE
  [0x85, (m) => m.container(new PickleTuple(m.popCount(1)))], // TUPLE1
  [0x86, (m) => m.container(new PickleTuple(m.popCount(2)))], // TUPLE2
  [0x87, (m) => m.container(new PickleTuple(m.popCount(3)))], // TUPLE3
  [0x74, (m) => m.container(new PickleTuple(m.popToMark()))], // TUPLE
  [0x5d, (m) => m.container([])], // EMPTY_LIST
  [0x7d, (m) => m.container(new PickleDict())], // EMPTY_DICT
  [0x8f, (m) => m.container(new PickleTuple([]))], // EMPTY_SET: no opcode of the subset could add to it
  [
    0x61, // APPEND
    (m) => m.append(m.popCount(1)),
  ],
  [0x65, (m) => m.append(m.popToMark())], // APPENDS
  [0x73, (m) => m.setItems(m.popCount(2))], // SETITEM
  [0x75, (m) => m.setItems(m.popToMark())], // SETITEMS
  [0x71, (m, r) => m.put(r.u8())], // BINPUT
  [0x72, (m, r) => m.put(r.u32())], // LONG_BINPUT
  [0x68, (m, r) => m.get(r.u8())], // BINGET
  [0x6a, (m, r) => m.get(r.u32())], // LONG_BINGET
  [0x63, (m) => m.global()], // GLOBAL
  [0x52, (m) => m.call()], // REDUCE
  [0x81, (m) => m.call()], // NEWOBJ
  [0x62, (m) => m.build()], // BUILD
  [0x51, (m) => m.persistent()], // BINPERSID
]);
