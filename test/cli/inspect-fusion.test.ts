/** @file `inspect fusion`: mean weights per layer and adapter are those of the library's captures. */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { writeFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { fuse, loadModel } from "../../src/node.ts";
import type { Tensor } from "../../src/node.ts";
import { dataPath } from "../data.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { writeTinyAdapter, writeTinyFusion } from "./adapter-fixture.ts";
import { commandLine, tiny, useFolder, writeTinyModel } from "./fixture.ts";

const folder = useFolder();
const texts = ["the cat sat on the mat", "a dog", "the dog and the cat sat"];

interface Use {
  readonly sequences: number;
  readonly tokens: number;
  readonly places: { layer: number; place: string; weights: Record<string, number> }[];
}

/** The fusion of x and y under the names that are given. */
function words(names: readonly [string, string], ...more: string[]): string[] {
  const adapters = names.flatMap((name, index) => ["--adapter", `${name}=${folder.file(index === 0 ? "x" : "y")}`]);
  const base = ["inspect", "fusion", folder.file("fused"), "--host", folder.file("host")];
  return [...base, ...adapters, "--inputs", folder.file("in.txt"), ...more];
}

beforeAll(async () => {
  await writeTinyModel(folder.file("host"));
  await writeTinyAdapter(folder.file("x"), "seq_bn", { seed: 1 });
  await writeTinyAdapter(folder.file("y"), "double_seq_bn", { seed: 2 });
  await writeTinyFusion(folder.file("fused"), ["x", "y"]);
  await writeFile(folder.file("in.txt"), texts.join("\n"));
});

describe("weights over a data set", () => {
  test("are the means over all tokens, whatever the batches, with the adapters that stand at a place", async () => {
    const { code, out } = await commandLine(words(["x", "y"], "--json", "--batch", "2"));
    expect(code).toBe(0);
    const { sequences, tokens, places } = JSON.parse(out) as Use;
    const model = await loadModel(await sharedGpu(), folder.file("host"));
    try {
      await model.addAdapter("x", folder.file("x"));
      await model.addAdapter("y", folder.file("y"));
      await model.addFusion(["x", "y"], folder.file("fused"));
      model.setActive(fuse("x", "y"));
      const layers = Array.from({ length: tiny.layers }, (_, layer) => layer);
      const capture = layers.flatMap((n) => [`layers.${n}.attention.fusion.weights`, `layers.${n}.fusion.weights`]);
      const { captures } = await model.run({ texts }, { capture, outputs: [] });
      const expected = capture.map((name) => {
        const { data, shape } = captures[name] as Tensor;
        const [rows = 0, columns = 0] = shape;
        const mean = (column: number): number =>
          data.reduce((sum, weight, at) => sum + (at % columns === column ? weight : 0), 0) / rows;
        return { rows, means: Array.from({ length: columns }, (_, column) => mean(column)) };
      });
      expect({ sequences, tokens }).toEqual({ sequences: 3, tokens: expected[0]?.rows });
      expect(places.map(({ layer, place }) => `${layer} ${place}`)).toEqual(
        layers.flatMap((layer) => [`${layer} attention`, `${layer} ffn`]),
      );
      places.forEach(({ place, weights }, index) => {
        expect(Object.keys(weights)).toEqual(place === "attention" ? ["y"] : ["x", "y"]);
        // Means of f32 numbers up to 1; the sums are in float64 on both sides.
        Object.values(weights).forEach((weight, column) =>
          expect(weight).toBeCloseTo(expected[index]?.means[column] as number, 6),
        );
      });
    } finally {
      await model.dispose();
    }
  });

  test("as a table, under other names in the order given, and the largest alone", async () => {
    const whole = await commandLine(words(["first", "second"]));
    expect(whole.code).toBe(0);
    expect(whole.out).toMatch(/^ +layer +first +second$/m);
    expect(whole.out).toMatch(/^0 attention +– +1\.000$/m);
    const top = await commandLine(words(["first", "second"], "--top", "1"));
    expect(top.out).toMatch(/^ +2 +(first|second) 0\.\d{3}$/m);
    expect(top.out).toMatch(/^ +mean +\w+ 0\.\d{3}$/m);
  });
});

describe("bad input ends with code 2", () => {
  test.each([
    [["inspect", "fusion"], /inspect fusion needs the folder/],
    [["inspect", "fusion", "f"], /needs --host/],
    [["inspect", "fusion", "f", "--host", "h"], /needs --inputs/],
    [
      ["inspect", "fusion", "f", "--host", "h", "--inputs", "i", "--adapter", "a"],
      /expected NAME=PRESET or NAME=FOLDER/,
    ],
    [["inspect", "fusion", "f", "--host", "h", "--inputs", "i", "--top", "0"], /--top is "0"/],
  ])("%j", async (args, message) => {
    const { code, err, out } = await commandLine(args);
    expect(err).toMatch(message);
    expect({ code, out }).toEqual({ code: 2, out: "" });
  });

  test("too few adapters, a folder without a fusion, inputs that are not there", async () => {
    const few = await commandLine(
      words(["x", "y"]).filter((word, index, all) => !word.startsWith("y=") && !all[index + 1]?.startsWith("y=")),
    );
    expect(few).toMatchObject({
      code: 2,
      out: "",
      err: expect.stringContaining("joins 2 adapters (x, y), 1 are given"),
    });
    const no = await commandLine(
      words(["x", "y"]).map((word) => (word === folder.file("fused") ? folder.file("x") : word)),
    );
    expect(no).toMatchObject({ code: 2, out: "", err: expect.stringContaining("adapter_fusion_config.json") });
    const lost = await commandLine(words(["x", "y"]).map((word) => (word.endsWith("in.txt") ? "lost.txt" : word)));
    expect(lost).toMatchObject({ code: 2, out: "", err: expect.stringContaining("lost.txt is not there") });
  });
});

const golden = dataPath("adapters-golden/bert");

describe.skipIf(!existsSync(golden))("the library's own fusion", () => {
  test("leaves out the layers that its adapters leave out", async () => {
    const files = join(golden, "cases", "fuse_leave_out");
    const adapters = ["a", "b", "c"].flatMap((name) => ["--adapter", `${name}=${join(files, "adapters", name)}`]);
    await writeFile(folder.file("ids.jsonl"), '{"ids":[2,17,45,3,88]}\n{"ids":[2,5,61,61,9]}\n');
    const fusion = join(files, "fusions", readdirSync(join(files, "fusions"))[0] as string);
    const args = ["inspect", "fusion", fusion, "--host", join(golden, "base"), ...adapters];
    const { code, out } = await commandLine([...args, "--inputs", folder.file("ids.jsonl"), "--json"]);
    expect(code).toBe(0);
    const { places } = JSON.parse(out) as Use;
    expect(places.length).toBeGreaterThan(0);
    expect(places.length).toBeLessThan(4);
    for (const { weights } of places)
      expect(Object.values(weights).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
  });
});
