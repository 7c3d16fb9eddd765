/** @file Files of trained routers: what is read is what was written, with the options they were trained under; others are refused. */

import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../../src/formats/safetensors-writer.ts";
import { fromFloat32 } from "../../src/formats/tensor.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { readRouters, routersFile } from "../../src/model/routers-file.ts";
import { loadRouters, saveRouters } from "../../src/node.ts";
import { codaFromJson, codaToJson } from "../../src/routing/coda-json.ts";
import { coda } from "../../src/routing/coda.ts";
import type { CodaOptions } from "../../src/routing/coda.ts";
import { routers } from "../../src/routing/routers/index.ts";
import { useFolder } from "../cli/fixture.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";
import { inputOf } from "./coda-case.ts";
import { hiddenOf } from "./lively.ts";

const tiny = tinyModel("bert");
const folder = useFolder();
let model: Model;
beforeAll(async () => {
  model = await loadFolder(await sharedGpu(), tiny.folder, {});
});
afterAll(async () => model.dispose());

/** Every option away from its default, for routers with settings, with two vectors, without any. */
const policies: readonly CodaOptions[] = [
  { reduction: 3 },
  {
    reduction: 2.5,
    attention: "k-to-all",
    softTopK: "exact",
    epsilon: 0.5,
    iterations: 7,
    epsilonStart: 2,
    epsilonDecay: 0.9,
    lambda: 1,
    adapter: "task",
    seed: 5,
  },
  { reduction: 2, part: "attention", block: 4 },
  { reduction: 2, router: routers.threshold({ threshold: -0.25 }) },
  { reduction: 2, router: routers.separate({ keyReduction: 1.5, weighKeys: false }) },
  { reduction: 2, router: "random", seed: 9 },
];

test.each(policies)("%j as JSON is the same policy", (options) => {
  const policy = coda(options);
  const again = codaFromJson(JSON.parse(JSON.stringify(codaToJson(policy))) as Record<string, unknown>);
  const { router, ...rest } = policy;
  expect(again).toMatchObject(rest);
  expect({ name: again.router.name, settings: again.router.settings }).toEqual({
    name: router.name,
    settings: router.settings,
  });
});

describe("a file of routers", () => {
  test.each<CodaOptions>([
    { reduction: 2, seed: 3 },
    { reduction: 2, seed: 3, router: routers.separate({ keyReduction: 1.5 }) },
  ])("gives the vectors and options of %j, and so the same bits", async (options) => {
    const input = inputOf("bert", [7, 5]);
    model.setRouting(coda(options));
    const before = await model.run(input, { outputs: ["hidden", "routing"] });
    const path = folder.file("deep/routers.safetensors");
    await saveRouters(model, path);
    model.setRouting(coda({ ...options, seed: 4 }));
    const other = await model.run(input, { outputs: ["hidden"] });
    expect(hiddenOf(other)).not.toEqual(hiddenOf(before));
    const policy = await loadRouters(path);
    model.setRouting(policy);
    const after = await model.run(input, { outputs: ["hidden", "routing"] });
    expect(hiddenOf(after)).toEqual(hiddenOf(before));
    expect(policy.seed).toBe(3);
    // Other options over the same vectors: the scores of layer 0 stay.
    model.setRouting(await loadRouters(path, { reduction: 4 }));
    const fewer = await model.run(input, { outputs: ["routing"] });
    expect(fewer.routing?.[0]?.scores).toEqual(before.routing?.[0]?.scores);
    expect(fewer.routing?.[0]?.trained).toBe(true);
    expect(fewer.routing?.[0]?.selected).toHaveLength(4);
  });

  test("of nothing is refused", () => {
    model.setRouting(null);
    expect(() => routersFile(model)).toThrow("no routers with trained vectors are set");
    model.setRouting(coda({ reduction: 2, router: "norm" }));
    expect(() => routersFile(model)).toThrow("no routers with trained vectors are set");
  });

  test("that is broken, of something else or of another version is refused by name", async () => {
    const one = fromFloat32("a", [2], Float32Array.of(1, 2));
    const header = { format: "adapters-webgpu/routers", version: "1", order: "a", policy: '{"reduction":2}' };
    const read = (changes: Readonly<Record<string, string>>): unknown =>
      readRouters(writeSafetensors([one], { ...header, ...changes }), "r.safetensors");
    expect(read({})).toMatchObject({ reduction: 2, weights: [Float32Array.of(1, 2)] });
    expect(() => read({ format: "pt" })).toThrow("r.safetensors: this is no file of trained routers");
    expect(() => read({ version: "2" })).toThrow("r.safetensors: its version is 2, this engine reads 1");
    expect(() => read({ order: "a\nb" })).toThrow("r.safetensors: b is missing");
    expect(() => read({ policy: "[" })).toThrow("r.safetensors: the policy in its header is not a JSON object");
    expect(() => read({ policy: '{"reduction":2,"router":"own"}' })).toThrow('there is no router "own"');
    model.setRouting(coda({ reduction: 2 }));
    const path = folder.file("routers.safetensors");
    await saveRouters(model, path);
    const bytes = await readFile(path);
    await writeFile(path, bytes.subarray(0, bytes.length - 1));
    await expect(loadRouters(path)).rejects.toMatchObject({ code: "BAD_FILE" });
    await expect(loadRouters(folder.file("none"))).rejects.toMatchObject({ code: "NOT_FOUND" });
    // Routers of another host.
    const short = readRouters(writeSafetensors([one], header), "r.safetensors");
    expect(() => model.setRouting(short)).toThrow("weights holds 1 vectors of 2");
  });
});
