/** @file The grid of a sweep: every result once, in one order, and shards that share it out. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readSweepConfig } from "../../src/sweep/config.ts";
import type { SweepAxes } from "../../src/sweep/config.ts";
import { gridOf, parseShard, pointsOf } from "../../src/sweep/grid.ts";
import { policyOf } from "../../src/sweep/policy.ts";
import { routerAxes, routerNames } from "../../src/sweep/routers.ts";
import { canonical, densePoint, layersText, pointId, settingsText } from "../../src/sweep/settings.ts";
import { routerNames as codaNames } from "../../src/routing/routers/index.ts";

function axes(changes: Partial<Record<keyof SweepAxes, unknown>>): SweepAxes {
  const value = { model: { folder: "m" }, data: { kind: "lines", files: { lines: "x" } }, axes: changes };
  return readSweepConfig(value, "x").axes;
}

const none = { metric: "none" } as const;
const everything = axes({
  router: routerNames,
  reduction: [1, 2, 3],
  attention: ["k-to-k", "k-to-all"],
  softTopK: ["paper", "exact"],
  layers: ["all", "0-1", [2]],
  part: ["layer", "attention"],
  threshold: [0, 0.5],
  seed: [0, 7],
});

describe("points", () => {
  test("begin with the dense baseline, which is there once", () => {
    const points = gridOf(everything, 4, none);
    expect(points[0]?.settings).toEqual(densePoint);
    expect(points.filter(({ settings }) => settings.router === "dense")).toHaveLength(1);
  });

  test("are as many as there are different results", () => {
    const points = gridOf(everything, 4, none);
    const perCell = routerNames.map((name) => {
      const { softTopK, attention, seed, threshold } = routerAxes[name];
      return [softTopK, attention, seed, threshold].reduce((count, axis) => count * (axis ? 2 : 1), 1);
    });
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    const gated = perCell.filter((_, i) => !routerAxes[routerNames[i] as (typeof routerNames)[number]].dense);
    // Per choice of layers and part: all routers at r = 2 and 3; at r = 1 those that are not the dense model, and that once.
    const perChoice = 2 * sum(perCell) + sum(gated) + 1;
    expect(points).toHaveLength(1 + 3 * 2 * perChoice);
    expect(new Set(points.map(({ id }) => id)).size).toBe(points.length);
  });

  test("of routers that ignore an axis are one", () => {
    const fixed = axes({
      router: ["truncation"],
      reduction: [2],
      softTopK: ["paper", "exact"],
      seed: [0, 1],
      threshold: [0, 1],
    });
    expect(gridOf(fixed, 2, none).map(({ settings }) => settingsText(settings))).toEqual([
      "dense",
      "truncation, r 2, k-to-k, layers 0-1",
    ]);
  });

  test("that select every token with λ = 1 are one, in every choice of layers and part", () => {
    const whole = { router: routerNames, reduction: [1], layers: ["all", [0]], attention: ["k-to-k", "k-to-all"] };
    expect(gridOf(axes(whole), 2, none).map(({ settings }) => settingsText(settings))).toEqual([
      "dense",
      ...["layers 0-1", "layers 0"].flatMap((layers) => [
        `learned, r 1, k-to-k, paper, ${layers}, seed 0`,
        ...["sigmoid, r 1, k-to-k", "sigmoid, r 1, k-to-all"].map((text) => `${text}, ${layers}, seed 0`),
        ...["k-to-k", "k-to-all"].map((form) => `mixture-of-depths, r 1, ${form}, ${layers}, seed 0`),
        ...["k-to-k", "k-to-all"].map((form) => `threshold, r 1, ${form}, ${layers}, threshold 0, seed 0`),
      ]),
    ]);
  });

  test("of the feed-forward part have no attention form", () => {
    const ffn = axes({ router: ["norm"], reduction: [2], attention: ["k-to-k", "k-to-all"], part: ["ffn"] });
    expect(gridOf(ffn, 2, none)).toHaveLength(2);
  });

  test("name the same layers once, however they are written", () => {
    const twice = axes({ router: ["norm"], reduction: [2], layers: ["all", "0-1", [1, 0]] });
    expect(gridOf(twice, 2, none)).toHaveLength(2);
  });

  test("leave the layers of a mapping dense", () => {
    const task = { metric: "mapping-agreement", layer: 2, head: 0, dense: [2, 3], confidences: null } as const;
    const points = gridOf(axes({ reduction: [2] }), 4, task);
    expect(points[1]?.settings.layers).toEqual([0, 1]);
    expect(() => gridOf(axes({ layers: ["1-2"] }), 4, task)).toThrow(/routes layer 2, whose attention the task reads/);
    expect(() => gridOf(axes({}), 2, task)).toThrow(/task.layer is 2, expected a layer of the host, which has 2/);
    // A layer above the one that is read may be routed where somebody asks for it.
    expect(gridOf(axes({ reduction: [2], layers: [[3]] }), 4, task)[1]?.settings.layers).toEqual([3]);
  });

  test("have ids that depend on nothing but their settings", () => {
    const [, point] = gridOf(axes({ router: ["learned"], reduction: [3] }), 2, none);
    const shuffled = Object.fromEntries(Object.entries(point?.settings ?? {}).reverse());
    expect(pointId(shuffled as typeof densePoint)).toBe(point?.id);
    expect(canonical(densePoint)).toBe(
      '{"router":"dense","reduction":null,"attention":null,"softTopK":null,"part":null,"layers":null,"threshold":null,"seed":null}',
    );
    expect(pointId(densePoint)).toMatch(/^[0-9a-f]{12}$/);
  });
});

describe("policies", () => {
  test("all routers by name are known, here and to coda", () => {
    expect([...routerNames].sort()).toEqual([...codaNames, "oracle"].sort());
  });

  test("are made of every point", () => {
    for (const { settings } of gridOf(everything, 4, none)) {
      const policy = policyOf(settings, 4);
      if (settings.router === "dense") expect(policy).toBeNull();
      else {
        expect(policy?.router.name).toBe(settings.router);
        const expected = [0, 1, 2, 3].map((layer) =>
          settings.layers?.includes(layer) === true ? settings.reduction : null,
        );
        expect(policy?.reduction).toEqual(expected);
      }
    }
  });

  test("that coda refuses are named", () => {
    const [, point] = gridOf(axes({ router: ["separate"], part: ["ffn"], reduction: [2] }), 2, none);
    expect(() => policyOf(point?.settings ?? densePoint, 2)).toThrow(/^the point separate, r 2, .*ffn only/);
  });
});

describe("shards", () => {
  test.each(["1/1", "2/2", " 3/16 "])("%s", (text) => {
    const { index, count } = parseShard(text);
    expect(`${index}/${count}`).toBe(text.trim());
  });

  test.each(["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1.5/4", "", "1/4/2"])("%j is refused", (text) => {
    expect(() => parseShard(text)).toThrow(/expected i\/n with 1 <= i <= n/);
  });

  test("share out all points, each to one, evenly", () => {
    const points = gridOf(axes({ router: ["norm", "learned"], seed: [0, 1, 2] }), 4, none);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: points.length + 3 }), (count) => {
        const shards = Array.from({ length: count }, (_, i) => pointsOf(points, { index: i + 1, count }));
        const sizes = shards.map(({ length }) => length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        expect(
          shards
            .flat()
            .map(({ id }) => id)
            .sort(),
        ).toEqual(points.map(({ id }) => id).sort());
      }),
    );
  });
});

test.each([
  [[0, 1, 2, 5], "0-2,5"],
  [[3], "3"],
  [[0, 2, 4], "0,2,4"],
])("layers %j are written as %s", (layers, text) => {
  expect(layersText(layers)).toBe(text);
});
