/** @file Compositions: constructors, the nesting table against a second copy of it, and the questions asked of a tree. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  asComposition,
  average,
  batchSplit,
  fuse,
  fusionName,
  lastName,
  leavesOf,
  none,
  normalise,
  parallel,
  split,
  stack,
} from "../../src/adapters/composition.ts";
import type { Composition, CompositionInput } from "../../src/adapters/composition.ts";
import { checkComposition } from "../../src/adapters/composition-check.ts";
import { EngineError } from "../../src/errors.ts";
import { anyComposition } from "./composition-arbitrary.ts";

function refusal(act: () => unknown): EngineError {
  try {
    act();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("constructors", () => {
  test("make plain frozen data", () => {
    const built = stack("a", null, split("b", fuse("c", "d"), { splits: [3, 5] }));
    expect(built).toEqual({
      kind: "stack",
      children: [
        { kind: "adapter", name: "a" },
        { kind: "none" },
        {
          kind: "split",
          children: [
            { kind: "adapter", name: "b" },
            {
              kind: "fuse",
              children: [
                { kind: "adapter", name: "c" },
                { kind: "adapter", name: "d" },
              ],
            },
          ],
          splits: [3, 5],
        },
      ],
    });
    const frozen = (c: Composition): boolean =>
      Object.isFrozen(c) && (!("children" in c) || (Object.isFrozen(c.children) && c.children.every(frozen)));
    expect(frozen(built)).toBe(true);
    expect(JSON.parse(JSON.stringify(built))).toEqual(built);
  });

  test("one number stands for every child, in both spellings", () => {
    expect(split("a", "b", { splits: 4 })).toEqual(split("a", "b", { splits: [4, 4] }));
    expect(batchSplit("a", "b", { batch_sizes: [1, 3] })).toEqual(batchSplit("a", "b", { batchSizes: [1, 3] }));
    expect(batchSplit("a", "b", { batchSizes: 2 })).toEqual(batchSplit("a", "b", { batchSizes: [2, 2] }));
  });

  test("weights are 1/N, normalised, or as they stand", () => {
    expect(average("a", "b")).toMatchObject({ weights: [0.5, 0.5] });
    expect(average("a", "b", { weights: [1, 3] })).toMatchObject({ weights: [0.25, 0.75] });
    expect(average("a", "b", { weights: [1, 3], normalize: false })).toMatchObject({ weights: [1, 3] });
    expect(average("a", "b", { weights: [1, -1], normalize: false })).toMatchObject({ weights: [1, -1] });
    expect(refusal(() => average("a", "b", { weights: [1, -1] })).message).toMatch(/1, -1 sum to 0/);
  });

  test.each<[string, () => unknown, RegExp]>([
    ["split without lengths", () => split("a", "b"), /split needs splits, found nothing/],
    ["batchSplit with a text", () => batchSplit("a", { batchSizes: "2" } as never), /batchSizes, found "2"/],
    ["an empty name", () => stack(""), /name is empty/],
    ["a number as a child", () => stack(3 as never), /found 3/],
    ["nothing as a child", () => stack(undefined as never), /found nothing/],
    ["a list as a child", () => stack(["a", "b"] as never), /found \["a","b"\]/],
    ["an empty fusion name", () => fuse("a", "b", { name: "" }), /name of a fusion is empty/],
  ])("%s is refused", (_, act, message) => {
    const error = refusal(act);
    expect(error.code).toBe("BAD_CONFIG");
    expect(error.message).toMatch(message);
  });
});

/** MATHS §2.5, in the words of that section. */
const TABLE = `Stack ⊃ {Fuse, Split, Parallel, BatchSplit, Average}; Fuse ⊃ {Stack}; Split ⊃ {Split, Stack, BatchSplit, Average};
Parallel ⊃ {Stack, BatchSplit, Average}; BatchSplit ⊃ {Stack, Split, BatchSplit, Average}; Average ⊃ {Stack, Split, BatchSplit}`;

const pairs = new Set(
  TABLE.split(";").flatMap((part) => {
    const [parent = "", children = ""] = part.split("⊃");
    return (children.match(/\w+/g) ?? []).map((child) => `${parent.trim()} ${child}`.toLowerCase());
  }),
);

const blocks: Readonly<Record<string, (...children: CompositionInput[]) => Composition>> = {
  stack,
  fuse,
  parallel,
  average,
  split: (...children) => split(...children, { splits: 2 }),
  batchSplit: (...children) => batchSplit(...children, { batchSizes: 1 }),
};
const kinds = Object.keys(blocks);

/** A block of a kind around children, with a plain adapter before them, so that every kind has enough. */
function around(kind: string, ...children: CompositionInput[]): Composition {
  return (blocks[kind] as (typeof blocks)[string])("first", ...children);
}

