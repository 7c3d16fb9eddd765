/** @file `inspect`: contents, cost and misfits of a checkpoint. */

import { beforeAll, describe, expect, test } from "vitest";
import { commandLine, tiny, useFolder, writeTinyModel } from "./fixture.ts";

const folder = useFolder();

beforeAll(async () => {
  await writeTinyModel(folder.file("good"));
  await writeTinyModel(folder.file("bad"), (all) =>
    all
      .filter(({ name }) => name !== "classifier.bias")
      .map((tensor) => (tensor.name === "bert.pooler.dense.bias" ? { ...tensor, shape: [2, 8] } : tensor)),
  );
});

interface Passes {
  readonly fits: boolean;
  readonly rows: number[];
  readonly host: {
    readonly shape: { readonly layers: number };
    readonly ignored: { tensor: string; reason: string }[];
    readonly residentBytes: number;
  };
  readonly contents: { readonly tensors: number; readonly bytes: number };
  readonly dense: { readonly flops: number; readonly launches: number };
  readonly routed: { readonly flops: number } | null;
}

describe("a checkpoint that fits", () => {
  test("is described, and a routed pass costs less", async () => {
    const { code, out } = await commandLine([
      "inspect",
      folder.file("good"),
      "--rows",
      "24,24",
      "--route",
      "r=3",
      "--json",
    ]);
    expect(code).toBe(0);
    const found = JSON.parse(out) as Passes;
    expect(found).toMatchObject({
      fits: true,
      rows: [24, 24],
      host: {
        shape: { layers: tiny.layers },
        ignored: [{ tensor: "cls.predictions.bias", reason: "head of another task" }],
      },
    });
    expect(found.dense.launches).toBeGreaterThan(tiny.layers);
    expect(found.routed?.flops).toBeLessThan(0.7 * found.dense.flops);
    expect(found.host.residentBytes).toBeGreaterThan(0.9 * found.contents.bytes);
  });

  test("matmuls alone give the FLOPs that the formula gives", async () => {
    const { out } = await commandLine(["inspect", folder.file("good"), "--rows", "10", "--json"]);
    const { dense } = JSON.parse(out) as Passes;
    const { width, ffn, layers } = tiny;
    const matmuls = layers * 10 * (2 * width * width * 4 + 2 * width * ffn * 2);
    const attention = layers * 4 * 10 * 10 * width;
    expect(dense.flops).toBeGreaterThanOrEqual(matmuls + attention);
    // Norms, softmax, activations and embeddings are a few operations per element, and this model is narrow.
    expect(dense.flops).toBeLessThan(1.5 * (matmuls + attention));
  });

  test("as text, by layer, and defaults to what the position table allows", async () => {
    const { code, out } = await commandLine(["inspect", folder.file("good")]);
    expect(code).toBe(0);
    expect(out).toContain(`a sequence of ${tiny.positions} tokens`);
    for (const part of ["layers.0", "layers.2", "left alone", "matched", "arena"]) expect(out).toContain(part);
  });
});

describe("what does not fit", () => {
  test("is listed whole, as text and as JSON, with code 2", async () => {
    const { code, out, err } = await commandLine(["inspect", folder.file("bad"), "--json"]);
    expect(code).toBe(2);
    const { fits, error } = JSON.parse(out) as { fits: boolean; error: { code: string; problems: string[] } };
    expect({ fits, code: error.code }).toEqual({ fits: false, code: "BAD_WEIGHTS" });
    expect(error.problems).toEqual([
      "wrong shape: bert.pooler.dense.bias is [2, 8], expected [16]",
      expect.stringMatching(/^missing: classifier.bias \[3\]/),
    ]);
    for (const problem of error.problems) expect(err).toContain(problem);
  });

  test("more tokens than there are positions", async () => {
    const { code, err } = await commandLine(["inspect", folder.file("good"), "--rows", "25"]);
    expect(code).toBe(2);
    expect(err).toContain("at most 24");
  });
});
