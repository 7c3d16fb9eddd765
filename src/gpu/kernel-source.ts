/**
 * @file Specialising and reading WGSL. A kernel file opens with a comment, then one block between the lines
 * `// --- parameters` and `// --- end parameters`; to specialise is to give the `const` lines of that block other
 * values and to append the `kernels/lib/` files that the header names. Nothing else is ever spliced into a shader.
 */

import { EngineError } from "../errors.ts";

/** Values of the parameter block of a kernel: `const NAME: type = value;` lines. */
export type Constants = Readonly<Record<string, number | boolean>>;

/** A variable of the bind group, as the text declares it. */
export interface KernelBinding {
  readonly binding: number;
  readonly name: string;
  readonly kind: "uniform" | "read-only-storage" | "storage";
}

/** A field of the uniform struct `Params`; every field is one 4-byte scalar. */
export interface UniformField {
  readonly name: string;
  readonly type: "u32" | "i32" | "f32";
}

/** A shader ready to compile, with what the host has to know about it. */
export interface KernelSource {
  readonly label: string;
  readonly code: string;
  readonly bindings: readonly KernelBinding[];
  readonly uniform: readonly UniformField[];
}

/** The texts of `kernels/`, by stem, and of `kernels/lib/`, by stem. */
export interface KernelTexts {
  readonly kernels: Readonly<Record<string, string>>;
  readonly libs: Readonly<Record<string, string>>;
}

const OPEN = "// --- parameters";
const CLOSE = "// --- end parameters";

/** The libraries a kernel's header asks for: one list of alternatives per library, the first being the default. */
export function librariesOf(text: string): readonly (readonly string[])[] {
  const line = /^\/\/ lib:(.*)$/m.exec(text)?.[1] ?? "";
  return line
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => word.split("|"));
}

/** Gives the parameter block other values; a name that the block lacks is an error. */
export function replaceConstants(stem: string, text: string, constants: Constants): string {
  const start = text.indexOf(OPEN);
  const end = text.indexOf(CLOSE);
  if (start < 0 || end < start) {
    throw new EngineError("COMPILE", `kernel ${stem} has no parameter block`, { where: `kernels/${stem}.wgsl` });
  }
  let block = text.slice(start, end);
  for (const [name, value] of Object.entries(constants)) {
    const pattern = new RegExp(`(^const ${name}: (u32|i32|f32|bool) = )[^;]*;`, "m");
    const match = pattern.exec(block);
    if (match === null) {
      throw new EngineError("COMPILE", `kernel ${stem} has no parameter ${name}`, { where: `kernels/${stem}.wgsl` });
    }
    block = block.replace(pattern, `$1${literal(stem, name, match[2] as string, value)};`);
  }
  return text.slice(0, start) + block + text.slice(end);
}

function literal(stem: string, name: string, type: string, value: number | boolean): string {
  const wrong = (): never => {
    throw new EngineError("COMPILE", `kernel ${stem}: ${name} cannot be ${String(value)} (${type})`, {
      where: `kernels/${stem}.wgsl`,
    });
  };
  if (type === "bool") return typeof value === "boolean" ? String(value) : wrong();
  if (typeof value !== "number" || !Number.isFinite(value)) return wrong();
  // Full precision: two values that differ in the last bit must give two texts, for the text is the cache key.
  if (type === "f32") return `f32(${value})`;
  if (!Number.isInteger(value) || (type === "u32" && value < 0)) return wrong();
  return type === "u32" ? `${value}u` : `${value}i`;
}

/** Makes the final text of a kernel and reads its bindings and uniform from it. */
export function specialize(
  texts: KernelTexts,
  stem: string,
  constants: Constants = {},
  libs: readonly string[] = [],
): KernelSource {
  const text = texts.kernels[stem];
  if (text === undefined)
    throw new EngineError("COMPILE", `there is no kernel ${stem}`, { where: `kernels/${stem}.wgsl` });
  const parts = [replaceConstants(stem, text, constants)];
  const unused = new Set(libs);
  for (const alternatives of librariesOf(text)) {
    const chosen = alternatives.find((name) => unused.delete(name)) ?? (alternatives[0] as string);
    const lib = texts.libs[chosen];
    if (lib === undefined)
      throw new EngineError("COMPILE", `kernel ${stem} names a library ${chosen} that is not there`);
    parts.push(lib);
  }
  if (unused.size > 0)
    throw new EngineError("COMPILE", `kernel ${stem} does not take the library ${[...unused].join(", ")}`);
  const code = parts.join("\n");
  return { label: stem, code, bindings: bindingsOf(code), uniform: uniformOf(stem, code) };
}

/** Reads `@group(0) @binding(n) var<…> name` declarations. */
export function bindingsOf(code: string): KernelBinding[] {
  const found: KernelBinding[] = [];
  const pattern = /@group\(0\) @binding\((\d+)\) var<(uniform|storage, read|storage, read_write)> (\w+)\s*:/g;
  for (const match of code.matchAll(pattern)) {
    const kind = match[2] === "uniform" ? "uniform" : match[2] === "storage, read" ? "read-only-storage" : "storage";
    found.push({ binding: Number(match[1]), name: match[3] as string, kind });
  }
  return found.sort((a, b) => a.binding - b.binding);
}

/** Reads the scalar fields of `struct Params`. */
export function uniformOf(stem: string, code: string): UniformField[] {
  const body = /struct Params \{([^}]*)\}/.exec(code)?.[1];
  if (body === undefined) return [];
  const fields: UniformField[] = [];
  for (const line of body.replace(/\/\/.*$/gm, "").split(",")) {
    if (line.trim() === "") continue;
    const match = /^\s*(\w+)\s*:\s*(u32|i32|f32)\s*$/.exec(line);
    if (match === null)
      throw new EngineError("COMPILE", `kernel ${stem}: Params holds something other than scalars: ${line.trim()}`);
    fields.push({ name: match[1] as string, type: match[2] as UniformField["type"] });
  }
  return fields;
}
