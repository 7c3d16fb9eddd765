/** @file Checkpoints of a training as bytes: safetensors, with everything else in its header and a hash over all of it. */

import { EngineError } from "../errors.ts";
import { parseJson } from "../formats/json.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { writeSafetensors } from "../formats/safetensors-writer.ts";
import { fromFloat32, toFloat32 } from "../formats/tensor.ts";
import type { LoopState } from "./loop-state.ts";
import { isLoopState } from "./loop-state.ts";
import type { Schedule } from "./schedule.ts";
import type { TrainerState } from "./state.ts";

/** Hashes of what the bits of a training follow from. */
export interface TrainIdentity {
  /** The configuration without names and paths. */
  readonly config: string;
  /** Files of the model, and of what is put on it. */
  readonly model: string;
  /** Files of the data. */
  readonly data: string;
}

/** A training at the end of a step. */
export interface Checkpoint {
  readonly identity: TrainIdentity;
  readonly loop: LoopState;
  readonly schedule: Schedule;
  /** The generator counts: its state is the seed, and the step and epoch of `loop`. */
  readonly generator: { readonly kind: "philox4x32-10"; readonly seed: number };
  readonly trainer: TrainerState;
}

const FORMAT = "adapters-webgpu/train-checkpoint";
const VERSION = 1;
/** The hash stands at the head of the file, over which it is taken with zeros in its own place. */
const ZEROS = "0".repeat(64);
/** Behind the length of the header, which takes eight bytes. */
const HASH_AT = 8 + '{"__metadata__":{"sha256":"'.length;

async function hashOf(bytes: Uint8Array): Promise<string> {
  const hash = await globalThis.crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @returns the bytes of a checkpoint's file. */
export async function writeCheckpoint({ trainer, ...rest }: Checkpoint): Promise<Uint8Array> {
  const { tensors, updates, passes } = trainer;
  const stored = Object.entries(tensors).map(([name, values]) => fromFloat32(name, [values.length], values));
  const header = JSON.stringify({ ...rest, updates, passes });
  const bytes = writeSafetensors(stored, { sha256: ZEROS, format: FORMAT, version: String(VERSION), header });
  bytes.set(new TextEncoder().encode(await hashOf(bytes)), HASH_AT);
  return bytes;
}

function broken(where: string, message: string): EngineError {
  return new EngineError("BAD_FILE", `${where} is no whole checkpoint: ${message}`, {
    where,
    fix: "delete it: the training goes on from the one before it",
  });
}

/** Hashes all bytes with zeros in the place of the hash. */
async function checkHash(bytes: Uint8Array, where: string): Promise<void> {
  const given = new TextDecoder().decode(bytes.subarray(HASH_AT, HASH_AT + ZEROS.length));
  if (!/^[0-9a-f]{64}$/.test(given)) throw broken(where, "it has no hash at its head");
  const plain = bytes.slice();
  plain.set(new TextEncoder().encode(ZEROS), HASH_AT);
  const found = await hashOf(plain);
  if (found !== given)
    throw broken(where, `its bytes have the hash ${found.slice(0, 16)}, it says ${given.slice(0, 16)}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads a checkpoint.
 * @throws EngineError BAD_FILE for anything but the very bytes that were written
 */
export async function readCheckpoint(bytes: Uint8Array, where: string): Promise<Checkpoint> {
  await checkHash(bytes, where);
  const { tensors, metadata } = readSafetensors(bytes, where);
  if (metadata.format !== FORMAT || metadata.version !== String(VERSION))
    throw broken(where, `its format is ${metadata.format} ${metadata.version}, expected ${FORMAT} ${VERSION}`);
  const header = parseJson(metadata.header ?? "", where);
  if (!isRecord(header) || !isLoopState(header.loop) || !isRecord(header.identity) || !isRecord(header.updates))
    throw broken(where, "fields of its header are missing");
  const { identity, loop, schedule, generator, updates, passes } = header as unknown as Omit<Checkpoint, "trainer"> &
    Pick<TrainerState, "updates" | "passes">;
  const values = Object.fromEntries(Array.from(tensors, ([name, tensor]) => [name, toFloat32(tensor)]));
  return { identity, loop, schedule, generator, trainer: { tensors: values, updates, passes } };
}

const WHAT: Readonly<Record<keyof TrainIdentity, string>> = {
  config: "another configuration",
  model: "another model",
  data: "other data",
};

/** @throws EngineError BAD_CONFIG that names both hashes where a checkpoint is of another training */
export function expectIdentity(found: TrainIdentity, expected: TrainIdentity, where: string): void {
  const other = (["config", "model", "data"] as const).find((name) => found[name] !== expected[name]);
  if (other === undefined) return;
  const message = `${where} is of ${WHAT[other]}: its ${other} has the hash ${found[other]}, this one's ${expected[other]}`;
  throw new EngineError("BAD_CONFIG", message, {
    where,
    fix: "choose another output folder, or go back to what the checkpoint was made with",
  });
}
