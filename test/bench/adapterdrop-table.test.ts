/** @file The tables of the AdapterDrop paper: their data, the arithmetic of ours, what is measured where, and every form. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { protocolOf, readFinished, readTableOptions, roundsLine, unfinished } from "../../bench/tables/adapterdrop.ts";
import { droppedLayers, formName, needsOf, tokensOf, valueOf } from "../../bench/tables/forms.ts";
import type { Form, Measure } from "../../bench/tables/forms.ts";
import { measuresOf, paperTables, tableNumbers } from "../../bench/tables/layout.ts";
import { Verified, groupsOf, measureGroup, roundsFor, rowName, samplesIn } from "../../bench/tables/measure.ts";
import { blanks, fillTable } from "../../bench/tables/print.ts";
import {
  shapeName,
  table1,
  table10,
  table11,
  table2,
  table3,
  table9,
  taskCounts,
} from "../../bench/tables/published.ts";
import { Workload, checkCopies } from "../../bench/tables/workload.ts";
import type { EncoderSizes } from "../../src/bench/encoder.ts";
import type { ReportRow } from "../../src/bench/report.ts";
import { EngineError } from "../../src/errors.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const SOFTWARE = { layers: 2, tokens: 2048 };

describe("published numbers", () => {
  test("table 1 is an extract of table 9", () => {
    for (const row of table1) {
      const same = table9.find((one) => shapeName(one) === shapeName(row));
      expect(same?.v100).toEqual([...row.training, ...row.inference]);
    }
  });

  test("table 2 is the mean of table 11 over batches 16, 32, 64", () => {
    const rows = table11.filter(({ device, batch }) => device === "V100" && batch > 1);
    expect(rows).toHaveLength(3);
    table2.forEach(({ tasks, speedUp }, at) => {
      expect(taskCounts[at]).toBe(tasks);
      const mean = rows.reduce((sum, { cells }) => sum + (cells[at]?.[1] ?? NaN), 0) / rows.length;
      expect(Math.abs(mean - speedUp)).toBeLessThanOrEqual(0.05 + 1e-9); // printed with one digit
    });
  });

  test("table 3 and table 10 agree on two adapters, and table 3's slowdown on table 10's", () => {
    const ten = table10.find((row) => shapeName(row) === "128/32");
    const [two, , sixteen] = table3;
    expect(ten?.v100.slice(0, 4)).toEqual([...(two?.full ?? []), ...(two?.single ?? [])]);
    // Linear in the number of adapters, relative to two: the reading that valueOf has.
    const slowdown = (100 * ((two?.full[1] ?? 0) / (sixteen?.full[1] ?? 1) - 1)) / 14;
    expect(slowdown).toBeCloseTo(ten?.v100[5] as number, 0);
  });

  test("every table is there, each with lines as wide as its header", () => {
    expect(tableNumbers).toEqual([1, 2, 3, 4, 9, 10, 11, 12]);
    for (const { columns, lines } of paperTables) for (const line of lines) expect(line).toHaveLength(columns.length);
  });
});

/** Lookup with one time per form name. */
function times(known: Readonly<Record<string, number>>) {
  return (_: string, form: Form): readonly number[] | null => {
    const time = known[formName(form)];
    return time === undefined ? null : [time, time, time];
  };
}

