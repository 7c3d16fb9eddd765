/** @file `doctor`: finds nothing where nothing is wrong, and finds a kernel that is. */

import { describe, expect, test } from "vitest";
import { caseTables } from "../../src/cases/index.ts";
import { checkKernels, quickDoctor } from "../../src/cli/doctor/kernels.ts";
import type { KernelCheck } from "../../src/cli/doctor/kernels.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { KernelSource } from "../../src/gpu/kernel-source.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { commandLine } from "./fixture.ts";

/** A device whose compiler misreads one kernel. */
function sabotaged(gpu: Gpu, kernel: string, right: string, wrong: string): Gpu {
  const pipeline = (source: KernelSource): ReturnType<Gpu["pipeline"]> =>
    gpu.pipeline(source.label.startsWith(kernel) ? { ...source, code: source.code.replace(right, wrong) } : source);
  return new Proxy(gpu, {
    get: (target, name) => {
      if (name === "pipeline") return pipeline;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

describe("doctor", () => {
  test("reports device, waiting and verdicts as JSON", async () => {
    const { code, out } = await commandLine(["doctor", "--quick", "--op", "softmax,top-k,attention", "--json"]);
    const found = JSON.parse(out) as KernelCheck & {
      device: { name: string };
      limits: object;
      waiting: { busy: number; polite: boolean };
    };
    expect(code).toBe(0);
    expect(found.ok).toBe(true);
    expect([...new Set(found.variants.map(({ op }) => op))].sort()).toEqual(["attention", "softmax", "top-k"]);
    expect(found.device.name).not.toBe("");
    expect(found.waiting.polite).toBe(found.waiting.busy < 0.5);
    for (const { worst } of found.variants) expect(worst?.error).toBeLessThanOrEqual(worst?.tolerance as number);
  });

  test("as text, with a table", async () => {
    const { code, out } = await commandLine(["doctor", "--quick", "--op", "fill"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^adapter /m);
    expect(out).toMatch(/^fill +item +\d+ .* ok$/m);
    expect(out).toMatch(/^all right: /m);
  });

  test("an unknown op is an error", async () => {
    expect(await commandLine(["doctor", "--op", "sorcery"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("there is no op sorcery"),
    });
  });

  test("every op has cases that are small enough to check", () => {
    for (const { stem, cases } of caseTables)
      expect(cases.filter(({ bench }) => bench !== true).length, stem).toBeGreaterThan(0);
  });

  test("finds a wrong kernel and names it, and only it", async () => {
    const gpu = sabotaged(await sharedGpu(), "softmax", "e = exp(", "e = 1.001 * exp(");
    const wrong = sabotaged(gpu, "softmax", "/ total", "/ (1.001 * total)");
    const check = await checkKernels(wrong, { quick: true, ops: ["softmax", "fill"] });
    expect(check.ok).toBe(false);
    expect(new Set(check.variants.filter(({ failures }) => failures.length > 0).map(({ op }) => op))).toEqual(
      new Set(["softmax"]),
    );
  });

  test("a kernel that does not compile is a finding, not the end", async () => {
    const wrong = sabotaged(await sharedGpu(), "softmax", "let total", "let let");
    const check = await checkKernels(wrong, { quick: true, ops: ["softmax", "fill"] });
    expect(check.variants.find(({ op }) => op === "softmax")?.failures[0]?.detail).toContain("COMPILE");
    expect(check.variants.find(({ op }) => op === "fill")?.failures).toEqual([]);
  });

  test("quickDoctor stops when it is told to", async () => {
    const controller = new AbortController();
    controller.abort(new Error("enough"));
    await expect(quickDoctor(await sharedGpu(), () => undefined, controller.signal)).rejects.toThrow("enough");
  });
});
