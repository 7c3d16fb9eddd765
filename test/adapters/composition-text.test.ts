/** @file Compositions as text and as setup trees: both ways, with positions in errors, and the trees of real files. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { average, batchSplit, fuse, none, parallel, split, stack } from "../../src/adapters/composition.ts";
import type { Composition } from "../../src/adapters/composition.ts";
import { checkComposition } from "../../src/adapters/composition-check.ts";
import { compositionFromJson, compositionToJson } from "../../src/adapters/composition-json.ts";
import { formatComposition, parseComposition } from "../../src/adapters/composition-text.ts";
import { dataPath, missing } from "../data.ts";
import { anyComposition } from "./composition-arbitrary.ts";

const known: readonly [string, Composition][] = [
  ["none", none],
  ["a", { kind: "adapter", name: "a" }],
  ['"none"', { kind: "adapter", name: "none" }],
  ["fuse", { kind: "adapter", name: "fuse" }],
  ["fuse(a,b,stack(c,d))", fuse("a", "b", stack("c", "d"))],
  ['fuse(a,b;"x y")', fuse("a", "b", { name: "x y" })],
  ["split(a,b;3,5)", split("a", "b", { splits: [3, 5] })],
  ["batchSplit(a,none;1,3)", batchSplit("a", null, { batchSizes: [1, 3] })],
  ["average(a,b;0.5,0.5)", average("a", "b")],
  ["average(a,b;1e-7,-3)", average("a", "b", { weights: [1e-7, -3], normalize: false })],
  ["parallel(sentiment/sst-2@ukp,3)", parallel("sentiment/sst-2@ukp", "3")],
  ['stack("a,b","(")', stack("a,b", "(")],
  ["stack()", stack()],
];

describe("text", () => {
  test.each(known)("%s", (text, composition) => {
    expect(formatComposition(composition)).toBe(text);
    expect(parseComposition(text)).toEqual(composition);
  });

  test.each<[string, Composition]>([
    ["  fuse ( a , 'b c' ,\n stack( c,d ) ) ", fuse("a", "b c", stack("c", "d"))],
    ["batch_split(a, b; 1, 3)", batchSplit("a", "b", { batchSizes: [1, 3] })],
    ["BatchSplit(a,b;1,3)", batchSplit("a", "b", { batchSizes: [1, 3] })],
    ["average(a,b,c,d)", average("a", "b", "c", "d")],
    ["average(a,b;+1.,.5E1)", average("a", "b", { weights: [1, 5], normalize: false })],
    ['"a\\u0020b"', { kind: "adapter", name: "a b" }],
  ])("%s is read as well", (text, composition) => expect(parseComposition(text)).toEqual(composition));

  test("what is written is read back as the same data", () => {
    fc.assert(
      fc.property(anyComposition(), (tree) => {
        expect(parseComposition(formatComposition(tree))).toEqual(tree);
      }),
      { numRuns: 500, seed: 11 },
    );
  });

  test.each<[string, number, RegExp]>([
    ["", 1, /an adapter name.*found the end/],
    ["fuse(a,,b)", 8, /an adapter name, a composition or none.*found ",b\)"/],
    ["fuse(a,b", 9, /"," or ";" or "\)".*found the end/],
    ["fuse(a,b))", 10, /the end/],
    ["mix(a,b)", 1, /one of stack, fuse, split/],
    ["constructor(a)", 1, /one of stack/],
    ["split(a,b)", 10, /";" and the lengths/],
    ["split(a,b;3,x)", 13, /a number/],
    ["split(a;3;4)", 10, /expected "\)"/],
    ["stack(a;3)", 8, /expected "," or "\)"/],
    ["split(a;3,4", 12, /expected "\)".*found the end/],
    ["a b", 3, /the end/],
    ['""', 1, /a name between the quotes/],
    ['stack("\\x")', 7, /escapes of JSON/],
    ['stack("open', 7, /an adapter name/],
  ])("%s is refused with the place", (text, place, message) => {
    const refused = expect.objectContaining({
      code: "BAD_CONFIG",
      where: `character ${place}`,
      message: expect.stringMatching(message) as string,
    }) as Error;
    expect(() => parseComposition(text)).toThrow(refused);
  });

  test("text that nests without end is refused", () => {
    expect(() => parseComposition("stack(".repeat(1e5))).toThrow(/fewer brackets/);
  });
});

describe("setup trees", () => {
  const single = (name: string): object => ({ type: "single", children: [name] });

  test("are those of the library", () => {
    expect(compositionToJson(stack("a", split("b", "c", { splits: [3, 5] })))).toEqual({
      type: "Stack",
      children: [single("a"), { type: "Split", children: [single("b"), single("c")], kwargs: { splits: [3, 5] } }],
    });
    expect(compositionToJson(batchSplit("a", "b", { batchSizes: [1, 3] }))).toMatchObject({
      type: "BatchSplit",
      kwargs: { batch_sizes: [1, 3] },
    });
    expect(compositionToJson(average("a", "b"))).toMatchObject({ type: "Average", kwargs: { weights: [0.5, 0.5] } });
    expect(compositionToJson(fuse("a", "b"))).not.toHaveProperty("kwargs");
  });

  test("what is written is read back as the same data, through JSON text", () => {
    fc.assert(
      fc.property(anyComposition(), (tree) => {
        expect(compositionFromJson(JSON.parse(JSON.stringify(compositionToJson(tree))))).toEqual(tree);
      }),
      { numRuns: 500, seed: 13 },
    );
  });

  test("one number for all children, weights left out, null for nothing", () => {
    const ab = [single("a"), single("b")];
    expect(compositionFromJson({ type: "Split", children: ab, kwargs: { splits: 4 } })).toEqual(
      split("a", "b", { splits: 4 }),
    );
    expect(compositionFromJson({ type: "Average", children: ab, kwargs: null })).toEqual(average("a", "b"));
    expect(compositionFromJson(null)).toEqual(none);
  });

  test.each<[string, unknown, RegExp]>([
    ["a number", 3, /setup is 3/],
    ["no children", { type: "Stack" }, /expected \{ type, children \}/],
    ["an unknown block", { type: "MultiTask", children: [] }, /type "MultiTask", expected single, Stack/],
    ["a name of Object", { type: "constructor", children: [] }, /type "constructor"/],
    ["two names in a leaf", { type: "single", children: ["a", "b"] }, /expected one name/],
    ["a block in a leaf", { type: "single", children: [single("a")] }, /expected one name/],
    ["a split without lengths", { type: "Split", children: ["a"] }, /Split needs splits/],
    ["an unknown setting", { type: "Stack", children: ["a"], kwargs: { n: 1 } }, /\(Stack\) has the setting n/],
    [
      "a bad grandchild",
      { type: "Stack", children: ["a", { type: "Fuse", children: [7] }] },
      /children\.1\.children\.0 is 7/,
    ],
  ])("%s is refused", (_, tree, message) => {
    const refused = expect.objectContaining({ code: "BAD_CONFIG", message: expect.stringMatching(message) as string });
    expect(() => compositionFromJson(tree)).toThrow(refused as Error);
  });

  test("a tree that nests without end is refused", () => {
    let tree: unknown = "a";
    for (let i = 0; i < 1e5; i += 1) tree = { type: "Stack", children: [tree] };
    expect(() => compositionFromJson(tree)).toThrow(/nested too deep/);
  });
});

describe.skipIf(missing("adapters-golden"))("setups that the library saved", () => {
  const cases = ["bert", "gpt2"].flatMap((host) => {
    const folder = dataPath(`adapters-golden/${host}/cases`);
    return existsSync(folder) ? readdirSync(folder).map((name) => `${folder}/${name}/case.json`) : [];
  });

  test("are read, allowed, and written back as they were", () => {
    let blocks = 0;
    for (const file of cases) {
      const { active } = JSON.parse(readFileSync(file, "utf8")) as { active: unknown };
      const composition = checkComposition(compositionFromJson(active));
      blocks += active === null ? 0 : 1;
      if (active !== null) expect(compositionToJson(composition), file).toEqual(active);
      expect(parseComposition(formatComposition(composition)), file).toEqual(composition);
    }
    expect(blocks).toBeGreaterThan(40);
  });
});
