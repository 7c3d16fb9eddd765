/** @file The synthetic encoder on this device: all forms agree with float64, and a wrong weight or choice does not. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Encoder } from "../../src/bench/encoder.ts";
import type { EncoderSizes } from "../../src/bench/encoder.ts";
import { encoderCandidate } from "../../src/bench/encoder-run.ts";
import { allForms, measureForms } from "../../src/bench/encoder-table.ts";
import { kernelCandidates } from "../../src/bench/kernel-run.ts";
import { peakCase, peakFma, peakReference } from "../../src/bench/peak-fma.ts";
import { Arena } from "../../src/graph/arena.ts";
import { Parameters } from "../../src/graph/parameters.ts";
import { routerName } from "../../src/routing/route.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";

const tiny: EncoderSizes = { layers: 2, width: 32, heads: 2, ffnWidth: 64, bottleneck: 8 };
const quiet = { progress: (): void => {} };
const say = (): void => {};

describe("encoder bench", () => {
  let encoder: Encoder;
  beforeAll(async () => {
    encoder = await Encoder.create(await sharedGpu(), tiny, 7);
  });
  afterAll(() => encoder.dispose());

  test.each(allForms([2, 5]))("$kind $reduction $attention agrees with float64 on ragged sequences", async (form) => {
    const candidate = await encoderCandidate(encoder, form, [37, 1, 20]);
    const verdict = await candidate.verify(say);
    expect(verdict.ok, verdict.detail).toBe(true);
    expect(await candidate.run()).toBeGreaterThan(0);
    candidate.planned.dispose();
  });

  test("of a large run some rows are compared, and whole choices", async () => {
    const form = { kind: "routed", reduction: 2, attention: "k-to-k" } as const;
    const candidate = await encoderCandidate(encoder, form, [150, 30], undefined, 0);
    const verdict = await candidate.verify(say);
    candidate.planned.dispose();
    expect(candidate.sampled).toBe(true);
    expect(verdict.ok, verdict.detail).toBe(true);
    expect(verdict.detail).toMatch(/ in 3[2-9] rows, 0, /);
  });

  test("a pre-LN encoder with a gate and a bias by distance agrees with float64", async () => {
    const other = await Encoder.create(await sharedGpu(), { ...tiny, style: "t5" }, 7);
    try {
      for (const form of allForms([3])) {
        const candidate = await encoderCandidate(other, form, [37, 1, 20]);
        const verdict = await candidate.verify(say);
        candidate.planned.dispose();
        expect(verdict.ok, `${candidate.name}: ${verdict.detail}`).toBe(true);
      }
    } finally {
      await other.dispose();
    }
  });

  test("a weight that changes after the truth was read is found", async () => {
    const other = await Encoder.create(await sharedGpu(), tiny, 7);
    try {
      const first = await encoderCandidate(other, { kind: "dense" }, [16]);
      expect((await first.verify(say)).ok).toBe(true);
      other.parameters.write("layers.1.up.bias", normal(99, 64));
      const fresh = await encoderCandidate(other, { kind: "dense" }, [16]);
      const verdict = await fresh.verify(say);
      expect(verdict.ok).toBe(false);
      expect(verdict.detail).toMatch(/^hidden\[/);
      for (const { planned } of [first, fresh]) planned.dispose();
    } finally {
      await other.dispose();
    }
  });

  test("another router is found in the scores, and named", async () => {
    const other = await Encoder.create(await sharedGpu(), tiny, 7);
    try {
      const form = { kind: "routed", reduction: 2, attention: "k-to-k" } as const;
      const first = await encoderCandidate(other, form, [16]);
      expect((await first.verify(say)).ok).toBe(true);
      other.parameters.write(routerName(1), normal(98, 32));
      const second = await encoderCandidate(other, form, [16]);
      const verdict = await second.verify(say);
      expect(verdict.ok).toBe(false);
      expect(verdict.detail).toMatch(/^routing\.1\.scores/);
      for (const { planned } of [first, second]) planned.dispose();
    } finally {
      await other.dispose();
    }
  });

  test("a timed run that gives other bits than the first one is an error", async () => {
    const other = await Encoder.create(await sharedGpu(), tiny, 7);
    try {
      const candidate = await encoderCandidate(other, { kind: "dense" }, [16]);
      await candidate.run();
      other.parameters.write("layers.0.up.bias", normal(97, 64));
      await expect(candidate.run()).rejects.toThrow(/two runs on the same input differ in hidden/);
      candidate.planned.dispose();
    } finally {
      await other.dispose();
    }
  });

  test("profiles every launch where the device has timestamps", async () => {
    const gpu = await sharedGpu();
    const candidate = await encoderCandidate(encoder, { kind: "routed", reduction: 2, attention: "k-to-all" }, [16]);
    const launches = await candidate.planned.profile();
    candidate.planned.dispose();
    if (gpu.info.clock === "wall") return expect(launches).toEqual([]);
    expect(launches.map(({ op }) => op)).toEqual(
      expect.arrayContaining(["row-dot", "soft-top-k", "top-k", "adapter", "matmul"]),
    );
  });

  test("frees everything", async () => {
    const gpu = await sharedGpu();
    const before = gpu.memory;
    const own = await Encoder.create(gpu, tiny, 1);
    const repeats = { warmup: 0, rounds: 1 };
    const table = { suite: "test", batch: "2 × 9", lengths: [9, 9], forms: allForms([3]), repeats };
    const rows = await measureForms(own, table, quiet);
    await own.dispose();
    expect(gpu.memory).toEqual(before);
    expect(rows.map(({ name }) => name)).toEqual([
      "2 × 9, dense",
      "2 × 9, dense + adapter",
      "2 × 9, routed r = 3, k-to-k",
      "2 × 9, routed r = 3, k-to-all",
    ]);
    for (const { verified, cells } of rows) {
      expect(verified?.ok).toBe(true);
      expect(cells.GFLOP).toBeGreaterThan(0);
    }
    expect(rows[2]?.cells["FLOP ratio"]).toBeGreaterThan(1);
  });
});

test("the multiply-add peak is exact", async () => {
  const gpu = await sharedGpu();
  const room = { gpu, arena: new Arena(gpu), parameters: new Parameters(gpu) };
  const opCase = { ...peakCase(true), attributes: { workgroups: 1, rounds: 1000 } };
  const [peak] = await kernelCandidates(room, peakFma, peakReference, opCase);
  expect((await peak?.verify(say))?.error).toBe(0);
  peak?.planned.dispose();
  await room.arena.dispose();
  room.parameters.dispose();
});
