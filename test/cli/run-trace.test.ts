/** @file Traces that `run` writes: what they say of texts, ids, sounds and pictures beside the routing. */

import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { parseTrace } from "../../src/routing/trace.ts";
import type { RoutingTrace } from "../../src/routing/trace.ts";
import { commandLine, useFolder, writeTinyModel } from "./fixture.ts";

const folder = useFolder();
const data = (path: string): string => new URL(`../../../shared/data/${path}`, import.meta.url).pathname;

/** The trace and the report of a routed run. */
async function routed(...args: string[]): Promise<{ trace: RoutingTrace; report: string }> {
  const [trace, report] = [folder.file("trace.json"), folder.file("report.html")];
  const { code, err } = await commandLine(["run", ...args, "--trace", trace, "--report", report]);
  expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" });
  return { trace: parseTrace(await readFile(trace, "utf8")), report: await readFile(report, "utf8") };
}

describe("a tiny model", () => {
  test("says which part is routed, and what a head predicted", async () => {
    await writeTinyModel(folder.file("model"));
    await writeFile(folder.file("in.txt"), "the cat sat\nthe dog sat on a mat\n");
    const json = folder.file("run.json");
    const { trace } = await routed(
      "--model",
      folder.file("model"),
      "--input",
      folder.file("in.txt"),
      "--adapter",
      "task=coda",
      "--route",
      "r=2/null/3,part=ffn",
      "--outputs",
      "heads.default",
      "--json",
      json,
    );
    const { sequences } = JSON.parse(await readFile(json, "utf8")) as {
      sequences: { heads: { default: { logits: number[] } } }[];
    };
    expect(trace).toMatchObject({ version: 2, layers: 3, settings: { part: "ffn" } });
    trace.sequences.forEach(({ layers, predicted }, index) => {
      expect(layers.map((layer) => layer?.part ?? null)).toEqual(["ffn", null, "ffn"]);
      const { logits } = (sequences[index] as (typeof sequences)[number]).heads.default;
      expect(predicted).toBe(String(logits.indexOf(Math.max(...logits))));
    });
  });

  test("tells ids from digits", async () => {
    await writeFile(folder.file("ids.jsonl"), '{"ids": [2, 4, 5, 3]}\n');
    const { trace } = await routed(
      "--model",
      folder.file("model"),
      "--input",
      folder.file("ids.jsonl"),
      "--adapter",
      "task=coda",
      "--route",
      "r=2",
    );
    expect(trace.sequences[0]).toMatchObject({ tokens: ["2", "4", "5", "3"], types: ["id", "id", "id", "id"] });
  });
});

describe.skipIf(!existsSync(data("kwt1-speech-commands")))("published audio model", () => {
  test("has the waveform of every clip, its label and the prediction", async () => {
    const kwt = data("kwt1-speech-commands");
    const { trace, report } = await routed(
      "--model",
      kwt,
      "--input",
      `${kwt}/clips.i16.gz`,
      "--tsv",
      `${kwt}/clips.tsv`,
      "--limit",
      "3",
      "--adapter",
      "task=coda",
      "--route",
      "r=1",
      "--outputs",
      "heads.default",
      "--json",
      folder.file("kwt.json"),
    );
    const table = (await readFile(`${kwt}/clips.tsv`, "utf8")).split("\n").map((line) => line.split("\t"));
    expect(trace.sequences).toHaveLength(3);
    trace.sequences.forEach(({ label, audio, tokens, predicted }, clip) => {
      expect(label).toBe(table[clip + 1]?.[2]);
      expect(predicted).toMatch(/^\d+$/);
      expect(audio).toMatchObject({ seconds: 1, frames: 98 });
      expect(tokens).toHaveLength(99);
      // Recorded sound, not silence.
      expect(audio?.envelope.some(([low, high]) => high - low > 0.001)).toBe(true);
    });
    expect(report.match(/class="wave"/g)).toHaveLength(3);
    expect(report).toContain("Right answers");
  });
});

const mnist = data("mnist-t10k/t10k-images-idx3-ubyte.gz");

describe.skipIf(!existsSync(mnist) || !existsSync(data("mnist-vit-tiny")))("published image model", () => {
  test("has the picture under its patches", async () => {
    await writeFile(folder.file("vit.json"), '{ "model_type": "vit" }');
    const { trace, report } = await routed(
      "--model",
      data("mnist-vit-tiny"),
      "--config",
      folder.file("vit.json"),
      "--weights",
      "mnist_vit.pth",
      "--images",
      mnist,
      "--limit",
      "2",
      "--adapter",
      "task=coda",
      "--route",
      "r=2",
    );
    for (const { image, tokens, layers } of trace.sequences) {
      expect(image).toMatchObject({ width: 28, height: 28, channels: 1, patch: 7 });
      expect(tokens).toHaveLength(16);
      expect(layers.every((layer) => layer?.selected.length === 8)).toBe(true);
    }
    expect(report.match(/href="data:image\/png;base64,/g)).toHaveLength(2);
  });
});
