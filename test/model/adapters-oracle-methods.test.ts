/** @file Adapters of ours and of PEFT against float64 formulas on the oracle's hosts, from files through the public interface. */

import { describe, expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import { memoryFolder } from "../formats/memory-folder.ts";
import type { Files } from "../oracle/adapter-files.ts";
import { readHost } from "../oracle/host.ts";
import { Draw } from "../oracle/random-draw.ts";
import { randomHost } from "../oracle/random-host.ts";
import { shaken, toleranceBetween } from "../oracle/sensitivity.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { methods } from "./oracle-methods.ts";
import { apart, hiddenOf } from "./oracle-run.ts";

/** A change that no rounding makes. */
const VISIBLE = 1e-3;

const inputs: readonly (readonly number[])[] = [[3, 7, 11, 2, 19], [5], [22, 1, 9, 9, 4, 13, 8]];

const cases = methods.flatMap((method) => method.families.map((family) => [method.name, family, method] as const));

describe.each(cases)("%s on %s", (_name, family, method) => {
  test.each([1, 2])("seed %i", async (seed) => {
    const sizes = randomHost(seed, family);
    const files = method.files(sizes, new Draw(seed + 100));
    const run = (host: Files, adapter: Files): Float64Array[] => {
      const read = readHost(host);
      return inputs.map((ids) => Float64Array.from(method.run(read, adapter, ids).flatMap((row) => [...row])));
    };
    const expected = run(sizes.files, files);
    const noise = new Draw(1);
    const tolerance = toleranceBetween(expected, run(shaken(sizes.files, noise), shaken(files, noise)));
    expect(tolerance).toBeLessThan(VISIBLE);
    const model = await loadFolder(await sharedGpu(), memoryFolder(Object.entries(sizes.files)));
    try {
      await model.addAdapter("a", method.input(files));
      const without = hiddenOf(await model.run({ ids: inputs }));
      expect(apart(without, expected)).toBeGreaterThan(VISIBLE);
      model.setActive("a");
      const found = hiddenOf(await model.run({ ids: inputs }));
      expect(apart(found, expected)).toBeLessThanOrEqual(tolerance);
    } finally {
      await model.dispose();
    }
  });
});
