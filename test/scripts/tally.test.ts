/** @file Counting a test run: nothing that failed, or did not run, may look as if it had passed. */

import { describe, expect, test } from "vitest";
import { tally } from "../../scripts/test.ts";
import type { Report } from "../../scripts/test.ts";

function report(...files: readonly (readonly [status: string, ...tests: string[]])[]): Report {
  return {
    testResults: files.map(([status, ...tests], i) => ({
      name: `file-${i}`,
      status,
      assertionResults: tests.map((outcome, j) => ({ fullName: `test ${j}`, status: outcome })),
    })),
  };
}

describe("tally", () => {
  test("counts tests by their outcome and names those that did not run", () => {
    const counted = tally(report(["passed", "passed", "skipped", "todo"], ["failed", "passed", "failed"]));
    expect(counted).toMatchObject({ passed: 2, failed: 1 });
    expect(counted.skipped.map((name) => name.replace(/^.*file/, "file"))).toEqual([
      "file-0: test 1",
      "file-0: test 2",
    ]);
  });

  test("a file that cannot be loaded is one failure", () => {
    expect(tally(report(["failed"]))).toMatchObject({ passed: 0, failed: 1 });
  });

  test("a file whose set-up fails is one failure, though all its tests are only skipped", () => {
    expect(tally(report(["failed", "skipped", "skipped"]))).toMatchObject({ passed: 0, failed: 1 });
  });

  test("a status that vitest may add later is not a pass", () => {
    expect(tally(report(["passed", "unheard-of"]))).toMatchObject({
      passed: 0,
      failed: 0,
      skipped: [expect.any(String)],
    });
  });
});
