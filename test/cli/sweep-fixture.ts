/** @file A small sweep on the tiny model of the command line: its files, and what its folder holds. */

import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PointRecord } from "../../src/sweep/record.ts";
import { writeTinyModel } from "./fixture.ts";

const texts = ["the cat sat on the mat", "a dog", "the dog and the cat sat", "and", "on a mat the dog sat and the cat"];

/** Three routers: one with everything, one without anything drawn, one that looks at the dense model. */
export const smallAxes: Readonly<Record<string, readonly (string | number)[]>> = {
  router: ["learned", "truncation", "oracle"],
  reduction: [1, 3],
  attention: ["k-to-k", "k-to-all"],
};

/** Points of these axes: dense, the one that stands for every router with r = 1, and three routers with r = 3 in two forms. */
export const SMALL_POINTS: number = 1 + 1 + 3 * 2;

/** The configuration of a small sweep, whose paths are relative to its folder. */
export function sweepConfig(changes: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    name: "Tiny",
    model: { folder: "model" },
    data: { kind: "lines", files: { lines: "in.txt", labels: "labels.txt" } },
    task: { metric: "accuracy" },
    batch: 12,
    timed: 1,
    axes: smallAxes,
    ...changes,
  };
}

/** Writes model, data and `sweep.json` into a folder. */
export async function writeSweep(folder: string, changes: Readonly<Record<string, unknown>> = {}): Promise<string> {
  await writeTinyModel(join(folder, "model"));
  await writeFile(join(folder, "in.txt"), `${texts.join("\n")}\n`);
  await writeFile(join(folder, "labels.txt"), "0\n1\n2\n1\n0\n");
  const path = join(folder, "sweep.json");
  await writeFile(path, JSON.stringify(sweepConfig(changes)));
  return path;
}

/** Records of a folder by the names of their files. */
export async function pointsIn(folder: string): Promise<Map<string, PointRecord>> {
  const names = (await readdir(join(folder, "points"))).sort();
  const records = await Promise.all(
    names.map(
      async (name) => [name, JSON.parse(await readFile(join(folder, "points", name), "utf8")) as PointRecord] as const,
    ),
  );
  return new Map(records);
}

/** A record without what no two runs have in common. */
export function untimed({ milliseconds, ...rest }: PointRecord): unknown {
  return { ...rest, timed: milliseconds !== null };
}
