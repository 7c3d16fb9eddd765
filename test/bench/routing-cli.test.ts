/** @file The command line of the suite `routing`: parts, plot, and a run without limit that goes on where it ended. */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { journalPath } from "../../src/cli/bench/journal.ts";
import { commandLine, useFolder } from "../cli/fixture.ts";

describe("bench routing", () => {
  const folder = useFolder();

  test("names parts, plot and journal in its help", async () => {
    const { out } = await commandLine(["bench", "--help"]);
    expect(out).toMatch(/--only PART\[,PART\] +parts of the suite routing: bert-base, t5-xl, kwt, stack, /);
    expect(out).toContain("--plot FILE");
    expect(out).toContain("FILE.partial.jsonl");
  });

  test.each([
    [["bench", "routing", "--only", "t6"], /--only is "t6", expected some of bert-base, /],
    [["bench", "routing", "--only", ""], /--only is empty, expected some of bert-base, /],
    [["bench", "layer", "--only", "kwt"], /the suite layer has no parts; --only cannot be used/],
    [["bench", "layer", "--plot", "x.svg"], /the suite layer has no plot/],
    [["bench", "routing", "--plot", "/no/such/folder/x.svg"], /\/no\/such\/folder is not a folder/],
  ])("%j is refused", async (args, message) => {
    const { code, err } = await commandLine(args);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  test("goes on after what is finished, and leaves no journal behind", async () => {
    const [json, plot] = [folder.file("out.json"), folder.file("out.svg")];
    const args = [
      "bench",
      "routing",
      "--full",
      "--only",
      "launches",
      "--json",
      json,
      "--plot",
      plot,
      "--adapter",
      "software",
    ];
    const first = await commandLine(args);
    expect(first.code).toBe(0);
    expect(first.out).toMatch(/Launches of capture points\n\n +nothing captured/);
    expect(first.err).toContain("nothing was measured that a plot could show");
    expect([existsSync(journalPath(json)), existsSync(plot)]).toEqual([false, false]);
    const report = JSON.parse(readFileSync(json, "utf8"));
    expect(report.rows).toHaveLength(2);
    // As if the first start had ended before its report was written, with other numbers so that they can be told apart.
    const { device, driver, commit = "none" } = report;
    const stamp = { suite: "routing", only: "launches", rounds: "own", device, driver, commit };
    const head = { format: "adapters-webgpu/bench-journal", version: 1, stamp };
    const rows = [{ suite: "routing", name: "kept", cells: { value: 7 } }];
    const lines = [head, { unit: "launches", rows }].map((line) => `${JSON.stringify(line)}\n`);
    writeFileSync(journalPath(json), lines.join(""));
    const second = await commandLine(args);
    expect(second.err).toContain("going on after 1 finished units");
    expect(JSON.parse(readFileSync(json, "utf8")).rows).toEqual(rows);
    expect(existsSync(journalPath(json))).toBe(false);
    writeFileSync(journalPath(json), lines.join("").replace('"own"', '"9"'));
    const third = await commandLine(args);
    expect(third.code).toBe(2);
    expect(third.err).toMatch(/was begun with rounds 9, this bench has own/);
    expect(existsSync(journalPath(json))).toBe(true);
  });
});
