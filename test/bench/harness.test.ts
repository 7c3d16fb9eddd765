/** @file The order of a bench: verify, warm up, take turns; and what happens to a candidate that is wrong. */

import { describe, expect, test } from "vitest";
import { measure, part, speedUp } from "../../src/bench/harness.ts";
import type { Candidate } from "../../src/bench/harness.ts";
import { median, pairedRatio, quantile } from "../../src/bench/statistics.ts";

const good = { ok: true, error: 0, tolerance: 0, detail: "equal" };

function candidate(name: string, log: string[], ok = true, milliseconds: () => number = () => 1): Candidate {
  return {
    name,
    verify: async () => {
      log.push(`verify ${name}`);
      return { ...good, ok };
    },
    run: async () => {
      log.push(`run ${name}`);
      return milliseconds();
    },
  };
}

describe("measure", () => {
  test("verifies all, then warms up and times in turns", async () => {
    const log: string[] = [];
    const steps: string[] = [];
    const candidates = [candidate("a", log), candidate("b", log)];
    const timings = await measure(
      candidates,
      { warmup: 1, rounds: 2 },
      { progress: (done, total) => steps.push(`${done}/${total}`) },
    );
    const turn = ["run a", "run b"];
    expect(log).toEqual(["verify a", "verify b", ...turn, ...turn, ...turn]);
    expect(timings.map(({ samples }) => samples.length)).toEqual([2, 2]);
    expect(steps[0]).toBe("0/8");
    expect(steps.at(-1)).toBe("8/8");
  });

  test("does not time what is wrong", async () => {
    const log: string[] = [];
    const [wrong, right] = await measure(
      [candidate("wrong", log, false), candidate("right", log)],
      { warmup: 0, rounds: 1 },
      { progress: () => {} },
    );
    expect(log).not.toContain("run wrong");
    expect(wrong?.samples).toEqual([]);
    expect(wrong?.verdict.ok).toBe(false);
    expect(right?.median).toBe(1);
  });

  test("leaves warm-up runs out of the samples", async () => {
    let run = 0;
    const [timing] = await measure(
      [candidate("a", [], true, () => (run += 1))],
      { warmup: 2, rounds: 3 },
      { progress: () => {} },
    );
    expect(timing?.samples).toEqual([3, 4, 5]);
  });

  test("stops when the signal is aborted", async () => {
    const controller = new AbortController();
    const log: string[] = [];
    const stopping: Candidate = {
      ...candidate("a", log),
      verify: async () => (controller.abort(new Error("stop")), good),
    };
    const running = measure(
      [stopping, candidate("b", log)],
      { warmup: 0, rounds: 1 },
      { progress: () => {}, signal: controller.signal },
    );
    await expect(running).rejects.toThrow("stop");
    expect(log).toEqual([]);
  });

  test("a part of a context reports its place in the whole", () => {
    const seen: (readonly [number, number])[] = [];
    part({ progress: (done, total) => seen.push([done, total]) }, 2, 4).progress(5, 10, "");
    expect(seen).toEqual([[25, 40]]);
  });
});

describe("statistics", () => {
  test("quantiles interpolate and medians do not depend on order", () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([0, 10], 0.1)).toBe(1);
    expect(median([])).toBeNaN();
  });

  test("ratios are paired by round: a slow round of both does not count", async () => {
    // The machine is ten times slower in the second round; unpaired medians would say 2 of other numbers.
    expect(pairedRatio([2, 40, 6], [1, 20, 3])).toBe(2);
    const base = { name: "base", verdict: good, samples: [2, 40, 6], median: 6, p10: 2, p90: 40 };
    expect(speedUp(base, { ...base, samples: [1, 20, 2] })).toBe(2);
  });
});
