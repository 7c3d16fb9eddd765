/** @file The example of docs/routing.md, taken from the page, compiled and run. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { loadFolder } from "../../src/model/load.ts";
import { coda } from "../../src/routing/coda.ts";
import type { Router } from "../../src/routing/router.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { tinyModel } from "../tiny-models.ts";

const page = readFileSync(new URL("../../docs/routing.md", import.meta.url), "utf8");

test("the router of the page ranks as it says", async () => {
  const [, code] = /```ts\n([^]*?)```/.exec(page) as RegExpExecArray;
  // Beside the sources, so that the package's name can stand for them.
  const folder = mkdtempSync(join(import.meta.dirname, "docs-example-"));
  try {
    const file = join(folder, "loud.ts");
    writeFileSync(file, (code as string).replace('"adapters-webgpu"', '"../../../src/index.ts"'));
    const { loud } = (await import(file)) as { loud: (alpha: number) => Router };
    const model = await loadFolder(await sharedGpu(), tinyModel("albert").folder);
    const input = {
      ids: [
        [1, 5, 9, 2, 7, 3, 8],
        [4, 4, 1],
      ],
    };
    const run = async (router: Router) => {
      model.setRouting(coda({ reduction: 3, router }));
      return model.run(input, { capture: ["layers.0.input"] });
    };
    const quiet = await run(loud(0));
    const out = await run(loud(0.5));
    const x = out.captures["layers.0.input"] as { data: Float32Array; shape: readonly number[] };
    const width = x.shape[1] as number;
    const scores = Array.from(quiet.routing?.[0]?.scores ?? [], (score, row) => {
      const values = x.data.subarray(row * width, (row + 1) * width);
      return score + 0.5 * values.reduce((sum, value) => sum + value * value, 0);
    });
    const first = out.routing?.[0];
    scores.forEach((score, row) => {
      expect(first?.scores[row]).toBeCloseTo(score, 4);
      expect(first?.weights[row]).toBeCloseTo(1 / (1 + Math.exp(-score)), 5);
    });
    const best = (from: number, to: number, k: number): number[] =>
      Array.from({ length: to - from }, (_, i) => from + i)
        .sort((a, b) => (scores[b] as number) - (scores[a] as number))
        .slice(0, k)
        .sort((a, b) => a - b);
    expect(Array.from(first?.selected ?? [])).toEqual([...best(0, 7, 3), ...best(7, 10, 1)]);
    await model.dispose();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the page has a row for every router", async () => {
  const { routerNames } = await import("../../src/routing/routers/index.ts");
  for (const name of [...routerNames, "oracle"]) expect(page).toContain(`| \`${name}\` |`);
});

test("scores and weights are captured by name, in the layers that are routed", async () => {
  const model = await loadFolder(await sharedGpu(), tinyModel("albert").folder);
  model.setRouting(
    coda({ reduction: [null, ...Array<number>(model.host.shape.layers - 1).fill(2)], router: "sigmoid" }),
  );
  const names = ["layers.1.routing.scores", "layers.1.routing.weights"];
  const out = await model.run(
    {
      ids: [
        [1, 5, 9, 2],
        [4, 4, 1],
      ],
    },
    { capture: names },
  );
  const [scores, weights] = names.map((name) => out.captures[name] as { data: Float32Array; segments: Uint32Array });
  expect(scores?.data).toEqual(out.routing?.[1]?.scores);
  expect(weights?.data).toEqual(out.routing?.[1]?.weights);
  expect(scores?.segments).toEqual(Uint32Array.of(0, 4, 7));
  await expect(model.run({ ids: [[1]] }, { capture: ["layers.0.routing.scores"] })).rejects.toThrow(/no value named/);
  await model.dispose();
});
