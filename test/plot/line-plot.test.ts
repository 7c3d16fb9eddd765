/** @file Line plots: scales with round ticks, well-formed SVG, nothing outside its panel. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { linePlot, plotGrid } from "../../src/plot/line-plot.ts";
import { scaleFor, tickText } from "../../src/plot/scale.ts";
import { expectXml } from "./xml.ts";

describe("scales", () => {
  test.each([
    [[0, 1], {}, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [[0.31, 0.92], {}, [0.2, 0.4, 0.6, 0.8, 1]],
    [[1, 8], { ticks: [1, 2, 4, 8] }, [1, 2, 4, 8]],
    [[128, 4096], { log: true, ticks: [128, 512, 4096] }, [128, 512, 4096]],
    [[1, 100], { log: true }, [1, 2, 5, 10, 20, 50, 100]],
    [[-3, 4], {}, [-4, -2, 0, 2, 4]],
  ])("of %j with %j", (values, span, ticks) => {
    expect(scaleFor(values, span).ticks).toEqual(ticks);
  });

  test("hold every value, wherever they lie", () => {
    const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 8 }), fc.boolean(), (values, log) => {
        const used = log ? values.map((entry) => Math.abs(entry) + 1e-6) : values;
        const { at, ticks } = scaleFor(used, { log });
        for (const entry of [...used, ...ticks]) {
          expect(at(entry)).toBeGreaterThanOrEqual(-1e-6);
          expect(at(entry)).toBeLessThanOrEqual(1 + 1e-6);
        }
        expect(ticks.length).toBeLessThan(60);
      }),
    );
  });

  test("of one value or none have room", () => {
    expect(scaleFor([3]).at(3)).toBeGreaterThan(0);
    expect(scaleFor([0]).at(0)).toBeGreaterThan(0);
    expect(scaleFor([0, 5e-324]).at(0)).toBeGreaterThan(0);
    expect(scaleFor([]).ticks.length).toBeGreaterThan(1);
    expect(scaleFor([], { log: true }).at(1)).toBeTypeOf("number");
  });

  test("reach from the largest float to its negative", () => {
    const { at, ticks } = scaleFor([-Number.MAX_VALUE, Number.MAX_VALUE]);
    expect([-1, 0, 1].map((sign) => at(sign * Number.MAX_VALUE))).toEqual([
      expect.closeTo(0.05, 2),
      0.5,
      expect.closeTo(0.95, 2),
    ]);
    expect(ticks).toEqual([-1e308, 0, 1e308]);
  });

  test("write ticks in few digits", () => {
    expect([0, 0.1 + 0.2, 4096, 1e-6, 1e6, 0.05, -2].map(tickText)).toEqual([
      "0",
      "0.3",
      "4096",
      "1e-6",
      "1e6",
      "0.05",
      "-2",
    ]);
  });
});

const series = (
  name: string,
  ...values: (number | null)[]
): { name: string; points: { x: number; y: number | null }[] } => ({
  name,
  points: values.map((y, index) => ({ x: index + 1, y })),
});

describe("plots", () => {
  const x = { label: "r" };
  const y = { label: "share" };

  test("are XML whatever the names say", () => {
    expectXml(linePlot({ title: "a < b & \"c\" 'd'\u0001", series: [series("<script>&", 1, 2)], x, y }));
  });

  test("leave out values that are not there", () => {
    const svg = linePlot({ title: "t", series: [series("a", 1, null, 3), series("b", null)], x, y });
    expectXml(svg);
    expect(svg.match(/<title>a<\/title>/g)).toHaveLength(1);
    expect(svg).not.toMatch(/<title>b<\/title>/);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    // Two marks of the line, one of the legend.
    expect(svg.match(/<circle/g)).toHaveLength(3);
  });

  test("give a name one look in all panels, and twelve names twelve looks", () => {
    const names = Array.from({ length: 12 }, (_, index) => `router ${index}`);
    const panel = { title: "p", series: names.map((name, index) => series(name, index, 2 * index)), x, y };
    const svg = plotGrid({
      title: "t",
      panels: [panel, { ...panel, series: [...panel.series].reverse() }],
      columns: 2,
    });
    expectXml(svg);
    const looks = new Map<string, Set<string>>();
    for (const [, colour, name, dash] of svg.matchAll(
      /<g class="(c\d)"><title>([^<]+)<\/title><path d="[^"]+" class="line"( stroke-dasharray="[^"]+")?/g,
    )) {
      looks.set(name as string, (looks.get(name as string) ?? new Set()).add(`${colour}${dash ?? ""}`));
    }
    expect([...looks.values()].map(({ size }) => size)).toEqual(names.map(() => 1));
    expect(new Set([...looks.values()].flatMap((look) => [...look])).size).toBe(12);
  });

  test("draw everything within their bounds", () => {
    const svg = linePlot({
      title: "t",
      series: [series("a", 5, 1e5)],
      x,
      y: { ...y, log: true },
      level: { value: 1, name: "one" },
    });
    const [, width, height] = (/width="(\d+)" height="(\d+)"/.exec(svg) ?? []).map(Number) as [number, number, number];
    for (const [, px, py] of svg.matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
      expect(Number(px)).toBeGreaterThanOrEqual(0);
      expect(Number(px)).toBeLessThanOrEqual(width);
      expect(Number(py)).toBeGreaterThanOrEqual(0);
      expect(Number(py)).toBeLessThanOrEqual(height);
    }
  });

  test("follow the reader's theme", () => {
    expect(linePlot({ title: "t", series: [], x, y })).toMatch(/prefers-color-scheme:dark/);
  });
});

describe("dashed series", () => {
  const x = { label: "n", log: true };
  const y = { label: "speed-up" };

  test("have no marks, the colour of what they go with, and one neutral entry for all of one name", () => {
    const line = series("r = 3", 2, 3);
    const ratio = { ...series("ratio", 3, 4), dashed: true };
    const all = [
      { ...line, colour: 2 },
      { ...ratio, colour: 2 },
      { ...ratio, colour: 5 },
    ];
    const svg = linePlot({ title: "t", series: all, x, y });
    expectXml(svg);
    const lines = [
      ...svg.matchAll(/<g class="(\w+)">(?:<title>(ratio)<\/title>)?<path [^>]*class="line thin"[^>]*\/>(.)/g),
    ];
    expect(lines.map(([, colour, name, next]) => [colour, name, next])).toEqual([
      ["c2", "ratio", "<"],
      ["c5", "ratio", "<"],
      ["neutral", undefined, "<"],
    ]);
    expect(svg.match(/class="line thin"[^>]*\/><\/g>/g)).toHaveLength(3);
    expect(svg.match(/>ratio<\/text>/g)).toHaveLength(1);
  });

  test("of one point are still to be seen", () => {
    const svg = linePlot({ title: "t", series: [{ ...series("ratio", 3), dashed: true }], x, y });
    expect(svg).toMatch(/d="M[\d.]+ [\d.]+m-12 0h24"/);
  });
});
