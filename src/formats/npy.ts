/** @file The reader of NumPy's `.npy` arrays, format versions 1 to 3: little-endian, C order. */

import { EngineError } from "../errors.ts";
import { badFile } from "./bad-file.ts";
import { ByteReader } from "./byte-reader.ts";
import { tensorBytes } from "./tensor.ts";
import type { StoredTensor, TensorDtype } from "./tensor.ts";

const MAGIC: readonly number[] = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

const descriptors: Readonly<Record<string, TensorDtype>> = {
  "|b1": "BOOL",
  "|u1": "U8",
  "|i1": "I8",
  "<u2": "U16",
  "<i2": "I16",
  "<f2": "F16",
  "<u4": "U32",
  "<i4": "I32",
  "<f4": "F32",
  "<u8": "U64",
  "<i8": "I64",
  "<f8": "F64",
};

/** The header is a Python dict literal of exactly three known keys, in any order. */
const ENTRY = /\s*(?:'([a-z_]+)'|"([a-z_]+)")\s*:\s*(?:'([^']*)'|"([^"]*)"|(True|False)|\(([\d\s,L]*)\))\s*(,|$)/y;

interface Header {
  readonly descr: string;
  readonly fortran: boolean;
  readonly shape: readonly number[];
}

/**
 * Reads one array; the tensor has the file's name and is a view of `bytes`.
 * @throws EngineError `BAD_FILE` for damage; `UNSUPPORTED` for big-endian, structured, text, complex and Fortran-ordered arrays.
 * @example
 * const logits = toFloat32(readNpy(await folder.read("logits.npy"), "logits.npy"));
 */
export function readNpy(bytes: Uint8Array, where: string): StoredTensor {
  const reader = new ByteReader(bytes, where);
  const magic = reader.take(MAGIC.length);
  if (MAGIC.some((byte, index) => magic[index] !== byte)) throw badFile(where, "this is not an .npy file.");
  const version = reader.u8();
  reader.u8();
  if (version < 1 || version > 3) throw badFile(where, `.npy version ${version} is not known.`);
  const header = parseHeader(reader.text(version === 1 ? reader.u16() : reader.u32()), where);
  const dtype = Object.hasOwn(descriptors, header.descr) ? descriptors[header.descr] : undefined;
  if (dtype === undefined) throw unsupported(where, `elements of type ${JSON.stringify(header.descr)}`);
  if (header.fortran) throw unsupported(where, "an array in Fortran order");
  const expected = tensorBytes(dtype, header.shape, where);
  if (reader.left !== expected) {
    throw badFile(where, `${dtype} [${header.shape.join(", ")}] takes ${expected} bytes; the file has ${reader.left}.`);
  }
  return { name: where, dtype, shape: header.shape, bytes: reader.take(expected) };
}

function unsupported(where: string, what: string): EngineError {
  return new EngineError("UNSUPPORTED", `${where} holds ${what}.`, {
    fix: "Save it with numpy.save(path, numpy.ascontiguousarray(array.astype('<f4'))).",
    where,
  });
}

function parseHeader(text: string, where: string): Header {
  const damaged = (): EngineError =>
    badFile(where, `the .npy header ${JSON.stringify(text.slice(0, 200))} is malformed.`);
  const body = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1]?.trimEnd();
  if (body === undefined) throw damaged();
  if (/['"]descr['"]\s*:\s*\[/.test(body)) throw unsupported(where, "a structured array");
  const texts = new Map<string, string>();
  const flags = new Map<string, string>();
  const tuples = new Map<string, string>();
  const pattern = new RegExp(ENTRY);
  let count = 0;
  for (; pattern.lastIndex < body.length; count++) {
    const found = pattern.exec(body);
    if (found === null) throw damaged();
    const [, single = "", double = "", text1, text2, flag, tuple] = found;
    const key = single || double;
    const quoted = text1 ?? text2;
    if (quoted !== undefined) texts.set(key, quoted);
    else if (flag !== undefined) flags.set(key, flag);
    else tuples.set(key, tuple ?? "");
  }
  const descr = texts.get("descr");
  const order = flags.get("fortran_order");
  const extents = tuples.get("shape");
  if (count !== 3 || descr === undefined || order === undefined || extents === undefined) throw damaged();
  const shape = parseShape(extents);
  if (shape === undefined) throw damaged();
  return { descr, fortran: order === "True", shape };
}

/** The inside of a Python tuple: "", "3,", "3, 4" or "3, 4,"; Python 2 wrote "3L". */
function parseShape(text: string): readonly number[] | undefined {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  if (!/^\d+L?\s*,(?:\s*\d+L?\s*,)*(?:\s*\d+L?)?$/.test(trimmed)) return undefined;
  const shape = trimmed
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "")
    .map((part) => Number.parseInt(part, 10));
  return shape.every((extent) => Number.isSafeInteger(extent)) ? shape : undefined;
}
