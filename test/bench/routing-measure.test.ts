/** @file Units of the suite `routing` on this device, small: all three kinds, post-LN and pre-LN, verified and with goals. */

import { describe, expect, test } from "vitest";
import type { EncoderSizes } from "../../src/bench/encoder.ts";
import { baseForm } from "../../src/bench/encoder-forms.ts";
import { routedForms } from "../../src/bench/encoder-table.ts";
import { captureLaunches } from "../../src/bench/routing-launches.ts";
import { measureUnit } from "../../src/bench/routing-measure.ts";
import type { RoutingUnit } from "../../src/bench/routing-units.ts";
import { Encoder } from "../../src/bench/encoder.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const quiet = { progress: (): void => {} };
const sizes: EncoderSizes = { layers: 1, width: 32, heads: 2, ffnWidth: 64, bottleneck: 8 };

function unit(kind: RoutingUnit["kind"], more: Partial<RoutingUnit> = {}): RoutingUnit {
  const forms = kind === "forms" ? [baseForm, ...routedForms([1, 3])] : routedForms([3]);
  const shape = { name: "tiny", title: "A tiny layer", sizes };
  return { id: "tiny/70", part: "tiny", kind, shape, tokens: 70, forms, rounds: 2, sampledAbove: 1e9, ...more };
}

describe("measured units", () => {
  test.each(["bert", "t5"] as const)("forms of a %s layer in turns", async (style) => {
    const gpu = await sharedGpu();
    const shape = { name: "tiny", title: "A tiny layer", sizes: { ...sizes, style } };
    const rows = await measureUnit(gpu, unit("forms", { shape }), quiet);
    expect(rows.map(({ name }) => name)).toEqual([
      "tiny, 1 × 70, dense + adapter",
      "tiny, 1 × 70, routed r = 1, k-to-k",
      "tiny, 1 × 70, routed r = 1, k-to-all",
      "tiny, 1 × 70, routed r = 3, k-to-k",
      "tiny, 1 × 70, routed r = 3, k-to-all",
    ]);
    for (const { verified, timing, cells, table } of rows) {
      expect(verified?.ok, verified?.detail).toBe(true);
      expect(timing?.samples).toHaveLength(2);
      expect(cells["rows checked"]).toBe("all");
      expect(cells.launches).toBeGreaterThan(5);
      expect(table).toBe("A tiny layer");
    }
    expect(rows.map(({ key }) => key)).toEqual([
      { part: "tiny", n: 70 },
      ...routedForms([1, 3]).map(({ reduction, attention }) => ({ part: "tiny", n: 70, r: reduction, attention })),
    ]);
  });

  test("large runs are checked in some rows, goals stand beside their rows, and everything is freed", async () => {
    const gpu = await sharedGpu();
    const large = unit("forms", { id: "stack", part: "stack", sampledAbove: 0 });
    await measureUnit(gpu, large, quiet);
    const before = gpu.memory;
    const rows = await measureUnit(gpu, large, quiet);
    expect(gpu.memory).toEqual(before);
    expect(new Set(rows.map(({ cells }) => cells["rows checked"]))).toEqual(new Set(["some"]));
    expect(rows.map(({ reaches = [] }) => reaches.map(({ measure }) => measure.split(" >=")[0]))).toEqual([
      [],
      [],
      ["realised share"],
      gpu.info.software ? ["speed-up"] : [],
      ["realised share"],
    ]);
  });

  test("the cost of choosing rows", async () => {
    const gpu = await sharedGpu();
    const rows = await measureUnit(gpu, unit("profile"), quiet);
    expect(rows.map(({ name }) => name)).toEqual([
      "tiny, 1 × 70, routed r = 3, k-to-k: choice of rows",
      "tiny, 1 × 70, routed r = 3, k-to-all: choice of rows",
    ]);
    for (const { verified, cells, reaches } of rows) {
      expect(verified?.ok).toBe(true);
      if (gpu.info.clock === "wall") continue;
      expect(cells["share of layer"]).toBeGreaterThan(0);
      expect(cells["share of layer"]).toBeLessThan(1);
      expect(reaches).toHaveLength(1);
    }
  });

  test.each(routedForms([1, 3]))("launches of r = $reduction, $attention: none for capture points", async (form) => {
    const encoder = await Encoder.create(await sharedGpu(), sizes, 1);
    const { off, without, on } = await captureLaunches(encoder, form, 70);
    await encoder.dispose();
    expect(off).toBe(without);
    expect(on).toBeGreaterThan(off);
  });
});
