/** @file The output folder of a training: which checkpoints stay, broken ones, a full disk, metrics that go on. */

import { mkdir, readFile, readdir, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { EngineError } from "../../src/errors.ts";
import { CheckpointStore, MetricsFile } from "../../src/cli/train/store.ts";
import { beginning } from "../../src/train/loop-state.ts";
import type { Checkpoint } from "../../src/train/checkpoint.ts";
import { stepLine } from "../train/loop-fake.ts";
import { useFolder } from "./fixture.ts";

const folder = useFolder();
const identity = { config: "a", model: "b", data: "c" };

function checkpoint(step: number, best: number | null = null): Checkpoint {
  return {
    identity,
    loop: { ...beginning, step, best: best === null ? null : { step: best, value: 1, scores: {} } },
    schedule: { kind: "constant", learningRate: 1, warmup: 0, steps: 100 },
    generator: { kind: "philox4x32-10", seed: 0 },
    trainer: { tensors: { w: Float32Array.of(step, 2, 3) }, updates: { w: step }, passes: step },
  };
}

async function store(name: string, steps: readonly [number, number | null][]): Promise<CheckpointStore> {
  const made = new CheckpointStore(folder.file(name));
  await made.prepare();
  for (const [step, best] of steps) await made.write(checkpoint(step, best));
  return made;
}

describe("checkpoints", () => {
  test("the last two and the best stay", async () => {
    const kept = await store("kept", [
      [10, 10],
      [20, 10],
      [30, 10],
      [40, 10],
    ]);
    expect(await kept.steps()).toEqual([40, 30, 10]);
    await kept.write(checkpoint(50, 50));
    expect(await kept.steps()).toEqual([50, 40]);
    expect((await kept.newest(identity, () => undefined))?.checkpoint).toEqual(checkpoint(50, 50));
  });

  test("a folder without any has none, and half-written ones are none", async () => {
    const none = await store("none", []);
    expect(await none.newest(identity, () => undefined)).toBeNull();
    await writeFile(`${none.pathOf(7)}.123-abc.partial`, "half");
    expect(await none.newest(identity, () => undefined)).toBeNull();
  });

  test("one that was cut short or changed gives way to the one before it, and somebody is told", async () => {
    const cut = await store("cut", [
      [10, null],
      [20, null],
    ]);
    await truncate(cut.pathOf(20), 100);
    const said: string[] = [];
    const found = await cut.newest(identity, (line) => said.push(line));
    expect(found?.checkpoint.loop.step).toBe(10);
    expect(said).toEqual([
      expect.stringMatching(/step-000000020\.safetensors is no whole checkpoint: .*; going on from .*step-000000010/),
    ]);
    const bytes = await readFile(cut.pathOf(10));
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await writeFile(cut.pathOf(10), bytes);
    await expect(cut.newest(identity, () => undefined)).rejects.toMatchObject({
      code: "BAD_FILE",
      message: expect.stringMatching(/no checkpoint in .* is whole: .*000020.*; .*000010/),
    });
  });

  test("going on from an earlier one, later ones are forgotten as new ones come", async () => {
    const back = await store("back", [
      [10, 10],
      [20, 10],
    ]);
    await truncate(back.pathOf(20), 3);
    await back.newest(identity, () => undefined);
    await back.write(checkpoint(15, 15));
    expect(await back.steps()).toEqual([15, 10]);
  });

  test("one of another training is refused with both hashes, whatever lies before it", async () => {
    const other = await store("other", [[10, null]]);
    await expect(other.newest({ ...identity, data: "x" }, () => undefined)).rejects.toMatchObject({
      code: "BAD_CONFIG",
      message: expect.stringContaining("its data has the hash c, this one's x"),
    });
  });

  test("a full disk is one error that names the last good one, which stays", async () => {
    const full = folder.file("full");
    await store("full", [[10, null]]);
    const refusing = new CheckpointStore(full, async (path) => {
      throw new EngineError("NOT_FOUND", `${path} cannot be written (ENOSPC)`, {
        cause: Object.assign(new Error("no space left"), { code: "ENOSPC" }),
      });
    });
    await refusing.newest(identity, () => undefined);
    await expect(refusing.write(checkpoint(20))).rejects.toMatchObject({
      code: "NOT_FOUND",
      message: expect.stringMatching(
        /step-000000020\.safetensors cannot be written: the disk is full; the last good checkpoint is .*000010/,
      ),
    });
    expect(await refusing.steps()).toEqual([10]);
    expect((await refusing.newest(identity, () => undefined))?.checkpoint).toEqual(checkpoint(10));
  });

  test("a folder that is a file is one error", async () => {
    await writeFile(folder.file("file"), "");
    await expect(new CheckpointStore(folder.file("file")).prepare()).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("metrics", () => {
  test("go on behind the lines of the checkpoint, without what was being written", async () => {
    const out = folder.file("metrics");
    await mkdir(out);
    const first = await MetricsFile.open(out, 0);
    for (const step of [1, 2, 3]) await first.write(stepLine(step));
    await first.close();
    const path = join(out, "metrics.jsonl");
    await writeFile(path, `${await readFile(path, "utf8")}{"kind":"st`);
    const second = await MetricsFile.open(out, 2);
    await second.write(stepLine(3));
    await second.sync();
    await second.close();
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    expect(lines.map((text) => JSON.parse(text) as unknown)).toEqual([stepLine(1), stepLine(2), stepLine(3)]);
    expect(await readdir(out)).toEqual(["metrics.jsonl"]);
  });
});
