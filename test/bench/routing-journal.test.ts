/** @file A long bench goes on where it was interrupted: what is finished is on disk, and nothing is measured twice. */

import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ReportRow } from "../../src/bench/report.ts";
import type { Journal } from "../../src/bench/suite.ts";
import { routingSuite } from "../../src/bench/suites/routing.ts";
import { FileJournal, journalPath } from "../../src/cli/bench/journal.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const stamp = { suite: "routing", device: "here", rounds: "own" };
const row = (name: string, value: number): ReportRow => ({ suite: "routing", name, cells: { value } });

describe("a journal", () => {
  let folder: string;
  let report: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "journal-"));
    report = join(folder, "out.json");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const fresh = async (): Promise<FileJournal> => {
    rmSync(journalPath(report), { force: true });
    const journal = await FileJournal.open(journalPath(report), stamp);
    await journal.keep("a", [row("one", 1.5), row("none", NaN)]);
    return journal;
  };

  test("is on disk after every unit, and is read again", async () => {
    const journal = await fresh();
    expect(readFileSync(journalPath(report), "utf8").split("\n")).toHaveLength(3);
    await journal.close();
    const again = await FileJournal.open(journalPath(report), stamp);
    expect(again.size).toBe(1);
    expect(again.find("a")).toEqual([row("one", 1.5), row("none", NaN)]);
    expect(again.find("b")).toBeUndefined();
    await again.keep("b", [row("two", 2)]);
    await again.close();
    const third = await FileJournal.open(journalPath(report), stamp);
    expect([third.find("a")?.length, third.find("b")?.length]).toEqual([2, 1]);
    await third.close();
    await third.remove();
    expect(existsSync(journalPath(report))).toBe(false);
  });

  test("forgets a line that a kill has cut off, wherever it was cut", async () => {
    await (await fresh()).close();
    const line = Buffer.from(`${JSON.stringify({ unit: "b", rows: [row("1 × 2 …", 2)] })}\n`);
    for (let length = 0; length < line.length; length += 1) {
      await (await fresh()).close();
      appendFileSync(journalPath(report), line.subarray(0, length));
      const again = await FileJournal.open(journalPath(report), stamp);
      expect(again.size).toBe(1);
      await again.keep("c", [row("three", 3)]);
      await again.close();
      const third = await FileJournal.open(journalPath(report), stamp);
      expect([third.find("a")?.length, third.find("b"), third.find("c")?.length]).toEqual([2, undefined, 1]);
      await third.close();
    }
  });

  test("begins anew where not even its first line was whole", async () => {
    writeFileSync(journalPath(report), '{"format":"adapters-web');
    const journal = await FileJournal.open(journalPath(report), stamp);
    await journal.keep("a", []);
    await journal.close();
    const again = await FileJournal.open(journalPath(report), stamp);
    expect(again.size).toBe(1);
    await again.close();
  });

  test("of another run is refused, and says what differs", async () => {
    await (await fresh()).close();
    const other = FileJournal.open(journalPath(report), { ...stamp, device: "there" });
    await expect(other).rejects.toThrow(/was begun with device here, this bench has there/);
    const more = FileJournal.open(journalPath(report), { ...stamp, only: "kwt" });
    await expect(more).rejects.toThrow(/was begun with only none, this bench has kwt/);
    const same = await FileJournal.open(journalPath(report), stamp);
    expect(same.size).toBe(1);
    await same.close();
  });

  test.each(["not JSON\n", "{}\n", '{"format":"adapters-webgpu/bench-journal","version":2,"stamp":{}}\n'])(
    "is not taken from any file: %s",
    async (text) => {
      writeFileSync(journalPath(report), text);
      await expect(FileJournal.open(journalPath(report), stamp)).rejects.toMatchObject({ code: "BAD_FILE" });
      expect(readFileSync(journalPath(report), "utf8")).toBe(text);
    },
  );
});

describe("the suite", () => {
  const quiet = { progress: (): void => {} };

  function watched(): Journal & { readonly units: Map<string, readonly ReportRow[]>; readonly kept: string[] } {
    const units = new Map<string, readonly ReportRow[]>();
    const kept: string[] = [];
    const keep = async (unit: string, rows: readonly ReportRow[]): Promise<void> => {
      kept.push(unit);
      units.set(unit, rows);
    };
    return { units, kept, find: (unit) => units.get(unit), keep };
  }

  test("measures a unit once, and the launches of capture points are none while nothing is captured", async () => {
    const gpu = await sharedGpu();
    const journal = watched();
    const options = { full: true, only: ["launches"], journal };
    const first = await routingSuite.run(gpu, options, quiet);
    expect(journal.kept).toEqual(["launches"]);
    const second = await routingSuite.run(gpu, options, quiet);
    expect(journal.kept).toEqual(["launches"]);
    expect(second).toEqual(first);
    for (const { cells, reaches } of first.rows) {
      expect(reaches?.map(({ ok }) => ok)).toEqual([true]);
      expect(cells["nothing captured"]).toBe(cells["no capture points"]);
      expect(cells["all captured"]).toBeGreaterThan(cells["nothing captured"] as number);
    }
    expect(first.rows).toHaveLength(2);
    expect(first.plot).toBeUndefined();
  });

  test("stops between units when it is told to, and keeps what it has", async () => {
    const gpu = await sharedGpu();
    const journal = watched();
    const stop = new AbortController();
    const keep = journal.keep;
    const stopping = {
      ...journal,
      keep: async (...unit: Parameters<Journal["keep"]>) => (await keep(...unit), stop.abort()),
    };
    const context = { ...quiet, signal: stop.signal };
    const run = routingSuite.run(
      gpu,
      { full: false, only: ["launches", "long"], rounds: 1, journal: stopping },
      context,
    );
    await expect(run).rejects.toThrow(/abort/i);
    expect(journal.kept).toHaveLength(1);
  });
});