describe("numbers of ours", () => {
  const shape = { length: 128, batch: 16 };
  const samples = times({
    bare: 100,
    pfeiffer: 105,
    "fusion of 2": 110,
    "fusion of 16": 264,
    "fusion of 2, 1 dropped": 99,
    "fusion of 2, literal": 220,
    "8 tasks": 800,
    "8 tasks, 1 dropped": 440,
    "8 tasks, 5 dropped": 488,
  });
  const value = (measure: Measure, layers = 2): number | null => valueOf(measure, layers, samples);

  test.each<[Measure, number, number]>([
    [{ kind: "adapter", shape, preset: "pfeiffer" }, 2, 100 / 105],
    [{ kind: "fusion", shape, adapters: 2, over: "bare" }, 2, 100 / 110],
    [{ kind: "fusion", shape, adapters: 2, over: "pfeiffer" }, 2, 105 / 110],
    [{ kind: "fusion-slowdown", shape }, 2, (100 * (264 / 110 - 1)) / 14],
    // A tenth of two layers is a sixtieth of twelve.
    [{ kind: "fusion-drop", shape, adapters: 2 }, 2, (10 * 2) / 12],
    [{ kind: "fusion-literal", shape, adapters: 2 }, 2, 0.5],
    [{ kind: "tasks", shape, tasks: 8 }, 2, 1],
    [{ kind: "tasks-drop", shapes: [shape], tasks: 8 }, 2, (45 * 2) / 12],
    [{ kind: "tasks-drop", shapes: [shape, shape], tasks: 8 }, 12, 39 / 5],
  ])("%o on %i layers", (measure, layers, expected) => expect(value(measure, layers)).toBeCloseTo(expected, 10));

  test("training has none, nor has what was not timed", () => {
    expect(value({ kind: "training" })).toBeNull();
    expect(value({ kind: "adapter", shape, preset: "houlsby" })).toBeNull();
    expect(value({ kind: "fusion-drop", shape, adapters: 8 })).toBeNull();
  });

  test("the paper's five layers are dropped where there are as many", () => {
    expect([2, 6, 12].map(droppedLayers)).toEqual([1, 5, 5]);
  });
});

describe("what is measured", () => {
  const measures = measuresOf(paperTables);

  test("a software adapter takes the groups of up to 2,048 rows at once", () => {
    const names = groupsOf(measures, SOFTWARE.layers, SOFTWARE.tokens).map(({ name }) => name);
    expect([...names].sort()).toEqual(
      [
        "64/16",
        "64/32",
        "128/16",
        ...taskCounts.map((tasks) => `128/1, ${tasks} tasks`),
        "100/1",
        "200/1",
        "300/1",
        "400/1",
        "100/16",
      ].sort(),
    );
  });

  test("hardware takes every number", () => {
    const groups = groupsOf(measures, 12, Infinity);
    for (const need of measures.flatMap((measure) => needsOf(measure, 12))) {
      const group = groups.find(({ name }) => name === need.group);
      const forms = group?.forms.map(formName) ?? [];
      expect(forms).toEqual(expect.arrayContaining(need.forms.map(formName)));
    }
  });

  test("tasks count once per task", () => {
    const [need] = needsOf({ kind: "tasks", shape: { length: 128, batch: 16 }, tasks: 8 }, 2);
    expect(need === undefined ? 0 : tokensOf(need)).toBe(8 * 16 * 128);
  });

  test("rounds follow from the time of one, or are as many as was said", () => {
    const rounds = { budget: 30_000, most: 7 };
    expect([1, 9000, 14_000, 90_000].map((time) => roundsFor(rounds, time))).toEqual([7, 3, 2, 1]);
    expect(roundsFor({ ...rounds, exact: 50 }, 90_000)).toBe(50);
  });

  test("the paper's protocol on hardware, two layers on software", () => {
    const none = { tokens: undefined, rounds: undefined };
    expect(protocolOf(false, none)).toMatchObject({ layers: 12, tokens: Infinity, rounds: { most: 300 } });
    expect(protocolOf(true, none)).toMatchObject(SOFTWARE);
    expect(protocolOf(true, { tokens: 256, rounds: 3 })).toMatchObject({ tokens: 256, rounds: { exact: 3 } });
  });

  test("a finished group is not measured again, half of one or a wrong one is", () => {
    const groups = groupsOf(measures, 2, 1024);
    const [first, second, third] = groups;
    const rowsOf = (group: typeof first, ok = true): ReportRow[] =>
      (group?.forms ?? []).map((form) => ({
        suite: "adapterdrop",
        name: rowName(group?.name ?? "", form),
        cells: {},
        verified: { ok, error: 0, tolerance: 0, detail: "" },
      }));
    const rows = [...rowsOf(first), ...rowsOf(second).slice(1), ...rowsOf(third, false)];
    expect(unfinished(groups, rows)).toEqual(groups.slice(1));
  });
});

