/** @file Writes zips and torch checkpoints of both forms, honest and hostile ones, for the tests of the readers. */

import { writePickle } from "../../src/formats/pickle-writer.ts";
import type { Pickled } from "../../src/formats/pickle-writer.ts";

/** A storage and its raw bytes. `view` is the stream form's window: key, first element, elements. */
export interface StorageSpec {
  readonly key: string;
  /** Class name without the module: "FloatStorage". */
  readonly type: string;
  readonly count: number;
  readonly bytes: Uint8Array;
  readonly view?: readonly [string, number, number];
}

/** Makes a storage of float32 values. */
export function floatStorage(key: string, values: readonly number[]): StorageSpec {
  return { key, type: "FloatStorage", count: values.length, bytes: new Uint8Array(new Float32Array(values).buffer) };
}

/** What torch pickles for a tensor. */
export function tensor(
  storage: StorageSpec,
  shape: readonly number[],
  strides: readonly number[],
  offset = 0,
): Pickled {
  const { view } = storage;
  const rest: Pickled[] = view === undefined ? [] : [{ tuple: view }];
  const id = { tuple: ["storage", { global: `torch.${storage.type}` }, storage.key, "cpu", storage.count, ...rest] };
  const args = [{ persistent: id }, offset, { tuple: shape }, { tuple: strides }, false, { ordered: [] }];
  return { call: "torch._utils._rebuild_tensor_v2", args };
}

/** Choices of {@link writeZip}. */
export interface ZipChoices {
  /** Write sizes and offsets into ZIP64 records. */
  readonly zip64?: boolean;
  /** Compression method that the entries claim. */
  readonly method?: number;
  /** General purpose flags that the entries claim; bit 0 is encryption. */
  readonly flags?: number;
  readonly comment?: string;
}

/** Writes a zip of stored entries. Checksums are left 0: the reader, like torch, does not compare them. */
export function writeZip(files: readonly (readonly [string, Uint8Array])[], choices: ZipChoices = {}): Uint8Array {
  const { zip64 = false, method = 0, flags = 0, comment = "" } = choices;
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  const emit = (part: Uint8Array): void => {
    parts.push(part);
    offset += part.length;
  };
  for (const [name, data] of files) {
    const text = new TextEncoder().encode(name);
    const at = offset;
    const size = zip64 ? 0xffffffff : data.length;
    // Another extra block stands before the ZIP64 one, as other writers put timestamps.
    const wide = zip64
      ? fields([2, 0xbeef], [2, 8], [8, 0], [2, 1], [2, 24], [8, data.length], [8, data.length], [8, at])
      : new Uint8Array();
    const place = zip64 ? 0xffffffff : at;
    directory.push(
      fields([4, 0x02014b50], [2, 0], [2, 0], [2, flags], [2, method], [8, 0], [4, size], [4, size], [2, text.length]),
      fields([2, wide.length], [8, 0], [2, 0], [4, place]),
      text,
      wide,
    );
    // The local extra field has another length than the central one, as torch's alignment padding has.
    emit(fields([4, 0x04034b50], [2, 0], [2, 0], [2, method], [8, 0], [4, size], [4, size], [2, text.length], [2, 5]));
    emit(text);
    emit(new Uint8Array(5));
    emit(data);
  }
  const start = offset;
  for (const part of directory) emit(part);
  const bytes = offset - start;
  if (zip64) {
    const record = offset;
    emit(
      fields([4, 0x06064b50], [8, 44], [4, 0], [8, 0], [8, files.length], [8, files.length], [8, bytes], [8, start]),
    );
    emit(fields([4, 0x07064b50], [4, 0], [8, record], [4, 1]));
  }
  const [count, size, place] = zip64 ? [0xffff, 0xffffffff, 0xffffffff] : [files.length, bytes, start];
  emit(fields([4, 0x06054b50], [4, 0], [2, count], [2, count], [4, size], [4, place], [2, comment.length]));
  emit(new TextEncoder().encode(comment));
  return concat(parts);
}

/** A torch checkpoint of the zip form; `extra` adds or replaces entries. */
export function writeTorchZip(
  root: Pickled,
  storages: readonly StorageSpec[],
  extra: Readonly<Record<string, Uint8Array>> = {},
  choices: ZipChoices = {},
): Uint8Array {
  const files = new Map<string, Uint8Array>([["archive/data.pkl", writePickle(root)]]);
  for (const { key, bytes } of storages) files.set(`archive/data/${key}`, bytes);
  files.set("archive/version", new TextEncoder().encode("3\n"));
  for (const [name, bytes] of Object.entries(extra)) files.set(`archive/${name}`, bytes);
  return writeZip([...files], choices);
}

/** A torch checkpoint of the stream form. */
export function writeTorchStream(root: Pickled, storages: readonly StorageSpec[], littleEndian = true): Uint8Array {
  const ordered = [...storages].sort((a, b) => (a.key < b.key ? -1 : 1));
  const parts = [
    writePickle(0x1950a86a20f9469cfc6cn),
    writePickle(1001),
    writePickle({
      dict: [
        ["protocol_version", 1001],
        ["little_endian", littleEndian],
        ["type_sizes", { dict: [] }],
      ],
    }),
    writeObject(root),
    writePickle(ordered.map(({ key }) => key)),
  ];
  for (const { count, bytes } of ordered) parts.push(fields([8, count]), bytes);
  return concat(parts);
}

/** Tensors of the stream form have a sixth element in every id: the view, or None. */
function writeObject(root: Pickled): Uint8Array {
  return writePickle(withViews(root));
}

function withViews(value: Pickled): Pickled {
  if (value === null || typeof value !== "object") return value;
  if ("call" in value) return { ...value, args: value.args.map(withViews) };
  if ("ordered" in value)
    return { ...value, ordered: value.ordered.map(([key, item]) => [key, withViews(item)] as const) };
  if ("dict" in value) return { dict: value.dict.map(([key, item]) => [key, withViews(item)] as const) };
  if (
    "persistent" in value &&
    typeof value.persistent === "object" &&
    value.persistent !== null &&
    "tuple" in value.persistent
  ) {
    const items = value.persistent.tuple;
    return items.length === 5 ? { persistent: { tuple: [...items, null] } } : value;
  }
  return value;
}

/** Little-endian unsigned fields as [bytes, value]. */
function fields(...list: readonly (readonly [number, number])[]): Uint8Array {
  const bytes: number[] = [];
  for (const [width, value] of list) {
    for (let index = 0, rest = BigInt(value); index < width; index++, rest >>= 8n) bytes.push(Number(rest & 0xffn));
  }
  return Uint8Array.from(bytes);
}

/** Joins byte arrays. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
