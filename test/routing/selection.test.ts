/** @file Names of selections say what fills them; k is ceil(n / r) exactly; blocks cover a sequence. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  blockLengths,
  blockTable,
  blocksOf,
  ruleCount,
  selectedCount,
  selectionDim,
  selectionOf,
  selectionTable,
} from "../../src/routing/selection.ts";
import type { SelectionRule, SelectionTable } from "../../src/routing/selection.ts";

const reduction = fc.oneof(
  fc.constantFrom(1, 1.5, 3, 8, 1e21, 1.7976931348623157e308, 2 ** 53, 1 + 2 ** -52),
  fc.double({ min: 1, max: 1e30, noNaN: true }),
);
const block = fc.oneof(fc.constantFrom(1, 4096, 1e21, 1e300), fc.integer({ min: 1, max: 2 ** 31 }));
const layer = fc.nat(200);
const rule: fc.Arbitrary<SelectionRule> = fc.oneof(
  fc.record({ kind: fc.constant("reduced" as const), reduction, block: fc.option(block) }),
  fc.record({ kind: fc.constant("given" as const), layer }),
  fc.record({ kind: fc.constant("counted" as const), reduction, layer }),
);
const prefix = fc.constantFrom("", "prompted.", "copies.", "prompted.copies.");
const table = fc.constantFrom<SelectionTable>("segments", "cuts", "rows", "positions");

describe("names", () => {
  test("say the stage, the rule and the table", () => {
    fc.assert(
      fc.property(prefix, rule, table, (stage, of, what) => {
        const name = { prefix: stage, rule: of };
        expect(selectionOf(selectionTable(name, what))).toEqual({ ...name, table: what });
        expect(selectionOf(selectionDim(name).symbol)).toEqual({ ...name, table: null });
        expect(blocksOf(selectionTable(name, what))).toBeNull();
      }),
    );
  });

  test("of blocks say the stage, the size and the table", () => {
    fc.assert(
      fc.property(prefix, block, fc.constantFrom("segments", "keys", "offsets", "count"), (stage, size, what) => {
        const name = blockTable(stage, size, what as "segments");
        expect(blocksOf(name)).toEqual({ prefix: stage, block: size, table: what });
        expect(selectionOf(name)).toBeNull();
      }),
    );
  });

  test.each([
    "rows",
    "segments",
    "copies.segments",
    "sequence-keys",
    "ids",
    "layers.0.output",
    "probabilities selected.2.segments segments",
  ])("%s is about something else", (name) => {
    expect(selectionOf(name)).toBeNull();
    expect(blocksOf(name)).toBeNull();
  });
});

describe("k", () => {
  test("is ceil(n / r) for every fraction r, in whole numbers", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2_000_000 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 400 }),
        (n, a, b) => {
          const [p, q] = a >= b ? [a, b] : [b, a];
          const exact = Number((BigInt(n) * BigInt(q) + BigInt(p) - 1n) / BigInt(p));
          expect(selectedCount(n, p / q)).toBe(exact);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test("is at least one row of a sequence, and never more than it has", () => {
    fc.assert(
      fc.property(fc.nat(100_000), reduction, (n, r) => {
        const k = selectedCount(n, r);
        expect(Object.is(k, Math.min(n, Math.max(1, k)))).toBe(true);
        if (r >= n && n > 0) expect(k).toBe(1);
        if (r === 1) expect(k).toBe(n);
      }),
    );
  });

  test("of blocks is the sum over blocks that cover the sequence, all full but the last", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 6000 }),
        fc.double({ min: 1, max: 50, noNaN: true }),
        (n, size, r) => {
          const lengths = blockLengths(n, size);
          expect(lengths.reduce((a, b) => a + b, 0)).toBe(n);
          expect(lengths.slice(0, -1).every((length) => length === size)).toBe(true);
          const last = lengths.at(-1) as number;
          expect(last >= 1 && last <= size).toBe(true);
          const total = lengths.reduce((sum, length) => sum + selectedCount(length, r), 0);
          expect(ruleCount({ kind: "reduced", reduction: r, block: size }, n)).toBe(total);
          if (size >= n) expect(total).toBe(selectedCount(n, r));
        },
      ),
    );
    expect(ruleCount({ kind: "given", layer: 3 }, 9)).toBeNull();
    expect(ruleCount({ kind: "counted", reduction: 2, layer: 3 }, 9)).toBe(5);
  });
});
