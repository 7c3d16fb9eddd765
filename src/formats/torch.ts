/** @file Torch checkpoints of both forms as named tensors: nested state dicts become dotted names. */

import { Allowance, badFile } from "./bad-file.ts";
import { PickleDict, PickleTuple } from "./pickle.ts";
import type { PickleValue } from "./pickle.ts";
import { gatherStrided } from "./strided.ts";
import { tensorBytes } from "./tensor.ts";
import type { StoredTensor, TensorFile } from "./tensor.ts";
import { looksLikeLegacyTorch, readTorchLegacy } from "./torch-legacy.ts";
import { TorchStorage, TorchTensor, elementBytes } from "./torch-objects.ts";
import { readTorchZip } from "./torch-zip.ts";
import { looksLikeZip } from "./zip.ts";

/** A training checkpoint keeps the weights under this key, beside optimiser state and counters. */
const STATE_KEY = "state_dict";

/** Deeper than any module tree; bounds the recursion, also through a dict that holds itself. */
const MAX_DEPTH = 50;

/**
 * Reads a torch checkpoint, executing nothing. Dense tensors are views of `bytes` (tied tensors share theirs); strided
 * ones are copied, within 4 times the file's size. When the root has a `state_dict`, only that is read.
 * `metadata.form` is `zip` or `stream`; `metadata.ignored` is a JSON list of the names of values that are no tensors.
 * @throws EngineError `BAD_FILE`: not a torch checkpoint, TorchScript, a forbidden global (named), damage of any kind,
 * or tensors inside lists, which have no name.
 * @example
 * const { tensors } = readTorch(await folder.read("pytorch_model.bin"), "pytorch_model.bin");
 */
export function readTorch(bytes: Uint8Array, where: string): TensorFile {
  const form = looksLikeZip(bytes) ? "zip" : looksLikeLegacyTorch(bytes) ? "stream" : undefined;
  if (form === undefined)
    throw badFile(where, "this is not a torch checkpoint: neither a zip nor torch's older stream.");
  const root = form === "zip" ? readTorchZip(bytes, where) : readTorchLegacy(bytes, where);
  const flattener = new StateFlattener(where, new Allowance(bytes.length, where));
  flattener.root(root);
  const ignored = JSON.stringify(flattener.ignored);
  return { tensors: flattener.tensors, metadata: { form, ignored } };
}

class StateFlattener {
  readonly tensors: Map<string, StoredTensor> = new Map();
  readonly ignored: string[] = [];
  private readonly where: string;
  private readonly allowance: Allowance;
  /** Values already searched for tensors, so that shared ones are searched once. */
  private readonly searched: Set<PickleValue> = new Set();
  private depth = 0;

  constructor(where: string, allowance: Allowance) {
    this.where = where;
    this.allowance = allowance;
  }

  root(root: PickleValue): void {
    if (!(root instanceof PickleDict)) {
      throw badFile(
        this.where,
        "the checkpoint is not a dict of tensors.",
        "Save a state dict: torch.save(model.state_dict(), path).",
      );
    }
    const state = root.entries.get(STATE_KEY);
    if (!(state instanceof PickleDict)) {
      this.dict(root, "");
      return;
    }
    for (const key of root.entries.keys()) if (key !== STATE_KEY) this.ignore(this.keyText(key, ""));
    this.dict(state, "");
  }

  private dict(dict: PickleDict, prefix: string): void {
    this.depth += 1;
    if (this.depth > MAX_DEPTH) throw badFile(this.where, `dicts are nested deeper than ${MAX_DEPTH}.`);
    for (const [key, value] of dict.entries) {
      const name = prefix + this.keyText(key, prefix);
      // Shared dicts multiply names beyond what the file spells out: the allowance bounds their number and length.
      this.allowance.charge(name.length + 1, "the names of its values");
      if (value instanceof PickleDict) this.dict(value, `${name}.`);
      else if (value instanceof TorchTensor) this.add(name, value);
      else if (holdsTensors(value, this.searched)) {
        throw badFile(this.where, `${JSON.stringify(name)} holds tensors that have no name of their own.`);
      } else this.ignore(name);
    }
    this.depth -= 1;
  }

  private keyText(key: PickleValue, prefix: string): string {
    if (typeof key === "string") return key;
    if (typeof key === "number" || typeof key === "bigint") return String(key);
    throw badFile(this.where, `a key under ${JSON.stringify(prefix)} is neither a string nor a number.`);
  }

  private ignore(name: string): void {
    this.ignored.push(name);
  }

  private add(name: string, tensor: TorchTensor): void {
    if (this.tensors.has(name)) throw badFile(this.where, `the tensor ${JSON.stringify(name)} stands there twice.`);
    const { storage, shape } = tensor;
    this.tensors.set(name, { name, dtype: storage.dtype, shape, bytes: this.elements(name, tensor) });
  }

  private elements(name: string, tensor: TorchTensor): Uint8Array {
    const { storage, offset, shape, strides } = tensor;
    if (storage.bytes === undefined) throw badFile(this.where, `the storage of ${JSON.stringify(name)} is missing.`);
    const size = elementBytes(storage.dtype);
    const bytes = tensorBytes(storage.dtype, shape, name);
    if (tensor.contiguous) return storage.bytes.subarray(offset * size, offset * size + bytes);
    this.allowance.charge(bytes, JSON.stringify(name));
    return gatherStrided(storage.bytes, size, offset, shape, strides);
  }
}

/** Whether a value that is no dict and no tensor holds either kind of weight somewhere inside. */
function holdsTensors(value: PickleValue, seen: Set<PickleValue>): boolean {
  const open: PickleValue[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (next instanceof TorchTensor || next instanceof TorchStorage) return true;
    if (typeof next !== "object" || next === null || seen.has(next)) continue;
    seen.add(next);
    if (next instanceof PickleDict) for (const [key, item] of next.entries) open.push(key, item);
    else if (next instanceof PickleTuple) for (const item of next.items) open.push(item);
    else if (Array.isArray(next)) for (const item of next) open.push(item);
  }
  return false;
}
