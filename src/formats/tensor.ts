/** @file Tensors as files store them: element types, checked sizes, and conversion to float32 and to integers. */

import { EngineError } from "../errors.ts";
import { badFile } from "./bad-file.ts";
import { f16ToF32, f32ToF16 } from "../half.ts";

/** An element type that a file may hold. */
export type TensorDtype =
  | "BOOL"
  | "F4"
  | "F6_E2M3"
  | "F6_E3M2"
  | "U8"
  | "I8"
  | "F8_E5M2"
  | "F8_E4M3"
  | "F8_E8M0"
  | "I16"
  | "U16"
  | "F16"
  | "BF16"
  | "I32"
  | "U32"
  | "F32"
  | "C64"
  | "F64"
  | "I64"
  | "U64";

/**
 * Bits of every element type (MATHS §3.4), in the order of the safetensors library: its writer sorts tensors by this
 * order, falling, and ours gives the same bytes.
 */
export const dtypeBits: Readonly<Record<TensorDtype, number>> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
};

/** One tensor of a file: row-major, little-endian. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: TensorDtype;
  /** Extents, outermost first; empty for a scalar. */
  readonly shape: readonly number[];
  /** The elements. Usually a view of the file's bytes, at any alignment. */
  readonly bytes: Uint8Array;
}

/** What a weights file holds. */
export interface TensorFile {
  readonly tensors: Map<string, StoredTensor>;
  /** Free text of the file; torch files list here what was not a tensor. */
  readonly metadata: Record<string, string>;
}

/** Whether a name is an element type of {@link dtypeBits}. */
export function isTensorDtype(name: unknown): name is TensorDtype {
  return typeof name === "string" && Object.hasOwn(dtypeBits, name);
}

/** Whether a value is an exact, non-negative integer: a legal extent, offset or count. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0);
}

/**
 * Bytes that a tensor of this type and shape takes.
 * @throws EngineError `BAD_FILE` when the product is not an exact number, or not whole bytes.
 */
export function tensorBytes(dtype: TensorDtype, shape: readonly number[], where: string): number {
  // A zero extent empties the tensor whatever the others are, but the others must still multiply to an exact number.
  const positive = shape.reduce((product, extent) => product * Math.max(extent, 1), dtypeBits[dtype]);
  if (!Number.isSafeInteger(positive)) throw badFile(where, `the shape [${shape.join(", ")}] overflows.`);
  const bits = shape.includes(0) ? 0 : positive;
  if (bits % 8 !== 0) throw badFile(where, `[${shape.join(", ")}] of ${dtype} is not a whole number of bytes.`);
  return bits / 8;
}

/** A float32 tensor over the given values (not copied). */
export function fromFloat32(name: string, shape: readonly number[], values: Float32Array): StoredTensor {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { name, dtype: "F32", shape, bytes };
}

/** The largest finite half. */
const LARGEST_HALF = 65504;

/**
 * A half-precision tensor of the given values, rounded.
 * @throws EngineError `BAD_INPUT` for values that only an infinite half could stand for.
 */
export function toFloat16(name: string, shape: readonly number[], values: Float32Array): StoredTensor {
  const halves = f32ToF16(values);
  if (halves.some((bits) => (bits & 0x7fff) === 0x7c00)) {
    const message = `${name} holds values beyond ±${LARGEST_HALF}, the largest in half precision`;
    throw new EngineError("BAD_INPUT", message, { where: name, fix: 'save it with precision: "f32"' });
  }
  return { name, dtype: "F16", shape, bytes: new Uint8Array(halves.buffer) };
}

/**
 * The elements as float32. F32 is a view of the file when its bytes lie on a multiple of 4, otherwise a copy; F16 and
 * BF16 are exact; F64 is rounded.
 * @throws EngineError `BAD_WEIGHTS` for every other type.
 * @example
 * const values = toFloat32(file.tensors.get("embeddings.word_embeddings.weight")!);
 */
export function toFloat32(tensor: StoredTensor): Float32Array {
  const { buffer, byteOffset, byteLength } = aligned(tensor);
  switch (tensor.dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case "F16":
      return f16ToF32(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case "BF16":
      return bf16ToF32(new Uint16Array(buffer, byteOffset, byteLength / 2));
    case "F64":
      return Float32Array.from(new Float64Array(buffer, byteOffset, byteLength / 8));
    default:
      throw new EngineError("BAD_WEIGHTS", `${tensor.name}: ${tensor.dtype} elements cannot be read as floats.`, {
        fix: "Store this tensor as F32, F16, BF16 or F64.",
        where: tensor.name,
      });
  }
}

/**
 * The elements of an integer or BOOL tensor as int32.
 * @throws EngineError `BAD_WEIGHTS` for other types, and for values that do not fit.
 */
export function toIntegers(tensor: StoredTensor): Int32Array {
  const values = integerView(tensor);
  const result = new Int32Array(values.length);
  for (let index = 0; index < values.length; index++) {
    const value = Number(values[index]);
    if (value !== (value | 0)) {
      throw new EngineError("BAD_WEIGHTS", `${tensor.name}: element ${index} is ${value}, outside the int32 range.`, {
        fix: "Store smaller integers.",
        where: tensor.name,
      });
    }
    result[index] = value;
  }
  return result;
}

function integerView(tensor: StoredTensor): ArrayLike<number | bigint> {
  const { buffer, byteOffset, byteLength } = aligned(tensor);
  switch (tensor.dtype) {
    case "BOOL":
    case "U8":
      return tensor.bytes;
    case "I8":
      return new Int8Array(buffer, byteOffset, byteLength);
    case "I16":
      return new Int16Array(buffer, byteOffset, byteLength / 2);
    case "U16":
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
    case "I32":
      return new Int32Array(buffer, byteOffset, byteLength / 4);
    case "U32":
      return new Uint32Array(buffer, byteOffset, byteLength / 4);
    case "I64":
      return new BigInt64Array(buffer, byteOffset, byteLength / 8);
    case "U64":
      return new BigUint64Array(buffer, byteOffset, byteLength / 8);
    default:
      throw new EngineError("BAD_WEIGHTS", `${tensor.name}: ${tensor.dtype} elements are not integers.`, {
        fix: "Store this tensor as I64, I32, or another integer type.",
        where: tensor.name,
      });
  }
}

/** The tensor's bytes, copied only if their place forbids a typed view. */
function aligned(tensor: StoredTensor): Uint8Array {
  const alignment = Math.max(1, dtypeBits[tensor.dtype] >> 3);
  return tensor.bytes.byteOffset % alignment === 0 ? tensor.bytes : tensor.bytes.slice();
}

function bf16ToF32(words: Uint16Array): Float32Array {
  const bits = new Uint32Array(words.length);
  for (let index = 0; index < words.length; index++) bits[index] = (words[index] as number) << 16;
  return new Float32Array(bits.buffer);
}
