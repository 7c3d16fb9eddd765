/** @file Reports: goals, tables, and the commands around them as far as they need no device. */

import { describe, expect, test } from "vitest";
import { atLeast, atMost, missed, timingFields, verificationHeld } from "../../src/bench/report.ts";
import type { ReportRow } from "../../src/bench/report.ts";
import { formatNumber, formatRows } from "../../src/cli/bench/report.ts";
import { suites } from "../../src/bench/suites.ts";
import { commandLine } from "../cli/fixture.ts";

const verified = { ok: true, error: 1e-7, tolerance: 1e-5, detail: "hidden[3]" };

describe("report", () => {
  const rows: ReportRow[] = [
    { suite: "s", name: "fast", cells: { share: 0.9 }, verified, reaches: [atLeast("share", 0.85, 0.9)] },
    {
      suite: "s",
      name: "slow",
      cells: { share: 0.5 },
      verified,
      reaches: [atLeast("share", 0.85, 0.5), atMost("overhead", 0.03, 0.02)],
    },
  ];

  test("goals carry measure, reach, value and verdict", () => {
    expect(rows[1]?.reaches).toEqual([
      { measure: "share >= 0.85", reach: 0.85, value: 0.5, ok: false },
      { measure: "overhead <= 0.03", reach: 0.03, value: 0.02, ok: true },
    ]);
    expect(missed(rows).map(({ row }) => row)).toEqual(["slow"]);
    expect(atLeast("nothing measured", 1, NaN).ok).toBe(false);
  });

  test("a missed goal is no wrong result, a failed verification is", () => {
    expect(verificationHeld(rows)).toBe(true);
    expect(
      verificationHeld([...rows, { suite: "s", name: "wrong", cells: {}, verified: { ...verified, ok: false } }]),
    ).toBe(false);
  });

  test("what was not timed has no timing", () => {
    const timing = { name: "a", verdict: { ...verified, ok: false }, samples: [], median: NaN, p10: NaN, p90: NaN };
    expect(timingFields(timing)).toEqual({ verified: { ...verified, ok: false } });
  });

  test("tables name missed goals and wrong results", () => {
    const text = formatRows([...rows, { suite: "s", name: "bad", cells: {}, verified: { ...verified, ok: false } }]);
    expect(text).toContain("share >= 0.85: 0.50 MISSED");
    expect(text).toContain("share >= 0.85: 0.90 reached");
    expect(text).toContain("WRONG hidden[3]");
  });

  test.each([
    [0, "0"],
    [3, "3"],
    [123.4, "123"],
    [12.34, "12.3"],
    [0.853, "0.85"],
    [0.0125, "0.0125"],
    [0.000012, "1.2e-5"],
    [NaN, "–"],
  ])("%f reads %s", (value, text) => expect(formatNumber(value)).toBe(text));
});

describe("bench", () => {
  test("lists the suites", async () => {
    const { code, out } = await commandLine(["bench"]);
    expect(code).toBe(0);
    for (const { name } of suites) expect(out).toContain(name);
  });

  test("refuses a suite that is not there", async () => {
    const { code, out, err } = await commandLine(["bench", "nonsense"]);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(/there is no suite "nonsense"; known: kernels/);
  });

  test("refuses a place for JSON that is not there, before anything is run", async () => {
    const { code, err } = await commandLine(["bench", "layer", "--json", "/nonexistent/folder/file.json"]);
    expect(code).toBe(2);
    expect(err).toMatch(/cannot be written/);
  });

  test("refuses rounds that are no number", async () => {
    expect((await commandLine(["bench", "layer", "--rounds", "0"])).code).toBe(2);
  });
});
