/** @file Strict JSON: what is refused, with which position, and agreement with JSON.parse on the rest. */

import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { EngineError } from "../../src/errors.ts";
import { parseJson, readJsonObject } from "../../src/formats/json.ts";
import { expectError } from "./expect-error.ts";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function attempt(action: () => unknown): { value: unknown } | { message: string } {
  try {
    return { value: action() };
  } catch (error) {
    if (error instanceof EngineError || error instanceof SyntaxError) return { message: error.message };
    throw error;
  }
}

describe("parseJson", () => {
  it("agrees with JSON.parse on every JSON value", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        expect(parseJson(text, "x")).toEqual(JSON.parse(text));
      }),
      { numRuns: 1000 },
    );
  });

  it("accepts and refuses the same edited texts as JSON.parse, except where it is stricter on purpose", () => {
    const letters = fc.constantFrom(...'{}[],:"\\u0e+-.1 \ttrunal\u0001é');
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.nat(), letters, fc.nat(2), (text, place, letter, kind) => {
        const at = place % (text.length + 1);
        const edited = text.slice(0, at) + (kind === 0 ? "" : letter) + text.slice(at + (kind === 2 ? 0 : 1));
        const expected = attempt(() => JSON.parse(edited) as unknown);
        const actual = attempt(() => parseJson(edited, "x"));
        if ("value" in actual) expect(actual).toEqual(expected);
        else {
          expect(actual.message).toMatch(/^x: JSON line \d+, column \d+: /);
          if ("value" in expected) expect(actual.message).toMatch(/a second time|out of range/);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['{"a": 1,\n "b": NaN}', /line 2, column 7/],
    ["[Infinity]", /line 1, column 2/],
    ["[-Infinity]", /line 1, column 2/],
    ["[1e999]", /out of range/],
    ['{"a": 1, "b": 2, "a": 3}', /line 1, column 18: the key "a" stands here a second time/],
    ['{"a": 1, "\\u0061": 3}', /second time/],
    ['{"a": 1,}', /key in double quotes/],
    ["{} {}", /after the end/],
    ["", /the text ends here/],
    ["[01]", /"," or "\]"/],
    ['"\\x"', /unknown escape/],
    ['"\\u12g4"', /four hexadecimal/],
    ['"abc', /no end/],
  ])("refuses %#: %s", (text, message) => {
    expectError(() => parseJson(text, "file.json"), "BAD_FILE", message);
  });

  it("refuses nesting that would exhaust the stack", () => {
    expectError(() => parseJson("[".repeat(1e6), "x"), "BAD_FILE", /nested deeper/);
  });

  it("keeps a key called __proto__ as data", () => {
    const value = parseJson('{"__proto__": {"polluted": 1}}', "x") as Record<string, unknown>;
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });
});

describe("readJsonObject", () => {
  it("reads an object and refuses other roots and bytes that are not UTF-8", () => {
    expect(readJsonObject(encode('{"hidden_size": 768}'), "config.json")).toEqual({ hidden_size: 768 });
    expectError(() => readJsonObject(encode("[1]"), "config.json"), "BAD_FILE", /root must be a JSON object/);
    expectError(() => readJsonObject(Uint8Array.of(0x7b, 0xff, 0x7d), "config.json"), "BAD_FILE", /not UTF-8/);
  });
});
