/** @file Writes torch checkpoints in the zip form (MATHS §3.5): `data.pkl`, one stored entry per tensor, `version`. */

import { EngineError } from "../errors.ts";
import { writePickle } from "./pickle-writer.ts";
import type { Pickled } from "./pickle-writer.ts";
import { isCount, tensorBytes } from "./tensor.ts";
import type { StoredTensor, TensorDtype } from "./tensor.ts";
import { writeZip } from "./zip-writer.ts";

/** Storage classes by element type. Torch has none for the other types of safetensors. */
const storageClasses: Partial<Record<TensorDtype, string>> = {
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
  F64: "DoubleStorage",
  I64: "LongStorage",
  I32: "IntStorage",
  I16: "ShortStorage",
  I8: "CharStorage",
  U8: "ByteStorage",
  BOOL: "BoolStorage",
};

/** Version of the archive layout that torch writes. */
const ARCHIVE_VERSION = "3\n";

/**
 * Writes tensors as a state dict that `torch.load(…, weights_only=True)` and {@link readTorch} read, in the given order.
 * @param root the archive's top folder; torch takes the file's name without its ending.
 * @throws EngineError `BAD_INPUT` for two tensors of one name, bytes that do not fit the shape, or an element type that
 * torch has no storage class for.
 * @example
 * const file = writeTorch([fromFloat32("heads.a.1.weight", [2, 768], weights)], "pytorch_model_head");
 */
export function writeTorch(tensors: Iterable<StoredTensor>, root: string = "archive"): Uint8Array {
  const entries: [string, Pickled][] = [];
  const storages: [string, Uint8Array][] = [];
  const names = new Set<string>();
  for (const tensor of tensors) {
    const key = String(storages.length);
    check(tensor, names);
    names.add(tensor.name);
    entries.push([tensor.name, pickledTensor(tensor, key)]);
    storages.push([`${root}/data/${key}`, tensor.bytes]);
  }
  const text = (content: string): Uint8Array => new TextEncoder().encode(content);
  return writeZip([
    [`${root}/data.pkl`, writePickle({ dict: entries })],
    [`${root}/byteorder`, text("little")],
    ...storages,
    [`${root}/version`, text(ARCHIVE_VERSION)],
  ]);
}

function check({ name, dtype, shape, bytes }: StoredTensor, taken: ReadonlySet<string>): void {
  const refuse = (problem: string): EngineError =>
    new EngineError("BAD_INPUT", `Tensor ${JSON.stringify(name)} ${problem}.`, {
      fix: "Correct the tensor before it is written.",
      where: name,
    });
  if (taken.has(name)) throw refuse("is given twice");
  if (/\p{Surrogate}/u.test(name)) throw refuse("has a name that is not well-formed Unicode");
  if (storageClasses[dtype] === undefined) throw refuse(`is ${dtype}, which torch has no storage class for`);
  if (shape.some((extent) => !isCount(extent)))
    throw refuse(`has an extent that is not a count in [${shape.join(", ")}]`);
  if (tensorBytes(dtype, shape, name) !== bytes.length) {
    throw refuse(`is ${dtype} [${shape.join(", ")}] but has ${bytes.length} bytes`);
  }
}

function pickledTensor({ dtype, shape }: StoredTensor, key: string): Pickled {
  const count = shape.reduce((product, extent) => product * extent, 1);
  const id = { tuple: ["storage", { global: `torch.${storageClasses[dtype]}` }, key, "cpu", count] };
  // Storage, offset, size, stride, requires_grad, hooks.
  const args = [{ persistent: id }, 0, { tuple: shape }, { tuple: rowMajorStrides(shape) }, false, { ordered: [] }];
  return { call: "torch._utils._rebuild_tensor_v2", args };
}

/** Strides in elements; torch counts empty axes as 1. */
function rowMajorStrides(shape: readonly number[]): number[] {
  const strides: number[] = [];
  let stride = 1;
  for (const extent of [...shape].reverse()) {
    strides.unshift(stride);
    stride *= Math.max(extent, 1);
  }
  return strides;
}
