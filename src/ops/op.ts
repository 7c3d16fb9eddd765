/** @file The contract of an operation: types, shapes with run-time rows, cost, launches. Written for every room above `gpu`. */

import { EngineError } from "../errors.ts";
import type { Constants } from "../gpu/kernel-source.ts";
import type { DeviceTraits } from "../gpu/traits.ts";
import type { Cost, ReadTable } from "./cost.ts";

export type { Constants, Cost, DeviceTraits, ReadTable };

/** Element types of values. `f16` is a storage type only: two halves in a u32, read with `unpack2x16float`. */
export type ElementType = "f32" | "u32" | "f16";

/**
 * A length known only at run time, such as the rows of a batch: `times` × the value of `symbol`.
 * A plan knows its capacity, a run its value; neither is ever baked into shader text.
 */
export interface RuntimeDim {
  readonly symbol: string;
  readonly times: number;
}

/** One axis of a shape. */
export type Dim = number | RuntimeDim;
export type Shape = readonly Dim[];

/** Shape and element type of a value. */
export interface TensorType {
  readonly shape: Shape;
  readonly element: ElementType;
}

/** Looks up the size of an axis: its capacity when a plan is made, its value when it runs. */
export type SizeOf = (dim: Dim) => number;

/**
 * One dispatch. Bindings are not listed: the WGSL variable names of the kernel are the names of the op's inputs,
 * outputs and scratch buffers; an optional input that is absent is bound to a small zero buffer.
 */
export interface Launch {
  /** File stem below `kernels/`, for example `matmul.register`. */
  readonly kernel: string;
  readonly constants?: Constants;
  /** Names of `kernels/lib/` files that replace an alternative named in the header (`weight-f16` for `weight-f32`). */
  readonly libs?: readonly string[];
  /** Fields of the kernel's uniform struct `Params`, by name. */
  readonly uniform: Readonly<Record<string, number | Dim | ((size: SizeOf) => number)>>;
  /**
   * Workgroups to dispatch, from run-time sizes: a {@link foldGrid}; any zero skips the launch. A grid made for fewer rows must
   * compute those rows, whatever the uniform says: the device may learn the number of rows after the host has filled it.
   */
  readonly grid: (size: SizeOf) => readonly [number, number, number];
  /** Scratch buffers by WGSL name, in 4-byte elements at capacity. */
  readonly scratch?: Readonly<Record<string, number>>;
}

/** A device feature that a call asks for and the device does not have. */
export interface Lack {
  /** The feature in words: `needs the feature shader-f16`. */
  readonly message: string;
  readonly fix: string;
}

/** A run-time length that the device finds: its symbol and the output that holds it. */
export interface DeviceCount {
  readonly symbol: string;
  readonly output: string;
}

/** One use of an op: the types of its named inputs and outputs and its attributes. */
export interface OpCall<A = Attributes> {
  readonly inputs: Readonly<Record<string, TensorType>>;
  readonly outputs: Readonly<Record<string, TensorType>>;
  readonly attributes: A;
}

/** Attributes are plain data, so that equal calls can be recognised as the same value. */
export type Attribute = number | string | boolean | readonly number[];
export type Attributes = Readonly<Record<string, Attribute | undefined>>;

/** An operation: one object per file, one stem for its kernel, op, reference, cases and test. */
export interface Op<A = Attributes> {
  readonly stem: string;
  /** Types of the outputs, by name; throws `EngineError` SHAPE naming the axis and both values. */
  readonly infer: (inputs: Readonly<Record<string, TensorType>>, attributes: A) => Record<string, TensorType>;
  /** What a call costs at these sizes; `read` gives integer inputs that the host knows, where a cost depends on their contents. */
  readonly cost: (call: OpCall<A>, size: SizeOf, read?: ReadTable) => Cost;
  /** Variants that can run this call on the device, best first; sizes are capacities, never a run's lengths. */
  readonly variants: (call: OpCall<A>, device: DeviceTraits, capacity: SizeOf) => readonly string[];
  /**
   * What the device lacks for a call that asks for a device feature by an attribute of its own, or null: then `variants`
   * is empty, for nothing else may take the place of what was asked for. Absent where no attribute does so.
   */
  readonly lacking?: (call: OpCall<A>, device: DeviceTraits) => Lack | null;
  /** The launches of one variant. */
  readonly launch: (call: OpCall<A>, variant: string, device: DeviceTraits, capacity: SizeOf) => readonly Launch[];
  /**
   * A run-time length that this op finds on the device: the host's size of `symbol` is the most it can be, the u32[1] output
   * named `output` holds what it is. Later launches whose grid asks for the symbol are then dispatched indirectly.
   */
  readonly deviceCount?: (call: OpCall<A>) => DeviceCount;
  /** An output that starts as a copy of an input and is then updated in place: `{ y: "base" }`. */
  readonly inPlace?: (call: OpCall<A>) => Readonly<Record<string, string>>;
  /**
   * Outputs that are inputs which the op changes where they lie, and which keep the change: `{ weights: "weights" }`. Such an input is
   * a parameter, or given at the run, and nothing reads it behind the op.
   */
  readonly updates?: (call: OpCall<A>) => Readonly<Record<string, string>>;
}

