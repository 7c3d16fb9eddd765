/** @file The table reader on RFC 4180, on tab-separated text, and on tables that are wrong. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseTable } from "../../src/inputs/csv.ts";

describe("parseTable", () => {
  it("reads quoted fields, doubled marks and line ends inside them", () => {
    const table = parseTable('\uFEFFid,text\r\n1,"a, ""b""\r\nc"\r\n\r\n2, d"e \r\n3,""');
    expect(table.columns).toEqual(["id", "text"]);
    expect(table.column("text")).toEqual(['a, "b"\r\nc', ' d"e ', ""]);
    expect(table.lines).toEqual([2, 5, 6]);
  });

  it("takes quotation marks in tab-separated text as they are, unless told otherwise", () => {
    const text = 'label\ttext\n1\t"Yes" and, no\n2\t"open\n';
    expect(parseTable(text).column("text")).toEqual(['"Yes" and, no', '"open']);
    expect(parseTable('a\tb\n"x\ty"\tz', { quotes: true }).rows).toEqual([["x\ty", "z"]]);
    expect(parseTable("a\tb,c\n1\t2,3", { delimiter: "," }).columns).toEqual(["a\tb", "c"]);
  });

  it("reads the unnamed index column that pandas writes", () => {
    expect(parseTable(",rxn\n16397,C>>C\n").column("rxn")).toEqual(["C>>C"]);
  });

  it("names the line of what is wrong", () => {
    const bad: [string, RegExp][] = [
      ['a,b\n"1\n\n",2\n3\n', /^line 5: 1 fields under 2 columns/],
      ['a\nx\n"open\nmore', /^line 3: a quoted field is never closed/],
      ['a,b\n"x"y,2', /^line 2: text follows/],
      ["\n\r\n", /^line 1: there is no header/],
      ["", /no header/],
    ];
    for (const [text, message] of bad) {
      expect(() => parseTable(text, { where: "t.csv" })).toThrow(message);
      expect(() => parseTable(text)).toThrow(expect.objectContaining({ code: "BAD_FILE" }));
    }
    expect(() => parseTable("a,b\n1,2").column("c")).toThrow(
      expect.objectContaining({ code: "UNKNOWN_NAME", fix: 'Name one of "a", "b".' }),
    );
    expect(() => parseTable("a,a\n1,2").column("a")).toThrow(/twice/);
  });

  it("gives back any table that is written by the rules", () => {
    const cell = fc.string({ unit: fc.constantFrom('"', ",", "\n", "\r", "a", " ", "\t", "é") });
    const table = fc
      .integer({ min: 1, max: 4 })
      .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width })));
    fc.assert(
      fc.property(table, fc.constantFrom("\n", "\r\n"), (rows, end) => {
        const width = rows[0]?.length ?? 1;
        const header = Array.from({ length: width }, (_, i) => `c${i}`);
        const text = [header, ...rows]
          .map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(","))
          .join(end);
        const read = parseTable(text, { delimiter: "," });
        expect(read.rows).toEqual(rows);
        read.lines.forEach((line, i) => {
          const before = text.split("\n").length;
          expect(line).toBeLessThanOrEqual(before);
          expect(line).toBeGreaterThan(read.lines[i - 1] ?? 1);
        });
      }),
      { numRuns: 500 },
    );
  });
});
