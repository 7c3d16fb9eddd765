/** @file The allow-list of torch checkpoints (MATHS §3.5): storages, tensors, and the few globals that rebuild them. */

import { badFile } from "./bad-file.ts";
import { PickleDict, PickleGlobal, PickleObject, PickleTuple } from "./pickle.ts";
import type { PicklePolicy, PickleValue } from "./pickle.ts";
import { isContiguous, stridedSpan } from "./strided.ts";
import { dtypeBits, isCount, tensorBytes } from "./tensor.ts";
import type { TensorDtype } from "./tensor.ts";

/** Element types of the storage classes. */
const storageDtypes: Readonly<Record<string, TensorDtype>> = {
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.DoubleStorage": "F64",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
  "torch.UntypedStorage": "U8",
  "torch.storage.UntypedStorage": "U8",
};

const REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2";
const REBUILD_PARAMETER = "torch._utils._rebuild_parameter";
const ORDERED_DICT = "collections.OrderedDict";
const SIZE = "torch.Size";

const parameterClasses: readonly string[] = ["torch.nn.Parameter", "torch.nn.parameter.Parameter"];

const dtypeNames: readonly string[] =
  "float float16 float32 float64 half bfloat16 double int8 int16 int32 int64 short int long uint8 bool"
    .split(" ")
    .map((name) => `torch.${name}`);

const allowed: ReadonlySet<string> = new Set([
  ...Object.keys(storageDtypes),
  ...parameterClasses,
  ...dtypeNames,
  REBUILD_TENSOR,
  REBUILD_PARAMETER,
  ORDERED_DICT,
  SIZE,
  "torch.Tensor",
]);

/** A run of elements that tensors view. The stream form learns the bytes only after the pickle. */
export class TorchStorage extends PickleObject {
  readonly kind = "a storage";
  readonly key: string;
  readonly dtype: TensorDtype;
  /** Elements. */
  readonly count: number;
  bytes: Uint8Array | undefined;

  constructor(key: string, dtype: TensorDtype, count: number) {
    super();
    this.key = key;
    this.dtype = dtype;
    this.count = count;
  }
}

/** A checked view of a storage; offset and strides in elements. */
export class TorchTensor extends PickleObject {
  readonly kind = "a tensor";
  readonly storage: TorchStorage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    super();
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }

  get contiguous(): boolean {
    return isContiguous(this.shape, this.strides);
  }
}

/** A storage as a pickle refers to it. */
export interface StorageReference {
  readonly key: string;
  readonly dtype: TensorDtype;
  readonly count: number;
  /** What follows the element count in the persistent id. */
  readonly rest: readonly PickleValue[];
}

/** The policy of torch pickles; the two file forms differ in how they find a storage. */
export class TorchPolicy implements PicklePolicy {
  private readonly where: string;
  private readonly resolve: (reference: StorageReference) => TorchStorage;

  constructor(where: string, resolve: (reference: StorageReference) => TorchStorage) {
    this.where = where;
    this.resolve = resolve;
  }

  allows(name: string): boolean {
    return allowed.has(name);
  }

  takesState(target: PickleValue): boolean {
    return target instanceof TorchTensor || target instanceof PickleDict;
  }

  call(callable: PickleGlobal, args: readonly PickleValue[]): PickleValue {
    const { name } = callable;
    if (name === REBUILD_TENSOR) return this.rebuildTensor(args);
    if (name === REBUILD_PARAMETER || parameterClasses.includes(name)) {
      if (!(args[0] instanceof TorchTensor)) throw badFile(this.where, `${name} wraps something that is not a tensor.`);
      return args[0];
    }
    if (name === ORDERED_DICT) return this.orderedDict(args);
    if (name === SIZE && args.length === 1 && args[0] instanceof PickleTuple) return args[0];
    throw badFile(this.where, `the pickle calls ${name}, which is not something that a checkpoint may call so.`);
  }

  persistent(id: PickleValue): PickleValue {
    if (!(id instanceof PickleTuple)) throw badFile(this.where, "a persistent id is not a tuple.");
    const [word, type, key, , count, ...rest] = id.items;
    const dtype = type instanceof PickleGlobal ? storageDtypes[type.name] : undefined;
    if (word !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count)) {
      throw badFile(this.where, "a persistent id does not name a storage of a known type.");
    }
    tensorBytes(dtype, [count], `${this.where}, storage ${key}`);
    return this.resolve({ key, dtype, count, rest });
  }

  private orderedDict(args: readonly PickleValue[]): PickleDict {
    const dict = new PickleDict();
    const pairs = args[0] ?? [];
    if (args.length > 1 || !Array.isArray(pairs))
      throw badFile(this.where, "an OrderedDict is not made of a list of pairs.");
    for (const pair of pairs) {
      const items = pair instanceof PickleTuple ? pair.items : pair;
      if (!Array.isArray(items) || items.length !== 2)
        throw badFile(this.where, "an OrderedDict holds something not a pair.");
      dict.entries.set(items[0] as PickleValue, items[1] as PickleValue);
    }
    return dict;
  }

  private rebuildTensor(args: readonly PickleValue[]): TorchTensor {
    const [storage, offset, size, stride] = args;
    const shape = counts(size);
    const strides = counts(stride);
    if (args.length < 6 || args.length > 7 || !(storage instanceof TorchStorage) || !isCount(offset)) {
      throw badFile(this.where, "a tensor is rebuilt from wrong arguments.");
    }
    const where = `${this.where}, a tensor of storage ${storage.key}`;
    if (shape === undefined || strides === undefined || shape.length !== strides.length) {
      throw badFile(where, "its size and stride are not tuples of counts of one length.");
    }
    tensorBytes(storage.dtype, shape, where);
    const end = offset + stridedSpan(shape, strides);
    if (end > storage.count) {
      throw badFile(
        where,
        `offset ${offset}, size [${shape.join(", ")}], stride [${strides.join(", ")}] reach element ${end} of ${storage.count}.`,
      );
    }
    return new TorchTensor(storage, offset, shape, strides);
  }
}

/** Bytes per element; storages have whole ones. */
export function elementBytes(dtype: TensorDtype): number {
  return dtypeBits[dtype] / 8;
}

function counts(value: PickleValue | undefined): readonly number[] | undefined {
  if (!(value instanceof PickleTuple)) return undefined;
  return value.items.every(isCount) ? value.items : undefined;
}
