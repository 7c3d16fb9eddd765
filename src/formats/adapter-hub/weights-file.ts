/** @file The weights file beside an adapter's configuration: which one, its tensors as finite float32, and writing it. */

import { EngineError } from "../../errors.ts";
import { readTensorFile } from "../checkpoint.ts";
import { notFound } from "../folder.ts";
import type { Folder } from "../folder.ts";
import { writeSafetensors } from "../safetensors-writer.ts";
import { fromFloat32, toFloat16, toFloat32 } from "../tensor.ts";
import { writeTorch } from "../torch-writer.ts";
import type { PlainTensor, WeightsForm } from "./types.ts";

/** The two names that one content may have: safetensors, and what torch writes. */
export interface WeightNames {
  readonly safetensors: string;
  readonly torch: string;
}

/** A weights file as read. */
export interface ReadWeights {
  readonly file: string;
  readonly bytes: number;
  readonly tensors: Map<string, PlainTensor>;
}

/**
 * Reads the folder's weights, safetensors first: it opens without an unpickler.
 * @throws EngineError `NOT_FOUND` with what is there, `BAD_FILE`, or `BAD_WEIGHTS` with the full list of tensors that are
 * no finite floats.
 */
export async function readWeightsFile(folder: Folder, names: WeightNames): Promise<ReadWeights> {
  for (const file of [names.safetensors, names.torch]) {
    if (!(await folder.has(file))) continue;
    const bytes = await folder.read(file);
    return { file, bytes: bytes.length, tensors: floatTensors(bytes, `${folder.name}/${file}`) };
  }
  const missing = notFound(folder.name, names.torch, await folder.list());
  throw new EngineError("NOT_FOUND", missing.message, {
    fix: `Put the weights there as ${names.safetensors} or ${names.torch}.`,
    where: missing.where,
  });
}

function floatTensors(bytes: Uint8Array, where: string): Map<string, PlainTensor> {
  const tensors = new Map<string, PlainTensor>();
  const problems: string[] = [];
  for (const [name, stored] of readTensorFile(bytes, where).tensors) {
    try {
      const data = toFloat32(stored);
      if (!allFinite(data)) problems.push(`${name} holds NaN or infinity`);
      tensors.set(name, { shape: stored.shape, data });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      problems.push(`${name} is ${stored.dtype}`);
    }
  }
  if (problems.length > 0) {
    throw badWeights(where, `${problems.length} tensors are not finite floats: ${problems.join("; ")}.`);
  }
  return tensors;
}

/** A plain loop: an adapter of 4 MB is checked in a millisecond, by calls it would take ten. */
function allFinite(values: Float32Array): boolean {
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number;
    if (value - value !== 0) return false;
  }
  return true;
}

/** A `BAD_WEIGHTS` error about a file or folder. */
export function badWeights(
  where: string,
  message: string,
  fix: string = "Export the adapter again from the model it was trained in.",
): EngineError {
  return new EngineError("BAD_WEIGHTS", `${where}: ${message}`, { fix, where });
}

/** How a weights file is written. */
export interface WeightsWriting {
  readonly weights: WeightsForm;
  /** Element type of matrices; vectors are f32 in any case. Default: f32. */
  readonly precision?: "f32" | "f16";
}

/**
 * Writes float32 tensors in one of the two forms.
 * @returns the file's name and bytes.
 * @throws EngineError `BAD_INPUT` for values that f16 cannot hold.
 */
export function writeWeightsFile(
  tensors: ReadonlyMap<string, PlainTensor>,
  names: WeightNames,
  { weights, precision = "f32" }: WeightsWriting,
): [string, Uint8Array] {
  const stored = [...tensors].map(([name, { shape, data }]) =>
    (precision === "f16" && shape.length > 1 ? toFloat16 : fromFloat32)(name, shape, data),
  );
  if (weights === "safetensors") return [names.safetensors, writeSafetensors(stored)];
  return [names.torch, writeTorch(stored, names.torch.replace(/\.[^.]*$/, ""))];
}

/** Whether two tensors are equal bit for bit (−0 differs from 0), shapes included. */
export function sameBits(a: PlainTensor, b: PlainTensor): boolean {
  if (a.shape.join() !== b.shape.join() || a.data.length !== b.data.length) return false;
  const bits = new Uint32Array(a.data.buffer, a.data.byteOffset, a.data.length);
  const others = new Uint32Array(b.data.buffer, b.data.byteOffset, b.data.length);
  return bits.every((word, index) => word === others[index]);
}
