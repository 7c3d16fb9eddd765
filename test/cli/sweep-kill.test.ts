/** @file A sweep whose process is killed: what is finished stays, and the rest gives what an undisturbed sweep gives. */

import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFile, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parseRecord } from "../../src/sweep/record.ts";
import { commandLine, useFolder } from "./fixture.ts";
import { SMALL_POINTS, pointsIn, untimed, writeSweep } from "./sweep-fixture.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = useFolder();

function start(out: string): ChildProcess {
  const args = ["--import", "tsx", "src/cli/main.ts", "sweep", "--config", folder.file("sweep.json"), "--out", out];
  return spawn(process.execPath, args, { cwd: root, stdio: "ignore" });
}

const ended = (child: ChildProcess): Promise<{ code: number | null; signal: string | null }> =>
  new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));

/** Waits until a folder holds some finished points, or the process has ended. */
async function untilPoints(out: string, count: number, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    const names = await readdir(join(out, "points")).catch(() => []);
    if (names.filter((name) => name.endsWith(".json")).length >= count) return;
    await new Promise((later) => setTimeout(later, 5));
  }
}

beforeAll(async () => {
  await writeSweep(folder.path);
});

describe("a killed sweep", () => {
  test("goes on, computes nothing twice, and gives what an undisturbed one gives", async () => {
    const out = folder.file("killed");
    for (const count of [2, 5]) {
      const child = start(out);
      const over = ended(child);
      await untilPoints(out, count, child);
      child.kill("SIGKILL");
      expect(await over).toEqual({ code: null, signal: "SIGKILL" });
    }
    const finished = (await readdir(join(out, "points"))).filter((name) => name.endsWith(".json"));
    expect(finished.length).toBeGreaterThanOrEqual(5);
    const state = async (): Promise<[string, number][]> =>
      Promise.all(
        finished.map(async (name): Promise<[string, number]> => [
          name,
          (await stat(join(out, "points", name))).mtimeMs,
        ]),
      );
    const before = await state();
    for (const name of finished) parseRecord(await readFile(join(out, "points", name), "utf8"), name);

    const { code, err } = await commandLine(["sweep", "--config", folder.file("sweep.json"), "--out", out]);
    expect(code).toBe(0);
    expect(err).toMatch(`${finished.length} of ${SMALL_POINTS} points are in`);
    expect(await state()).toEqual(before);
    const whole = folder.file("whole");
    expect((await commandLine(["sweep", "--config", folder.file("sweep.json"), "--out", whole])).code).toBe(0);
    const comparable = async (path: string): Promise<unknown> =>
      [...(await pointsIn(path))]
        .filter(([name]) => name.endsWith(".json"))
        .map(([name, record]) => [name, untimed(record)]);
    expect(await comparable(out)).toEqual(await comparable(whole));
  });

  test("by Ctrl-C ends with 130 and leaves whole files", async () => {
    const out = folder.file("stopped");
    const child = start(out);
    const over = ended(child);
    await untilPoints(out, 1, child);
    child.kill("SIGINT");
    expect(await over).toEqual({ code: 130, signal: null });
    const names = await readdir(join(out, "points"));
    expect(names.filter((name) => !name.endsWith(".json"))).toEqual([]);
    for (const name of names) parseRecord(await readFile(join(out, "points", name), "utf8"), name);
  });
});
