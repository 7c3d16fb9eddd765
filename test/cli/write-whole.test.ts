/** @file Files are whole or not there: also when the process that writes them is killed in between. */

import { spawn } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { writeWhole } from "../../src/cli/files.ts";
import { useFolder } from "./fixture.ts";

const folder = useFolder();
const root = fileURLToPath(new URL("../../", import.meta.url));

/** Large enough that a process is seen while it writes. */
const BYTES = 48 * 2 ** 20;

/** Writes the same letter over and over, in a process of its own; kills it as soon as a half-written file is seen. */
async function killWhileWriting(place: string, name: string): Promise<void> {
  const script = `import { writeWhole } from "./src/node/write-whole.ts";
    const content = new Uint8Array(${BYTES}).fill(98);
    for (;;) await writeWhole(process.argv[1], content);`;
  const flags = ["--import", "tsx", "--input-type=module", "-e", script];
  const child = spawn(process.execPath, [...flags, join(place, name)], { cwd: root, stdio: "inherit" });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  while (!(await readdir(place)).some((file) => file.endsWith(".partial")) && child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 1));
  child.kill("SIGKILL");
  await ended;
}

test("a process that is killed while it writes leaves the old file or the new one", async () => {
  let [kept, half] = [0, 0];
  for (let round = 0; round < 3; round += 1) {
    const place = folder.file(`round-${round}`);
    await mkdir(place);
    const old = new Uint8Array(1000).fill(97);
    await writeFile(join(place, "report.html"), old);
    await killWhileWriting(place, "report.html");
    const bytes = await readFile(join(place, "report.html"));
    const whole = bytes.length === old.length ? old : new Uint8Array(BYTES).fill(98);
    expect(bytes.length).toBe(whole.length);
    expect(Buffer.compare(bytes, whole)).toBe(0);
    if (bytes.length === old.length) kept += 1;
    if ((await readdir(place)).length > 1) half += 1;
  }
  // At least once the kill came between the first byte and the renaming, or the test has shown nothing.
  expect(kept).toBeGreaterThan(0);
  expect(half).toBeGreaterThan(0);
});

test("a write that fails leaves the old content and nothing beside it", async () => {
  const place = folder.file("taken");
  await mkdir(place);
  await writeFile(`${place}/inside`, "old");
  await expect(writeWhole(place, "new")).rejects.toMatchObject({ code: "NOT_FOUND", where: place });
  expect(await readdir(place)).toEqual(["inside"]);
  await expect(writeWhole(folder.file("no/such/folder"), "new")).rejects.toMatchObject({ code: "NOT_FOUND" });
  expect((await readdir(folder.path)).filter((name) => name.startsWith("taken."))).toEqual([]);
});

test("writers of one file at the same time do not mix their contents", async () => {
  const target = folder.file("shared");
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(100_000 + i));
  await Promise.all(contents.map((content) => writeWhole(target, content)));
  expect(contents).toContain(await readFile(target, "utf8"));
});
