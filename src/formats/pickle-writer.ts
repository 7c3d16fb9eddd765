/** @file Writes pickles of protocol 2: the values that torch checkpoints are made of, strings memoised as Python does. */

/** A value to pickle. Plain arrays are lists. */
export type Pickled =
  | null
  | boolean
  | number
  | bigint
  | string
  | readonly Pickled[]
  | { readonly tuple: readonly Pickled[] }
  | { readonly dict: readonly (readonly [Pickled, Pickled])[] }
  | { readonly ordered: readonly (readonly [Pickled, Pickled])[]; readonly state?: Pickled }
  /** A class or function by its dotted name. */
  | { readonly global: string }
  /** A global called with these arguments. */
  | { readonly call: string; readonly args: readonly Pickled[] }
  | { readonly persistent: Pickled }
  /** Instructions as they are: what no honest value needs, for tests of readers. */
  | { readonly opcodes: readonly number[] };

const PROTOCOL_2: readonly number[] = [0x80, 2];
const STOP = 0x2e;
const MARK = 0x28;
const TUPLE = 0x74;
/** Tuples of up to three items have instructions of their own. */
const SHORT_TUPLES: readonly number[] = [0x29, 0x85, 0x86, 0x87];

/** Serialises one value as a pickle of protocol 2. */
export function writePickle(value: Pickled): Uint8Array {
  const writer = new PickleWriter();
  writer.value(value);
  return Uint8Array.from([...PROTOCOL_2, ...writer.bytes, STOP]);
}

class PickleWriter {
  readonly bytes: number[] = [];
  private readonly memo: Map<string, number> = new Map();

  value(value: Pickled): void {
    if (value === null) this.bytes.push(0x4e);
    else if (typeof value === "boolean") this.bytes.push(value ? 0x88 : 0x89);
    else if (typeof value === "number") this.number(value);
    else if (typeof value === "bigint") this.long(value);
    else if (typeof value === "string") this.string(value);
    else this.composite(value);
  }

  private composite(value: Exclude<Pickled, null | boolean | number | bigint | string>): void {
    if ("opcodes" in value) this.bytes.push(...value.opcodes);
    else if ("tuple" in value) this.tuple(value.tuple);
    else if ("dict" in value) {
      this.bytes.push(0x7d);
      this.pairs(value.dict);
    } else if ("ordered" in value) {
      this.value({ call: "collections.OrderedDict", args: [] });
      this.pairs(value.ordered);
      if (value.state !== undefined) {
        this.value(value.state);
        this.bytes.push(0x62);
      }
    } else if ("global" in value) this.global(value.global);
    else if ("call" in value) {
      this.global(value.call);
      this.tuple(value.args);
      this.bytes.push(0x52);
    } else if ("persistent" in value) {
      this.value(value.persistent);
      this.bytes.push(0x51);
    } else {
      this.bytes.push(0x5d, MARK);
      for (const item of value) this.value(item);
      this.bytes.push(0x65);
    }
  }

  private u32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.bytes.push((value >>> shift) & 0xff);
  }

  private number(value: number): void {
    if (!Number.isInteger(value)) {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, value, false);
      this.bytes.push(0x47, ...new Uint8Array(view.buffer));
    } else if (value >= 0 && value < 256) this.bytes.push(0x4b, value);
    else if (value >= 0 && value < 65536) this.bytes.push(0x4d, value & 0xff, value >> 8);
    else if (value === (value | 0)) {
      this.bytes.push(0x4a);
      this.u32(value);
    } else this.long(BigInt(value));
  }

  private long(value: bigint): void {
    const bytes: number[] = [];
    for (let rest = value; ; rest >>= 8n) {
      const byte = Number(rest & 0xffn);
      bytes.push(byte);
      const sign = (byte & 0x80) === 0 ? 0n : -1n;
      if (rest >> 8n === sign) break;
    }
    this.bytes.push(0x8a, bytes.length, ...bytes);
  }

  private string(value: string): void {
    const known = this.memo.get(value);
    if (known !== undefined) {
      this.indexed(0x68, 0x6a, known);
      return;
    }
    const text = new TextEncoder().encode(value);
    this.bytes.push(0x58);
    this.u32(text.length);
    for (const byte of text) this.bytes.push(byte);
    const index = this.memo.size;
    this.memo.set(value, index);
    this.indexed(0x71, 0x72, index);
  }

  /** A memo instruction, in its short form where the index fits a byte. */
  private indexed(short: number, long: number, index: number): void {
    if (index < 256) this.bytes.push(short, index);
    else {
      this.bytes.push(long);
      this.u32(index);
    }
  }

  private tuple(items: readonly Pickled[]): void {
    const short = SHORT_TUPLES[items.length];
    if (short === undefined) this.bytes.push(MARK);
    for (const item of items) this.value(item);
    this.bytes.push(short ?? TUPLE);
  }

  private pairs(pairs: readonly (readonly [Pickled, Pickled])[]): void {
    if (pairs.length === 0) return;
    if (pairs.length > 1) this.bytes.push(MARK);
    for (const [key, value] of pairs) {
      this.value(key);
      this.value(value);
    }
    this.bytes.push(pairs.length > 1 ? 0x75 : 0x73);
  }

  private global(name: string): void {
    const dot = name.lastIndexOf(".");
    this.bytes.push(0x63, ...new TextEncoder().encode(`${name.slice(0, dot)}\n${name.slice(dot + 1)}\n`));
  }
}
