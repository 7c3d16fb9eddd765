/** @file The suite `routing` without a device: what it measures by default, break-even, goals, plot. */

import { describe, expect, test } from "vitest";
import type { ReportRow } from "../../src/bench/report.ts";
import { breakEven, breakEvenRows, gainCurves } from "../../src/bench/routing-gains.ts";
import { goalsOf } from "../../src/bench/routing-goals.ts";
import { selectionCells } from "../../src/bench/routing-measure.ts";
import { routingPlot } from "../../src/bench/routing-plot.ts";
import { estimatedSeconds, routingShapes, routingUnits, unitFlops } from "../../src/bench/routing-units.ts";
import type { RoutingUnit } from "../../src/bench/routing-units.ts";
import { expectXml } from "../plot/xml.ts";

const SUITE_SECONDS = 300;
const anything = { only: undefined, rounds: undefined };
const quick = routingUnits({ ...anything, full: false, software: true });
const full = routingUnits({ ...anything, full: true, software: true });

function unitNamed(id: string, units: readonly RoutingUnit[] = full): RoutingUnit {
  const unit = units.find((one) => one.id === id);
  if (unit === undefined) throw new Error(`no unit ${id}`);
  return unit;
}

describe("units", () => {
  test("of a software adapter fit into the time of a suite", () => {
    const seconds = quick.reduce((total, unit) => total + estimatedSeconds(unit), 0);
    expect(seconds).toBeLessThan(SUITE_SECONDS);
    const tables = "bert-base/128 bert-base/256 bert-base/512 t5-xl/128 kwt/128 kwt/256 kwt/512 kwt/1024";
    expect(quick.map(({ id }) => id).join(" ")).toBe(`${tables} stack overhead selection launches`);
  });

  test("of hardware, and in full, are all lengths, reductions and attentions, each measured once", () => {
    expect(routingUnits({ ...anything, full: false, software: false }).map(({ id }) => id)).toEqual(
      full.map(({ id }) => id),
    );
    expect(new Set(full.map(({ id }) => id)).size).toBe(full.length);
    for (const { name } of routingShapes) {
      const own = full.filter(({ part }) => part === name);
      expect(own.map(({ tokens }) => tokens)).toEqual([128, 256, 512, 1024, 2048, 4096]);
      for (const { forms } of own) expect(forms).toHaveLength(1 + 2 * 6);
    }
  });

  test("above 10 GFLOP are verified in some rows, smaller ones in full where there is time", () => {
    expect(new Set(full.map(({ sampledAbove }) => sampledAbove))).toEqual(new Set([10e9]));
    expect(new Set(quick.map(({ sampledAbove }) => sampledAbove))).toEqual(new Set([2e9]));
  });

  test("can be chosen by part", () => {
    const only = (parts: readonly string[]): string[] =>
      routingUnits({ full: false, software: true, only: parts, rounds: 2 }).map(({ id }) => id);
    expect(only(["long", "t5-xl"])).toEqual(["t5-xl/128", "long"]);
    expect(() => only(["t6"])).toThrow(/has no part "t6"/);
  });

  test("have the FLOP of MATHS §1.6", () => {
    const ratios = (id: string): number[] => {
      const unit = unitNamed(id);
      const [base = NaN, ...routed] = unit.forms.map((form) => unitFlops(unit, form));
      return routed.map((flops) => Number((base / flops).toFixed(2)));
    };
    // r = 1, 2, 3, 4, 5, 8; k-to-k and k-to-all of each. With r = 1 the router comes on top.
    expect(ratios("bert-base/512").slice(2)).toEqual([2.08, 1.72, 3.12, 2.27, 4.15, 2.7, 5.12, 3.04, 7.99, 3.77]);
    expect(ratios("t5-xl/512").slice(2)).toEqual([2.03, 1.71, 3.05, 2.23, 4.06, 2.64, 5.03, 2.96, 8, 3.64]);
  });
});

const at = (n: number, speedUp: number): { n: number; speedUp: number; flopRatio: number } => ({
  n,
  speedUp,
  flopRatio: 3,
});

describe("break-even", () => {
  test.each([
    ["never slower", [at(128, 1.1), at(256, 2)], "<= 128"],
    ["exactly as fast", [at(128, 1)], "<= 128"],
    ["always slower", [at(128, 0.5), at(256, 0.99)], "> 256"],
    ["in the middle of the logarithm", [at(100, 0.8), at(400, 1.2)], 200],
    ["at a measured length", [at(128, 0.9), at(256, 1), at(512, 1.4)], 256],
    ["after the last slower length, not the first", [at(64, 0.5), at(128, 1.5), at(256, 0.5), at(1024, 1.5)], 512],
    ["after a faster one, slower at the end", [at(64, 1.5), at(128, 0.5)], "> 128"],
    ["nothing measured", [], "–"],
  ])("%s", (_, points, expected) => {
    expect(breakEven(points)).toBe(expected);
  });
});

