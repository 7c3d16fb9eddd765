/**
 * @file Torch checkpoints in the stream form (before PyTorch 1.6): five pickles (magic number, protocol, system, object,
 * storage keys), then every storage as an int64 element count and its raw bytes, in the order of the keys.
 */

import { badFile } from "./bad-file.ts";
import { ByteReader } from "./byte-reader.ts";
import { PickleDict, PickleTuple, unpickle } from "./pickle.ts";
import type { PickleValue } from "./pickle.ts";
import { TorchPolicy, TorchStorage, elementBytes } from "./torch-objects.ts";
import type { StorageReference } from "./torch-objects.ts";
import { isCount } from "./tensor.ts";

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;

/** A storage of the stream and the windows of it that tensors name. */
interface Root {
  readonly storage: TorchStorage;
  readonly windows: Map<string, { readonly storage: TorchStorage; readonly offset: number }>;
}

/** Whether the bytes begin with the magic pickle: PROTO 2, LONG1 of ten bytes. */
export function looksLikeLegacyTorch(bytes: Uint8Array): boolean {
  return bytes[0] === 0x80 && bytes[1] === 0x02 && bytes[2] === 0x8a && bytes[3] === 0x0a;
}

/**
 * Reads the pickled object of a stream checkpoint; its storages are views of `bytes`.
 * @throws EngineError `BAD_FILE`: not this form, big-endian data, storages missing, repeated or wrongly sized, trailing
 * bytes, and whatever the unpickler refuses.
 */
export function readTorchLegacy(bytes: Uint8Array, where: string): PickleValue {
  const reader = new ByteReader(bytes, where);
  const roots = new Map<string, Root>();
  const policy = new TorchPolicy(where, (reference) => resolve(reference, roots, where));
  if (unpickle(reader, policy) !== MAGIC) throw badFile(where, "the magic number is not torch's.");
  if (unpickle(reader, policy) !== PROTOCOL) throw badFile(where, `the stream protocol is not ${PROTOCOL}.`);
  const system = unpickle(reader, policy);
  if (!(system instanceof PickleDict) || system.entries.get("little_endian") !== true) {
    throw badFile(where, "the storages are not little-endian.", "Save the checkpoint on a little-endian machine.");
  }
  const root = unpickle(reader, policy);
  readStorages(reader, unpickle(reader, policy), roots);
  return root;
}

function resolve(reference: StorageReference, roots: Map<string, Root>, where: string): TorchStorage {
  const { key, dtype, count, rest } = reference;
  const known = roots.get(key);
  const root: Root = known ?? { storage: new TorchStorage(key, dtype, count), windows: new Map() };
  if (root.storage.dtype !== dtype || root.storage.count !== count) {
    throw badFile(where, `storage ${JSON.stringify(key)} is described in two ways.`);
  }
  roots.set(key, root);
  const window = rest[0] ?? null;
  if (rest.length > 1) throw badFile(where, `storage ${JSON.stringify(key)} has a malformed id.`);
  return window === null ? root.storage : resolveWindow(window, root, where);
}

/** The sixth element of an id: (view key, first element, elements), a storage that is a window of another. */
function resolveWindow(window: PickleValue, root: Root, where: string): TorchStorage {
  const { key, dtype, count } = root.storage;
  const [viewKey, offset, size] = window instanceof PickleTuple ? window.items : [];
  if (typeof viewKey !== "string" || !isCount(offset) || !isCount(size) || offset + size > count) {
    throw badFile(where, `a view of storage ${JSON.stringify(key)} does not lie inside it.`);
  }
  const known = root.windows.get(viewKey);
  if (known !== undefined && (known.offset !== offset || known.storage.count !== size)) {
    throw badFile(where, `the view ${JSON.stringify(viewKey)} is described in two ways.`);
  }
  const view = known ?? { storage: new TorchStorage(viewKey, dtype, size), offset };
  root.windows.set(viewKey, view);
  return view.storage;
}

function readStorages(reader: ByteReader, keys: PickleValue, roots: ReadonlyMap<string, Root>): void {
  const { where } = reader;
  if (!Array.isArray(keys) || keys.length !== roots.size) {
    throw badFile(where, "the list of storage keys does not match the storages in use.");
  }
  for (const key of keys) {
    const root = typeof key === "string" ? roots.get(key) : undefined;
    if (root === undefined || root.storage.bytes !== undefined) {
      throw badFile(where, `the list of storage keys has an unknown or repeated entry ${JSON.stringify(String(key))}.`);
    }
    const { storage, windows } = root;
    const count = reader.u64();
    if (count !== storage.count) {
      throw badFile(where, `storage ${JSON.stringify(key)} has ${count} elements; the pickle says ${storage.count}.`);
    }
    const size = elementBytes(storage.dtype);
    const data = reader.take(count * size);
    storage.bytes = data;
    for (const view of windows.values()) {
      view.storage.bytes = data.subarray(view.offset * size, (view.offset + view.storage.count) * size);
    }
  }
  if (reader.left > 0) throw badFile(where, `${reader.left} bytes follow the last storage.`);
}
