/** @file Table, curves and plot of a sweep. */

import { describe, expect, test } from "vitest";
import { curvesOf, reportCurve } from "../../src/sweep/curve.ts";
import { sweepPlot } from "../../src/sweep/plot.ts";
import { sweepTable } from "../../src/sweep/table.ts";
import { expectXml } from "../plot/xml.ts";
import { manifestOf, recordsOf } from "./records.ts";

const axes = {
  router: ["learned", "truncation", "separate"],
  reduction: [4, 2],
  attention: ["k-to-k", "k-to-all"],
  seed: [0, 1],
};
const manifest = manifestOf(axes);
// The seed moves the value, so that means can be told from single values.
const records = recordsOf(manifest, ({ reduction, seed }) => 0.9 - 0.1 * (reduction ?? 0) + 0.02 * (seed ?? 0));

describe("the table", () => {
  const lines = sweepTable(manifest, records).split("\n");

  test("has a line for every point and columns for what varies", () => {
    const head = lines.find((line) => line.startsWith("| router"));
    expect(
      head
        ?.split("|")
        .map((cell) => cell.trim())
        .filter((cell) => cell !== ""),
    ).toEqual([
      "router",
      "r",
      "attention",
      "seed",
      "accuracy",
      "hidden-error",
      "heavy rows",
      "FLOP ratio",
      "ms",
      "speed-up",
    ]);
    expect(lines.filter((line) => line.startsWith("|"))).toHaveLength(2 + manifest.points.length);
    expect(new Set(lines.filter((line) => line.startsWith("|")).map(({ length }) => length)).size).toBe(1);
  });

  test("says what is equal for all, and that nothing is trained", () => {
    expect(lines[2]).toBe("4 sequences, 40 tokens; a device; soft top-k paper, layers 0-3.");
    expect(lines[3]).toMatch(/^Routers are not trained/);
  });

  test("says which points overflowed; they have no measures and are on no curve", () => {
    const [id, record] = [...records].find(([, { settings }]) => settings.reduction === 4) ?? [];
    if (id === undefined || record === undefined) throw new Error("no point at r = 4");
    const diverged = { ...record, metrics: {}, milliseconds: null, diverged: "layer 3 is not a number" };
    const some = new Map([...records, [id, diverged] as const]);
    const table = sweepTable(manifest, some);
    expect(table).toMatch(/Points whose numbers overflow.*\n\n- learned, r 4, .*: layer 3 is not a number\n/);
    const counted = (all: typeof records): number =>
      curvesOf(manifest, all).reduce((sum, { points }) => sum + points.length, 0);
    const others = new Map([...some].filter(([, { settings }]) => settings.seed !== 1));
    expect(counted(others)).toBe(counted(new Map([...records].filter(([, { settings }]) => settings.seed !== 1))) - 1);
  });

  test("lists missing points", () => {
    const some = new Map([...records].slice(0, 3));
    expect(sweepTable(manifest, some)).toMatch(/\d+ of \d+ points are missing:\n\n- learned, r 4/);
    expect(sweepTable(manifest, new Map())).toMatch(
      new RegExp(`${manifest.points.length} of ${manifest.points.length} points`),
    );
  });
});

describe("curves", () => {
  test("are means over the seeds, ascending in r", () => {
    const [first] = curvesOf(manifest, records);
    expect(first).toMatchObject({ router: "learned", setting: "k-to-k", attention: "k-to-k" });
    expect(first?.points.map(({ reduction }) => reduction)).toEqual([2, 4]);
    expect(first?.points[0]?.value).toBeCloseTo(0.9 - 0.2 + 0.01, 12);
    expect(first?.points[1]).toMatchObject({ speedUp: 4, milliseconds: 2.5 });
  });

  test("of routers that are the dense model at r = 1 share its point", () => {
    const whole = manifestOf({
      router: ["learned", "norm", "sigmoid"],
      reduction: [1, 2],
      attention: ["k-to-k", "k-to-all"],
    });
    const curves = curvesOf(
      whole,
      recordsOf(whole, ({ reduction, router }) => (reduction === 1 ? 1 : 0.5) - (router === "sigmoid" ? 0.1 : 0)),
    );
    expect(whole.points.filter(({ settings }) => settings.reduction === 1)).toHaveLength(3);
    expect(curves.map(({ points }) => points.map(({ reduction }) => reduction))).toEqual(
      Array.from({ length: 6 }, () => [1, 2]),
    );
    const ends = curves.map(({ router, points }) => [router, points[0]?.value]);
    expect(ends).toEqual(
      ["learned", "norm", "sigmoid"].flatMap((router) => [1, 2].map(() => [router, router === "sigmoid" ? 0.9 : 1])),
    );
  });

  test("of the report are those that the trace takes", () => {
    const curve = reportCurve(manifest, records);
    // Two curves each of learned and truncation, one of separate, which has no choice of attention.
    expect(curve).toHaveLength(2 * 5);
    expect(new Set(curve.map(({ router }) => router))).toEqual(new Set(["learned", "truncation", "separate"]));
  });

  test("name what else varies", () => {
    const other = manifestOf({ reduction: [2], softTopK: ["paper", "exact"], layers: ["all", [1]] });
    const names = reportCurve(
      other,
      recordsOf(other, () => 1),
    ).map(({ router }) => router);
    expect(names).toContain("learned (exact soft top-k, layers 1)");
    expect(new Set(names).size).toBe(4);
  });
});

describe("the plot", () => {
  const svg = sweepPlot(manifest, records);

  test("is XML with a row of panels per attention form, and a router without one in both", () => {
    expectXml(svg);
    expect(svg.match(/class="head"/g)?.length).toBe(4);
    expect(svg.match(/<title>separate<\/title>/g)?.length).toBe(4);
    expect(svg.match(/<title>learned<\/title>/g)?.length).toBe(4);
  });

  test("leaves times away where none were taken", () => {
    const untimed = new Map([...records].map(([id, record]) => [id, { ...record, milliseconds: null }]));
    expect(sweepPlot(manifest, untimed)).not.toMatch(/speed-up/);
  });

  test("of nothing is a plot, too", () => {
    expectXml(sweepPlot(manifest, new Map()));
  });
});
