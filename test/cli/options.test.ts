/** @file Options of the command line: what is read, and what is refused in one sentence. */

import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { listOf, oneOf, readOptions, wholeNumber } from "../../src/cli/options.ts";
import { parseRoute, routeLine, routeRecord } from "../../src/cli/route-option.ts";

function failure(action: () => unknown): EngineError {
  try {
    action();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

const names = {
  command: "demo",
  values: ["model", "json"],
  flags: ["quick"],
  positionals: { most: 1, what: "folder" },
} as const;

describe("readOptions", () => {
  test("reads values, switches and arguments", () => {
    const { values, flags, positionals } = readOptions(["--model", "a", "here", "--json=-", "--quick"], names);
    expect(values).toEqual({ model: "a", json: "-" });
    expect(flags).toEqual({ quick: true });
    expect(positionals).toEqual(["here"]);
    expect(readOptions([], names)).toEqual({
      values: { model: undefined, json: undefined },
      flags: { quick: false },
      lists: {},
      positionals: [],
    });
  });

  test("a list may stand there several times, and keeps its order", () => {
    const more = { ...names, lists: ["adapter"] } as const;
    expect(readOptions(["--adapter", "b=1", "--quick", "--adapter=a=2"], more).lists).toEqual({
      adapter: ["b=1", "a=2"],
    });
    expect(readOptions([], more).lists).toEqual({ adapter: [] });
    expect(failure(() => readOptions(["--adapter"], more)).code).toBe("BAD_INPUT");
  });

  test.each([
    [["--colour"], /unknown option '--colour'/],
    [["--model"], /--model/],
    [["--quick=yes"], /--quick/],
    [["--model", "a", "--model", "b"], /--model stands there twice/],
    [["here", "there"], /"there" is one folder too many/],
  ])("refuses %j", (args, message) => {
    const error = failure(() => readOptions(args, names));
    expect(error.code).toBe("BAD_INPUT");
    expect(error.message).toMatch(message);
    expect(error.message).not.toMatch(/\n|\. /);
    expect(error.fix).toContain("demo --help");
  });
});

test.each(["0", "-1", "1.5", "x", "", "1e3", "99999999999999999999"])("wholeNumber refuses %j", (text) => {
  expect(failure(() => wholeNumber("demo", "limit", text)).message).toContain("--limit");
});

test("words and lists", () => {
  expect(wholeNumber("demo", "limit", "64")).toBe(64);
  expect(oneOf("demo", "precision", undefined, ["f32", "f16"])).toBe("f32");
  expect(failure(() => oneOf("demo", "precision", "f64", ["f32", "f16"])).message).toContain("f32, f16");
  expect(listOf(" a, b,,")).toEqual(["a", "b"]);
});

describe("--route", () => {
  test("names a router, its setting, a part and blocks", () => {
    const policy = parseRoute("r=2,router=threshold,threshold=0.5,part=attention");
    expect(routeRecord(policy)).toMatchObject({ router: "threshold", threshold: 0.5, part: "attention" });
    expect(routeLine(policy)).toContain("attention only, threshold router");
    const keys = parseRoute("router=separate,r=4,keyReduction=2");
    expect(routeRecord(keys)).toMatchObject({ router: "separate", keyReduction: 2, weighKeys: true });
    expect(routeRecord(parseRoute("router=separate,r=4,weighKeys=false"))).toMatchObject({ weighKeys: false });
    expect(routeRecord(parseRoute("r=2,router=random,seed=9,block=64"))).toMatchObject({ seed: 9, block: 64 });
    expect(routeLine(parseRoute("r=2,router=norm"))).not.toContain("not trained");
  });

  test.each([
    ["r=2,threshold=1", /threshold is 1, expected nothing: it is a setting of the router threshold/],
    [
      "r=2,router=norm,keyReduction=2",
      /keyReduction is 2, expected nothing: it is a setting of the router separate, not of norm/,
    ],
    ["r=2,router=threshold,threshold=1,threshold=2", /threshold stands there twice/],
    ["r=2,router=separate,weighKeys=1", /weighKeys is "1", expected true or false/],
    ["r=2,router=best", /there is no router "best"; known: learned/],
    ["r=2,part=norm", /part is "norm", expected layer or attention or ffn/],
    ["r=2,block=0", /block is 0/],
    ["r=0.5", /reduction is 0.5, expected a number of at least 1/],
  ])("refuses %s", (text, message) => {
    expect(() => parseRoute(text)).toThrow(message);
  });

  test("reads every field", () => {
    const policy = parseRoute("r=3,attention=k-to-all,softTopK=exact,epsilon=0.05,lambda=1,seed=7,adapter=task");
    expect(policy).toMatchObject({
      reduction: 3,
      attention: "k-to-all",
      softTopK: "exact",
      epsilon: 0.05,
      lambda: 1,
      seed: 7,
      adapter: "task",
    });
    expect(routeRecord(policy)).toMatchObject({
      reduction: 3,
      softTopK: "exact",
      lambda: 1,
      adapter: "task",
      trained: false,
    });
    expect(routeRecord(policy)).not.toHaveProperty("iterations");
    expect(routeLine(policy)).toContain("routers are random (seed 7)");
  });

  test("reads one factor per layer, and null for dense", () => {
    expect(parseRoute("r=1/2/null/3").reduction).toEqual([1, 2, null, 3]);
    expect(parseRoute("r=null").reduction).toEqual([null]);
  });

  test.each([
    ["r", "BAD_CONFIG"],
    ["", "BAD_CONFIG"],
    ["attention=k-to-all", "BAD_CONFIG"],
    ["r=0.5", "BAD_CONFIG"],
    ["r=", "BAD_CONFIG"],
    ["r=a", "BAD_CONFIG"],
    ["r=2/", "BAD_CONFIG"],
    ["r=2,r=3", "BAD_CONFIG"],
    ["r=2,reduction=3", "BAD_CONFIG"],
    ["r=2,attention=all", "BAD_CONFIG"],
    ["r=2,epsilon=0", "BAD_CONFIG"],
    ["r=2,speed=9", "UNKNOWN_NAME"],
    ["r=2,toString=9", "UNKNOWN_NAME"],
  ])("refuses %j", (text, code) => {
    expect(failure(() => parseRoute(text)).code).toBe(code);
  });
});
