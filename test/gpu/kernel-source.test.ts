/** @file Specialising WGSL: the parameter block and nothing but the block, values to the last bit, libraries by name. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bindingsOf, librariesOf, replaceConstants, specialize, uniformOf } from "../../src/gpu/kernel-source.ts";
import { kernels, libs } from "../../src/kernels.gen.ts";

const TEXT = `// A kernel. const WIDTH: u32 = 1u; in prose stays.
// lib: unit-a|unit-b tail

// --- parameters
const WIDTH: u32 = 768u; // a multiple of 4
const WIDTH_OUT: u32 = 4u;
const SHIFT: i32 = 1i;
const EPSILON: f32 = 1e-5;
const HAS_BIAS: bool = true;
// --- end parameters

const WIDTH_AFTER: u32 = WIDTH;
struct Params {
  rows: u32, // rows of x
  offset: i32,
  scale: f32,
}
@group(0) @binding(2) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> x: array<f32>;
`;

const texts = { kernels: { sample: TEXT }, libs: { "unit-a": "// a", "unit-b": "// b", tail: "// tail" } };

/** The lines of two texts that differ, as pairs. */
function changes(before: string, after: string): [string, string][] {
  const left = before.split("\n");
  const right = after.split("\n");
  expect(right.length).toBe(left.length);
  return left.flatMap((line, i) => (line === right[i] ? [] : [[line, right[i] as string] as [string, string]]));
}

describe("replaceConstants", () => {
  test("changes the named lines only, and keeps their comments", () => {
    const replaced = replaceConstants("sample", TEXT, { WIDTH: 12, SHIFT: -3, EPSILON: 0.25, HAS_BIAS: false });
    expect(changes(TEXT, replaced)).toEqual([
      ["const WIDTH: u32 = 768u; // a multiple of 4", "const WIDTH: u32 = 12u; // a multiple of 4"],
      ["const SHIFT: i32 = 1i;", "const SHIFT: i32 = -3i;"],
      ["const EPSILON: f32 = 1e-5;", "const EPSILON: f32 = f32(0.25);"],
      ["const HAS_BIAS: bool = true;", "const HAS_BIAS: bool = false;"],
    ]);
  });

  test("without values it changes nothing", () => {
    expect(replaceConstants("sample", TEXT, {})).toBe(TEXT);
  });

  test("a name that is the beginning of another is not mistaken for it", () => {
    expect(changes(TEXT, replaceConstants("sample", TEXT, { WIDTH_OUT: 8 }))).toEqual([
      ["const WIDTH_OUT: u32 = 4u;", "const WIDTH_OUT: u32 = 8u;"],
    ]);
  });

  test("two f32 values that differ in the last bit give two texts that read back exactly", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const line = /const EPSILON: f32 = f32\(([^)]*)\);/.exec(replaceConstants("sample", TEXT, { EPSILON: value }));
        expect(Number(line?.[1]) === value).toBe(true);
      }),
    );
  });

  test.each([
    ["an unknown name", { HEIGHT: 1 }],
    ["a name outside the block", { WIDTH_AFTER: 1 }],
    ["a negative u32", { WIDTH: -1 }],
    ["a fraction", { SHIFT: 0.5 }],
    ["no number", { EPSILON: Number.NaN }],
    ["infinity", { EPSILON: Infinity }],
    ["a number for a bool", { HAS_BIAS: 1 }],
    ["a bool for a number", { WIDTH: true }],
  ])("refuses %s", (_, constants) => {
    const kind = { code: "COMPILE", where: "kernels/sample.wgsl" };
    expect(() => replaceConstants("sample", TEXT, constants)).toThrow(expect.objectContaining(kind) as Error);
  });

  test("refuses a kernel without a block", () => {
    expect(() => replaceConstants("bare", "fn main() {}", {})).toThrow(/bare has no parameter block/);
  });
});

describe("specialize", () => {
  test("appends the default of every library, or the alternative that is asked for", () => {
    expect(specialize(texts, "sample").code).toBe([TEXT, "// a", "// tail"].join("\n"));
    expect(specialize(texts, "sample", {}, ["unit-b"]).code).toBe([TEXT, "// b", "// tail"].join("\n"));
  });

  test("refuses a kernel, or a library, that is not there or not asked for by the header", () => {
    expect(() => specialize(texts, "none")).toThrow(/no kernel none/);
    expect(() => specialize(texts, "sample", {}, ["segments"])).toThrow(/does not take the library segments/);
    expect(() => specialize({ ...texts, libs: {} }, "sample")).toThrow(/names a library unit-a/);
  });

  test("reads bindings in the order of their numbers, and the uniform's fields", () => {
    const { label, bindings, uniform } = specialize(texts, "sample");
    expect(label).toBe("sample");
    expect(bindings).toEqual([
      { binding: 0, name: "x", kind: "read-only-storage" },
      { binding: 1, name: "y", kind: "storage" },
      { binding: 2, name: "params", kind: "uniform" },
    ]);
    expect(uniform.map(({ name, type }) => `${name}: ${type}`)).toEqual(["rows: u32", "offset: i32", "scale: f32"]);
  });

  test("refuses a uniform of anything but scalars", () => {
    expect(() => uniformOf("sample", "struct Params { size: vec2<u32> }")).toThrow(/something other than scalars/);
  });
});

describe("the kernels of this repository", () => {
  test.each(Object.keys(kernels))("%s states its parameters, bindings and libraries", (stem) => {
    const text = kernels[stem] as string;
    expect(replaceConstants(stem, text, {})).toBe(text);
    const block = text
      .slice(text.indexOf("// --- parameters"), text.indexOf("// --- end parameters"))
      .split("\n")
      .slice(1, -1);
    const strange = block.filter(
      (line) => !/^(\s*\/\/.*|const [A-Z0-9_]+: (u32|i32|f32|bool) = [^;]+;( \/\/.*)?)?$/.test(line),
    );
    expect(strange).toEqual([]);
    // Reads come first, then writes, the uniform last; numbers are dense. Outputs that may be left out stand in libraries.
    const bindings = [...specialize({ kernels, libs }, stem).bindings].sort((a, b) => a.binding - b.binding);
    expect(bindings.map(({ binding }) => binding)).toEqual(bindings.map((_, i) => i));
    const own = bindingsOf(text).map(({ binding }) => binding);
    expect(own).toEqual([...own].sort((a, b) => a - b));
    const rank = { "read-only-storage": 0, storage: 1, uniform: 2 };
    const ranks = bindings.map(({ kind }) => rank[kind]);
    expect(ranks).toEqual([...ranks].sort());
    expect(text).toContain("fn main(");
    for (const name of librariesOf(text).flat()) expect(libs[name], name).toBeDefined();
  });
});
