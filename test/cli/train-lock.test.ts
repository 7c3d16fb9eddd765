/** @file An output folder has one training at a time; a killed one holds nothing. */

import { spawn } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { lockFolder } from "../../src/cli/train/lock.ts";
import { useFolder } from "./fixture.ts";

const folder = useFolder();

async function written(name: string, content: string): Promise<string> {
  const release = await lockFolder(folder.file(name));
  await release();
  await writeFile(`${folder.file(name)}/training.lock`, content);
  return folder.file(name);
}

/** The number of a process that is over. */
async function deadProcess(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.once("exit", resolve));
  return child.pid as number;
}

test("a folder is held until it is let go of", async () => {
  const release = await lockFolder(folder.file("deep/one"));
  await expect(lockFolder(folder.file("deep/one"))).rejects.toMatchObject({
    code: "BAD_INPUT",
    message: expect.stringContaining(`process ${process.pid} on ${hostname()}`) as string,
  });
  await release();
  expect(await readdir(folder.file("deep/one"))).toEqual([]);
  await (
    await lockFolder(folder.file("deep/one"))
  )();
});

test("a killed training, or a lock that was cut short, is taken over", async () => {
  const killed = await written("killed", JSON.stringify({ host: hostname(), pid: await deadProcess() }));
  await (
    await lockFolder(killed)
  )();
  const short = await written("short", '{"host":');
  await (
    await lockFolder(short)
  )();
});

test("a training of another machine is not, and a folder that cannot be made is an error", async () => {
  const far = await written("far", JSON.stringify({ host: `not-${hostname()}`, pid: 1 }));
  await expect(lockFolder(far)).rejects.toThrow(`process 1 on not-${hostname()}`);
  await writeFile(folder.file("file"), "");
  await expect(lockFolder(folder.file("file"))).rejects.toMatchObject({ code: "NOT_FOUND" });
});
