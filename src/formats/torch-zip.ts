/** @file Torch checkpoints in the zip form (PyTorch 1.6 and later): `data.pkl` and one stored entry per storage. */

import { badFile } from "./bad-file.ts";
import { ByteReader } from "./byte-reader.ts";
import { unpickle } from "./pickle.ts";
import type { PickleValue } from "./pickle.ts";
import { TorchPolicy, TorchStorage, elementBytes } from "./torch-objects.ts";
import type { StorageReference } from "./torch-objects.ts";
import { readZip } from "./zip.ts";

/**
 * Reads the pickled object of a zip checkpoint; its storages are views of `bytes`.
 * @throws EngineError `BAD_FILE`: damaged zip, TorchScript, big-endian data, missing or wrongly sized storages, and
 * whatever the unpickler refuses.
 */
export function readTorchZip(bytes: Uint8Array, where: string): PickleValue {
  const files = readZip(bytes, where);
  const roots = [...files.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (roots.length !== 1)
    throw badFile(where, `the zip holds ${roots.length} entries data.pkl; a torch checkpoint has one.`);
  const root = (roots[0] as string).slice(0, -"data.pkl".length);
  if (files.has(`${root}constants.pkl`)) {
    throw badFile(
      where,
      "this is a TorchScript archive, which holds code.",
      "Save the state dict: torch.save(model.state_dict(), path).",
    );
  }
  const order = files.get(`${root}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order).trim() !== "little") {
    throw badFile(where, "the storages are not little-endian.", "Save the checkpoint on a little-endian machine.");
  }
  const resolve = ({ key, dtype, count, rest }: StorageReference): TorchStorage => {
    const data = files.get(`${root}data/${key}`);
    if (data === undefined) throw badFile(where, `storage ${JSON.stringify(key)} is missing.`);
    if (rest.length > 0) throw badFile(where, `storage ${JSON.stringify(key)} is a view, which the zip form has not.`);
    const expected = count * elementBytes(dtype);
    if (data.length !== expected) {
      throw badFile(
        where,
        `storage ${JSON.stringify(key)} has ${data.length} bytes; ${count} ${dtype} take ${expected}.`,
      );
    }
    const storage = new TorchStorage(key, dtype, count);
    storage.bytes = data;
    return storage;
  };
  const reader = new ByteReader(files.get(`${root}data.pkl`) as Uint8Array, `${where}/${root}data.pkl`);
  return unpickle(reader, new TorchPolicy(where, resolve));
}
