/** @file The safetensors writer (MATHS §3.4): the same bytes as the format's own library for the same tensors. */

import { EngineError } from "../errors.ts";
import { METADATA_KEY } from "./safetensors.ts";
import { dtypeBits, isCount, tensorBytes } from "./tensor.ts";
import type { StoredTensor } from "./tensor.ts";

/** Header and data begin on multiples of this, so that every element type can be viewed in place. */
const ALIGNMENT = 8;

/**
 * Writes tensors as one safetensors file: ordered by falling element type, then name; the header padded with spaces.
 * @throws EngineError `BAD_INPUT` for two tensors of one name, a reserved or malformed name, or bytes that do not fit the shape.
 * @example
 * const file = writeSafetensors([fromFloat32("router", [256], weights)], { format: "pt" });
 */
export function writeSafetensors(
  tensors: Iterable<StoredTensor>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  const dtypes = Object.keys(dtypeBits);
  const ordered = [...tensors].sort(
    (a, b) => dtypes.indexOf(b.dtype) - dtypes.indexOf(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  const entries: [string, unknown][] = metadata === undefined ? [] : [[METADATA_KEY, metadata]];
  const names = new Set<string>([METADATA_KEY]);
  let dataBytes = 0;
  for (const tensor of ordered) {
    check(tensor, names);
    const { name, dtype, shape } = tensor;
    names.add(name);
    entries.push([name, { dtype, shape, data_offsets: [dataBytes, dataBytes + tensor.bytes.length] }]);
    dataBytes += tensor.bytes.length;
  }
  // Joined by hand: an object would move names that look like numbers to the front, and lose "__proto__".
  const fields = entries.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const header = new TextEncoder().encode(`{${fields.join(",")}}`);
  const headerBytes = Math.ceil(header.length / ALIGNMENT) * ALIGNMENT;

  const file = new Uint8Array(8 + headerBytes + dataBytes);
  new DataView(file.buffer).setUint32(0, headerBytes, true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(header, 8);
  let offset = 8 + headerBytes;
  for (const { bytes } of ordered) {
    file.set(bytes, offset);
    offset += bytes.length;
  }
  return file;
}

function check(tensor: StoredTensor, taken: ReadonlySet<string>): void {
  const { name, dtype, shape, bytes } = tensor;
  const refuse = (problem: string): EngineError =>
    new EngineError("BAD_INPUT", `Tensor ${JSON.stringify(name)} ${problem}.`, {
      fix: "Correct the tensor before it is written.",
      where: name,
    });
  if (taken.has(name)) throw refuse(name === METADATA_KEY ? "has the name that the format reserves" : "is given twice");
  if (/\p{Surrogate}/u.test(name)) throw refuse("has a name that is not well-formed Unicode");
  if (shape.some((extent) => !isCount(extent)))
    throw refuse(`has an extent that is not a count in [${shape.join(", ")}]`);
  if (tensorBytes(dtype, shape, name) !== bytes.length) {
    throw refuse(`is ${dtype} [${shape.join(", ")}] but has ${bytes.length} bytes`);
  }
}
