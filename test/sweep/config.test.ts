/** @file The configuration of a sweep: defaults, and one clear error for everything else. */

import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { readSweepConfig } from "../../src/sweep/config.ts";
import { chosenLayers } from "../../src/sweep/layers.ts";

const least = {
  model: { folder: "model" },
  data: { kind: "lines", files: { lines: "in.txt" } },
  axes: {},
};

const labelled = { ...least.data, files: { lines: "in.txt", labels: "labels.txt" } };
const reactions = { kind: "reactions-csv", files: { table: "rxns.csv.gz" } };

function refusal(value: unknown): string {
  try {
    readSweepConfig(value, "sweep");
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError);
    expect((error as EngineError).code).toBe("BAD_CONFIG");
    return (error as EngineError).message;
  }
  throw new Error("nothing was refused");
}

describe("what is read", () => {
  test("the least there can be, with the defaults", () => {
    expect(readSweepConfig(least, "name")).toEqual({
      name: "name",
      model: { folder: "model", config: null, weights: null, tokenizer: null, precision: "f32" },
      data: { kind: "lines", files: { lines: "in.txt" }, column: "label", every: 1, limit: null },
      task: { metric: "none" },
      adapters: {},
      active: null,
      batch: 1024,
      timed: 3,
      axes: {
        router: ["learned"],
        reduction: [2, 3, 5, 8],
        attention: ["k-to-k"],
        softTopK: ["paper"],
        layers: ["all"],
        part: ["layer"],
        threshold: [0],
        seed: [0],
      },
      output: null,
    });
  });

  test("a mapping keeps the layers from its own on dense", () => {
    const { task, data } = readSweepConfig({ ...least, data: reactions, task: { metric: "mapping-agreement" } }, "x");
    expect(task).toEqual({ metric: "mapping-agreement", layer: 10, head: 5, dense: [10, 11], confidences: null });
    expect(data.column).toBe("rxn");
  });

  test("the only adapter runs", () => {
    expect(readSweepConfig({ ...least, adapters: { a: "seq_bn" } }, "x").active).toBe("a");
  });

  test("a configuration of the model may stand in the file", () => {
    const { model } = readSweepConfig({ ...least, model: { folder: "m", config: { model_type: "vit" } } }, "x");
    expect(model.config).toEqual({ model_type: "vit" });
  });
});

describe("what is refused, naming the field", () => {
  test.each([
    [[], /the sweep is \[\], expected an object/],
    [{ ...least, axis: {} }, /the sweep has the unknown field "axis"; known: name, model, data/],
    [{ ...least, axes: { routers: ["learned"] } }, /axes has the unknown field "routers"/],
    [{ ...least, axes: { router: [] } }, /axes.router is \[\], expected a list with at least one entry/],
    [
      { ...least, axes: { router: ["learned", "best"] } },
      /axes.router\[1\] is "best", expected one of learned, sigmoid/,
    ],
    [{ ...least, axes: { router: ["norm", "norm"] } }, /axes.router\[1\] is "norm", expected every entry once/],
    [{ ...least, axes: { reduction: [0.5] } }, /axes.reduction\[0\] is 0.5, expected a number of at least 1/],
    [{ ...least, axes: { reduction: 3 } }, /axes.reduction is 3, expected a list/],
    [{ ...least, axes: { layers: ["8-"] } }, /axes.layers\[0\] is "8-", expected "all", or ranges/],
    [{ ...least, axes: { layers: ["8-3"] } }, /expected ranges that ascend/],
    [{ ...least, axes: { layers: [[-1]] } }, /axes.layers\[0\]\[0\] is -1, expected a whole number from 0/],
    [{ ...least, axes: { layers: [[]] } }, /axes.layers\[0\] is \[\]/],
    [{ ...least, axes: { seed: [1.5] } }, /axes.seed\[0\] is 1.5/],
    [{ ...least, model: {} }, /model.folder is missing, expected a text/],
    [{ ...least, model: { folder: "m", precision: "f64" } }, /model.precision is "f64", expected one of f32, f16/],
    [{ ...least, data: { kind: "parquet", files: {} } }, /data.kind is "parquet", expected one of reactions-csv/],
    [{ ...least, data: { kind: "idx-images", files: { images: "a" } } }, /data.files.labels is missing/],
    [
      { ...least, data: { kind: "lines", files: { lines: "a", table: "b" } } },
      /data.files has the unknown field "table"/,
    ],
    [{ ...least, data: { ...least.data, column: "x" } }, /data.column is "x", expected nothing: lines has no table/],
    [{ ...least, data: { ...least.data, limit: 0 } }, /data.limit is 0, expected a whole number from 1/],
    [{ ...least, task: { metric: "accuracy" } }, /data.files.labels is missing, expected a file/],
    [{ ...least, data: labelled, task: { metric: "accuracy", layer: 1 } }, /task has the unknown field "layer"/],
    [
      { ...least, task: { metric: "mapping-agreement" } },
      /task.metric is "mapping-agreement", expected a metric for lines/,
    ],
    [{ ...least, adapters: { a: "seq_bn", b: "lora" } }, /active is missing, expected a composition/],
    [{ ...least, batch: 0 }, /batch is 0, expected a whole number from 1/],
    [{ ...least, timed: -1 }, /timed is -1, expected a whole number from 0/],
  ])("%j", (value, message) => {
    expect(refusal(value)).toMatch(message);
  });
});

describe("layers", () => {
  test.each([
    ["all", 3, [], [0, 1, 2]],
    ["all", 4, [2, 3], [0, 1]],
    ["8-11", 12, [], [8, 9, 10, 11]],
    ["0-1, 3", 4, [], [0, 1, 3]],
    ["2", 3, [], [2]],
    [[3, 1, 1], 4, [], [1, 3]],
  ])("%j of %d without %j", (choice, count, dense, expected) => {
    expect(chosenLayers(choice, count, dense)).toEqual(expected);
  });

  test.each([
    ["8-12", 12, [], /names layer 12; the host has 12/],
    ["0-999999999999", 12, [], /names layer 999999999999/],
    [[5], 5, [], /names layer 5/],
    ["all", 2, [0, 1], /at least one layer/],
  ])("%j of %d without %j is refused", (choice, count, dense, message) => {
    expect(() => chosenLayers(choice, count, dense)).toThrow(message);
  });
});