function gainRow(n: number, r: number, attention: string, speedUp: number, part = "kwt"): ReportRow {
  const cells = { "speed-up": speedUp, "FLOP ratio": 2.5 };
  return { suite: "routing", name: `${part} ${n} ${r}`, key: { part, n, r, attention }, cells };
}

describe("curves", () => {
  const rows: ReportRow[] = [
    { suite: "routing", name: "base", key: { part: "kwt", n: 128 }, cells: { GFLOP: 1 } },
    gainRow(512, 3, "k-to-k", 2),
    gainRow(128, 3, "k-to-k", 0.5),
    gainRow(256, 3, "k-to-k", NaN),
    gainRow(128, 1, "k-to-k", 0.9),
    gainRow(512, 3, "k-to-k", 2, "stack"),
  ];
  const curves = gainCurves(rows, ["kwt"]);

  test("hold what was timed, ascending", () => {
    expect(curves).toEqual([
      {
        part: "kwt",
        attention: "k-to-k",
        reduction: 3,
        points: [
          { n: 128, speedUp: 0.5, flopRatio: 2.5 },
          { n: 512, speedUp: 2, flopRatio: 2.5 },
        ],
      },
      { part: "kwt", attention: "k-to-k", reduction: 1, points: [{ n: 128, speedUp: 0.9, flopRatio: 2.5 }] },
    ]);
  });

  test("give a break-even for every reduction but 1", () => {
    expect(breakEvenRows(curves).map(({ name, cells }) => [name, cells])).toEqual([
      ["kwt, routed r = 3, k-to-k", { "break-even n": 203, measured: "128, 512" }],
    ]);
  });

  test("are drawn with their FLOP ratio, lengths as ticks", () => {
    const svg = routingPlot(curves, routingShapes, "a <device>") as string;
    expectXml(svg);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    for (const text of [
      "Routed layers on a &lt;device&gt;",
      "kwt, k-to-k",
      "r = 1",
      "r = 3",
      "FLOP ratio of the same r",
      "128",
      "512",
    ])
      expect(svg).toContain(`>${text}</text>`);
    expect(svg).not.toContain("bert-base");
    expect(svg.match(/class="line thin"/g)).toHaveLength(2); // one ratio and its entry: none for r = 1
    expect(routingPlot([], routingShapes, "none")).toBeUndefined();
  });
});

describe("goals", () => {
  const gain = { speedUp: 3, flopRatio: 3.2, realised: 3 / 3.2 };
  const goals = (id: string, r: number, attention: "k-to-k" | "k-to-all", software = true): string[] =>
    goalsOf(unitNamed(id), software, { kind: "routed", reduction: r, attention }, gain).map(
      ({ measure, ok }) => `${measure} ${ok ? "reached" : "missed"}`,
    );

  test("stand at their rows", () => {
    expect(goals("stack", 3, "k-to-k")).toEqual(["speed-up >= 2.7 reached"]);
    expect(goals("stack", 5, "k-to-k")).toEqual(["speed-up >= 4.3 missed"]);
    expect(goals("stack", 8, "k-to-k")).toEqual(["speed-up >= 6.4 missed"]);
    expect(goals("stack", 8, "k-to-k", false)).toEqual([]);
    expect(goals("stack", 8, "k-to-all", false)).toEqual(["realised share >= 0.88 reached"]);
    expect(goals("long", 8, "k-to-k")).toEqual(["speed-up >= 8 missed"]);
    expect(goals("bert-base/128", 3, "k-to-all")).toEqual(["speed-up >= 1 reached"]);
    expect(goals("overhead", 1, "k-to-k")).toEqual(["overhead with r = 1 <= 0.05 reached"]);
    expect(goals("bert-base/512", 1, "k-to-k")).toEqual([]);
    expect(goals("bert-base/512", 3, "k-to-k")).toEqual(["realised share >= 0.85 reached"]);
    for (const id of ["kwt/128", "t5-xl/128", "bert-base/256"]) expect(goals(id, 3, "k-to-k")).toEqual([]);
  });

  test("the share of choosing counts scores, soft top-k and top-k over all launches", () => {
    const times = { matmul: 90, "row-dot": 1, "soft-top-k": 2, "top-k": 3, "gather-rows": 4 };
    const launches = Object.entries(times).map(([op, milliseconds]) => ({ op, kernel: op, milliseconds }));
    const { cells, reaches } = selectionCells(launches);
    expect(cells).toMatchObject({
      "layer ms": 100,
      "score ms": 1,
      "soft top-k ms": 2,
      "selection ms": 3,
      "share of layer": 0.06,
    });
    expect(reaches?.map(({ ok }) => ok)).toEqual([false]);
    expect(selectionCells([]).reaches).toBeUndefined();
  });
});