/** @returns `times` × the run-time length `symbol`. */
export function runtimeDim(symbol: string, times = 1): RuntimeDim {
  return { symbol, times };
}

/** @returns true when both axes are the same number or the same multiple of the same symbol. */
export function sameDim(a: Dim, b: Dim): boolean {
  if (typeof a === "number" || typeof b === "number") return a === b;
  return a.symbol === b.symbol && a.times === b.times;
}

/** @returns the axis as text: `768`, `rows`, `3·frames`. */
export function formatDim(dim: Dim): string {
  if (typeof dim === "number") return String(dim);
  return dim.times === 1 ? dim.symbol : `${dim.times}·${dim.symbol}`;
}

/** @returns the shape as text: `[rows, 768]`. */
export function formatShape(shape: Shape): string {
  return `[${shape.map(formatDim).join(", ")}]`;
}

/** Throws SHAPE unless two axes agree. */
export function expectDim(op: string, axis: string, actual: Dim | undefined, expected: Dim): void {
  if (actual !== undefined && sameDim(actual, expected)) return;
  const found = actual === undefined ? "nothing" : formatDim(actual);
  throw new EngineError("SHAPE", `${op}: ${axis} is ${found}, expected ${formatDim(expected)}`, {
    where: `${op}.${axis}`,
  });
}

/** Throws SHAPE unless the input is there and has this rank (and element type, when given). */
export function expectTensor(
  op: string,
  name: string,
  type: TensorType | undefined,
  rank: number,
  elements: readonly ElementType[] = ["f32"],
): TensorType {
  if (type === undefined) throw new EngineError("SHAPE", `${op}: input ${name} is missing`, { where: `${op}.${name}` });
  if (type.shape.length !== rank) {
    const message = `${op}: ${name} has rank ${type.shape.length} ${formatShape(type.shape)}, expected rank ${rank}`;
    throw new EngineError("SHAPE", message, { where: `${op}.${name}` });
  }
  if (!elements.includes(type.element)) {
    const message = `${op}: ${name} holds ${type.element}, expected ${elements.join(" or ")}`;
    throw new EngineError("SHAPE", message, { where: `${op}.${name}` });
  }
  return type;
}

/** @returns an axis that must be a number known when the graph is built, such as a width. */
export function staticDim(op: string, axis: string, dim: Dim | undefined): number {
  if (typeof dim === "number") return dim;
  const found = dim === undefined ? "nothing" : formatDim(dim);
  throw new EngineError("SHAPE", `${op}: ${axis} is ${found}, expected a number known before the run`, {
    where: `${op}.${axis}`,
  });
}

/** Bytes of a value of this type. f16 values are padded to whole u32 words. */
export function byteLength(type: TensorType, size: SizeOf): number {
  const elements = elementCount(type, size);
  return type.element === "f16" ? Math.ceil(elements / 2) * 4 : elements * 4;
}

/** Number of elements of a value of this type. */
export function elementCount(type: TensorType, size: SizeOf): number {
  let elements = 1;
  for (const dim of type.shape) elements *= size(dim);
  return elements;
}

/** Bytes of all inputs and outputs of a call, each once: the default traffic model. */
export function trafficBytes(call: OpCall<never> | OpCall, size: SizeOf): number {
  let bytes = 0;
  for (const type of Object.values(call.inputs)) bytes += byteLength(type, size);
  for (const type of Object.values(call.outputs)) bytes += byteLength(type, size);
  return bytes;
}

/** Workgroups of one dimension, folded into a second one past WebGPU's limit of 65,535. */
export function foldGrid(workgroups: number): readonly [number, number, number] {
  const limit = 65535;
  if (workgroups <= limit) return [workgroups, 1, 1];
  const y = Math.ceil(workgroups / limit);
  return [Math.ceil(workgroups / y), y, 1];
}

/** A grid whose workgroups take `each` of some items, and the uniform `grid_width`, by which kernels unfold it. */
export function gridOver(
  items: Dim | ((size: SizeOf) => number),
  each: number,
): { readonly grid: Launch["grid"]; readonly grid_width: (size: SizeOf) => number } {
  const count = typeof items === "function" ? items : (size: SizeOf): number => size(items);
  const grid: Launch["grid"] = (size) => foldGrid(Math.ceil(count(size) / each));
  return { grid, grid_width: (size) => grid(size)[0] };
}