describe("command line", () => {
  test("reads tables by number", () => {
    const { tables, tokens, json } = readTableOptions(["--table", "2,12", "--tokens", "256", "--json"]);
    expect(tables.map(({ number }) => number)).toEqual([2, 12]);
    expect([tokens, json]).toEqual([256, true]);
  });

  test.each([
    [["--table", "5"], /there is no table 5/],
    [["--table", "x"], /there is no table NaN/],
    [["--rounds", "0"], /--rounds is "0"/],
    [["--fast"], /fast/],
  ])("refuses %j", (args, message) => expect(() => readTableOptions(args)).toThrow(message));

  test("goes on from a file of the same device and layers only", async () => {
    const folder = mkdtempSync(join(tmpdir(), "adapterdrop-"));
    try {
      const file = join(folder, "rows.json");
      const now = { device: "a", driver: "b", clock: "c", layers: 2 };
      expect(await readFinished(file, now)).toEqual([]);
      const rows = [{ suite: "adapterdrop", name: "128/16: bare", cells: {} }];
      writeFileSync(file, JSON.stringify({ ...now, settings: { adapterdrop: { layers: 2 } }, rows }));
      expect(await readFinished(file, now)).toEqual(rows);
      await expect(readFinished(file, { ...now, layers: 12 })).rejects.toThrow(/layers 2, now 12/);
      await expect(readFinished(file, { ...now, device: "z" })).rejects.toThrow(/device a, now z/);
      await expect(readFinished(join(folder, "no", "rows.json"), now)).rejects.toThrow(/not a folder/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("printed tables", () => {
  const [inference, training] = paperTables;
  const timed = (form: Form, time: number, ok = true): ReportRow => ({
    suite: "adapterdrop",
    name: rowName("128/16", form),
    cells: {},
    verified: { ok, error: 0, tolerance: 0, detail: "" },
    ...(ok ? { timing: { median: time, p10: time, p90: time, samples: [time] } } : {}),
  });
  const cells = (table: typeof inference, rows: readonly ReportRow[]): readonly string[] =>
    (table === undefined ? [] : fillTable(table, { ...SOFTWARE, rows }))[0] ?? [];

  test("ours stands beside theirs, larger cells are marked", () => {
    const rows = [timed({ kind: "bare" }, 95), timed({ kind: "adapter", preset: "pfeiffer" }, 100)];
    expect(cells(inference, rows)).toEqual(["128/16", "0.94", blanks.open, "0.95", "0.95"]);
    expect(fillTable(inference as (typeof paperTables)[number], { ...SOFTWARE, rows })[1]).toContain(blanks.tooLarge);
    expect(cells(training, rows)).toEqual(["128/16", "1.48", blanks.training, "1.57", blanks.training]);
  });

  test("a wrong form and one that does not fit are said", () => {
    const wrong = timed({ kind: "adapter", preset: "pfeiffer" }, 100, false);
    const large = {
      suite: "adapterdrop",
      name: rowName("128/16", { kind: "adapter", preset: "houlsby" }),
      cells: { limit: "too large" },
    };
    const rows = [timed({ kind: "bare" }, 95), wrong, large];
    expect(cells(inference, rows)).toEqual(["128/16", "0.94", blanks.limit, "0.95", blanks.wrong]);
  });
});

const tiny: EncoderSizes = { layers: 3, width: 32, heads: 2, ffnWidth: 64, bottleneck: 8 };
const fusion = { kind: "fusion", adapters: 3, dropped: 0, literal: false } as const;
const forms: readonly Form[] = [
  { kind: "bare" },
  { kind: "adapter", preset: "houlsby" },
  { kind: "adapter", preset: "pfeiffer" },
  fusion,
  { ...fusion, dropped: 2 },
  { ...fusion, literal: true },
  { kind: "tasks", tasks: 3, dropped: 0 },
  { kind: "tasks", tasks: 3, dropped: 2 },
];

describe("forms", () => {
  let workload: Workload;
  beforeAll(async () => {
    workload = await Workload.create(await sharedGpu(), tiny);
  });
  afterAll(() => workload.dispose());

  test.each(forms.map((form) => [formName(form), form] as const))("%s agrees with float64", async (_, form) => {
    const verdict = await workload.verify(form);
    expect(verdict.ok, verdict.detail).toBe(true);
    expect(verdict.error).toBeGreaterThan(0);
  });

  test("differ from one another", async () => {
    const shape = { length: 5, batch: 1 };
    const results: string[] = [];
    for (const form of forms.filter((one) => one.kind !== "fusion" || !one.literal)) {
      const { planned } = await workload.timed(form, shape);
      const { outputs } = await planned.run();
      // The end: the first copy of several tasks is what its adapter alone gives.
      results.push(Array.from((outputs.hidden?.data ?? []).slice(-8)).join());
      planned.dispose();
    }
    expect(new Set(results).size).toBe(results.length);
  });

  test("a fusion whose folded weights are spoilt is found", async () => {
    const other = await Workload.create(await sharedGpu(), tiny);
    try {
      expect((await other.verify(fusion)).ok).toBe(true);
      const names = [0, 1, 2].map((index) => `pfeiffer ${index}`).join(",");
      other.encoder.parameters.write(`fusion.${names}.1.ffn.second`, new Float32Array(32));
      const verdict = await other.verify(fusion);
      expect(verdict.ok).toBe(false);
      const rows = await measureGroup(other, new Verified(other), group, { exact: 1, budget: 0, most: 1 }, quiet);
      expect(rows.map(({ verified, timing }) => [verified?.ok, timing === undefined])).toEqual([
        [true, false],
        [false, true],
      ]);
    } finally {
      await other.dispose();
    }
  });

  const quiet = { progress: (): void => undefined };
  const group = { name: "5/3", shape: { length: 5, batch: 3 }, forms: [{ kind: "bare" }, fusion] as const };

  test("a group is verified, then timed in turns", async () => {
    const rows = await measureGroup(workload, new Verified(workload), group, { exact: 4, budget: 0, most: 1 }, quiet);
    expect(rows.map(({ name }) => name)).toEqual(["5/3: bare", "5/3: fusion of 3"]);
    for (const form of group.forms) expect(samplesIn(rows)("5/3", form)).toHaveLength(4);
  });

  test("what the device cannot hold is said, and the rest of the group timed; other errors end the run", async () => {
    const rounds = { exact: 1, budget: 0, most: 1 };
    const timed = vi.spyOn(workload, "timed");
    try {
      timed.mockRejectedValueOnce(new EngineError("LIMIT", "too many bytes"));
      const rows = await measureGroup(workload, new Verified(workload), group, rounds, quiet);
      expect(rows.map(({ cells, timing }) => [cells.limit, timing !== undefined])).toEqual([
        ["too many bytes", false],
        [undefined, true],
      ]);
      timed.mockRejectedValueOnce(new EngineError("DEVICE_LOST", "gone"));
      await expect(measureGroup(workload, new Verified(workload), group, rounds, quiet)).rejects.toThrow("gone");
    } finally {
      timed.mockRestore();
    }
  });
});

describe("rounds", () => {
  test("are said for every group", () => {
    const row = (name: string, rounds: number): ReportRow => {
      const samples = Array.from({ length: rounds }, () => 1);
      return { suite: "adapterdrop", name, cells: {}, timing: { median: 1, p10: 1, p90: 1, samples } };
    };
    const rows = [row("64/16: bare", 2), row("64/16: houlsby", 2), row("128/1, 2 tasks: 2 tasks, 1 dropped", 7)];
    expect(roundsLine(rows)).toBe("rounds (length/batch): 64/16: 2; 128/1, 2 tasks: 7");
    expect(roundsLine([])).toMatch(/none yet/);
  });
});

describe("equal sequences", () => {
  const sizes = { block: 2, batch: 3, copies: 2 };
  const good = [1, 2, 9, 9, 1, 2, 3, 4, 8, 8, 3, 4];
  const check = (change: (data: Float32Array) => void): boolean => {
    const data = Float32Array.from(good);
    change(data);
    return checkCopies(data, sizes).ok;
  };
  test("are equal, in every copy", () => expect(check(() => undefined)).toBe(true));
  test("a difference in the last one is found", () => expect(check((data) => data.set([5], 11))).toBe(false));
  test("what is not finite is found", () => expect(check((data) => data.set([NaN], 3))).toBe(false));
  test("a result of another size is found", () =>
    expect(checkCopies(Float32Array.from(good.slice(2)), sizes).ok).toBe(false));
});