describe("nesting", () => {
  test.each(kinds.flatMap((parent) => kinds.map((child) => [parent, child] as const)))("%s of %s", (parent, child) => {
    const tree = around(parent, around(child, "x"));
    if (pairs.has(`${parent} ${child}`.toLowerCase())) {
      expect(checkComposition(tree)).toBe(tree);
      return;
    }
    const error = refusal(() => checkComposition(tree));
    expect(error.code).toBe("BAD_CONFIG");
    expect(error.message).toContain(`${parent} cannot hold ${child} (${child}(first,x`);
    expect(error.message).toMatch(/it may hold adapters, \w+/);
  });

  test("below the first level of blocks only stacks and adapters stand", () => {
    expect(checkComposition(stack(split("a", stack("b", "c"), { splits: 2 })))).toBeDefined();
    const deep = stack(split("a", average("b", "c"), { splits: 2 }));
    expect(refusal(() => checkComposition(deep)).message).toMatch(/^average\(b,c;0\.5,0\.5\) stands too deep/);
    // At the root the same split holds the same average.
    expect(checkComposition(split("a", average("b", "c"), { splits: 2 }))).toBeDefined();
  });

  test("none stands where an adapter may, but not inside a fusion", () => {
    expect(checkComposition(none)).toBe(none);
    for (const kind of kinds.filter((name) => name !== "fuse"))
      expect(checkComposition(around(kind, null))).toBeDefined();
    expect(refusal(() => checkComposition(fuse("a", "b", null))).message).toContain("fuse(a,b,none): a fusion cannot");
    expect(refusal(() => checkComposition(stack(fuse("a", stack("b", null))))).message).toContain("cannot hold none");
  });

  test("a tree passes exactly when every edge and level of it is allowed", () => {
    const allowed = (c: Composition, level: number, fused: boolean): boolean => {
      if (c.kind === "adapter") return true;
      if (c.kind === "none") return !fused;
      if (level > 1 && c.kind !== "stack") return false;
      if (c.children.length < (c.kind === "fuse" ? 2 : 1)) return false;
      const inside = fused || c.kind === "fuse";
      const edges = c.children.every(
        (child) => !("children" in child) || pairs.has(`${c.kind} ${child.kind}`.toLowerCase()),
      );
      const last = c.children.map(lastName);
      const distinct = c.kind !== "fuse" || new Set(last).size === last.length;
      return edges && distinct && c.children.every((child) => allowed(child, level + 1, inside));
    };
    let passed = 0;
    fc.assert(
      fc.property(anyComposition({ counted: true }), (tree) => {
        let ok = true;
        try {
          checkComposition(tree);
        } catch (error) {
          expect((error as EngineError).code).toBe("BAD_CONFIG");
          ok = false;
        }
        passed += ok ? 1 : 0;
        expect(ok).toBe(allowed(tree, 0, false));
      }),
      { numRuns: 500, seed: 7 },
    );
    expect(passed).toBeGreaterThan(50);
  });
});

describe("counts", () => {
  test.each<[string, Composition, RegExp]>([
    ["no children", stack(), /stack\(\): stack has 0 children, expected at least 1/],
    ["a fusion of one", fuse("a"), /fuse has 1 children, expected at least 2/],
    ["too few lengths", split("a", "b", { splits: [8] }), /1 splits for 2 children/],
    ["too many sizes", batchSplit("a", { batchSizes: [1, 2] }), /2 batchSizes for 1 children/],
    ["a weight missing", average("a", "b", { weights: [1] }), /1 weights for 2 children/],
    ["a negative length", split("a", "b", { splits: [9, -1] }), /splits holds -1, expected whole numbers/],
    ["half a sequence", batchSplit("a", "b", { batchSizes: [0.5, 0.5] }), /batchSizes holds 0.5/],
    ["a weight that is no number", average("a", "b", { weights: [Number.NaN, 1] }), /weights holds NaN/],
    ["an infinite weight", average("a", { weights: [Infinity], normalize: false }), /holds Infinity, expected finite/],
    ["twins in a fusion", fuse("a", stack("b", "a")), /two children of the fusion end in a/],
    ["an unknown kind", { kind: "mix", children: [] } as never, /kind "mix", expected adapter, none, stack/],
    ["an unknown kind inside", stack({ kind: "mix", children: [] } as never), /a block of kind "mix"/],
    ["names for compositions", { kind: "stack", children: ["a"] } as never, /not as stack\(\.\.\.\) makes it/],
    ["a split without lengths", { kind: "split", children: [] } as never, /not as split/],
    ["an adapter without a name", { kind: "adapter" } as never, /name is nothing/],
  ])("%s", (_, tree, message) => {
    const error = refusal(() => checkComposition(tree));
    expect(error.code).toBe("BAD_CONFIG");
    expect(error.message).toMatch(message);
  });

  test("what fits passes", () => {
    checkComposition(split("a", "b", { splits: [0, 8] }));
    checkComposition(average("a", { weights: [-2.5], normalize: false }));
    checkComposition(fuse("a", stack("a", "b")));
  });
});

describe("questions", () => {
  test("names in order, the last of them, the name of a fusion", () => {
    const tree = stack("a", fuse("b", stack("c", "a")), null);
    expect(leavesOf(tree)).toEqual(["a", "b", "c", "a"]);
    expect(lastName(tree)).toBe("a");
    expect(leavesOf(none)).toEqual([]);
    expect(lastName(parallel(null, null))).toBeNull();
    expect(fusionName(fuse("b", stack("c", "a")) as never)).toBe("b,a");
    expect(fusionName(fuse("b", "c", { name: "mine" }) as never)).toBe("mine");
  });

  test("normalise: a name is a stack, a nested stack of one is what it holds", () => {
    expect(normalise(asComposition("a"))).toEqual(stack("a"));
    expect(normalise(asComposition(null))).toEqual(none);
    expect(normalise(stack("a"))).toEqual(stack("a"));
    expect(normalise(stack(stack(stack("a"))))).toEqual(stack("a"));
    expect(normalise(fuse(stack("a"), stack("b", "c")))).toEqual(fuse("a", stack("b", "c")));
    expect(normalise(split(stack("a"), stack(null), { splits: [1, 2] }))).toEqual(split("a", null, { splits: [1, 2] }));
    expect(normalise(stack(fuse("a", "b")))).toEqual(stack(fuse("a", "b")));
  });

  test("normalise changes no name, and nothing the second time", () => {
    fc.assert(
      fc.property(anyComposition(), (tree) => {
        const once = normalise(tree);
        expect(leavesOf(once)).toEqual(leavesOf(tree));
        expect(normalise(once)).toEqual(once);
      }),
      { seed: 3 },
    );
  });
});
