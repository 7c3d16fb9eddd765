/** @file The program as a process: exit codes, streams, and that it ends by itself. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { useFolder, writeTinyModel } from "./fixture.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = useFolder();

function program(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--import", "tsx", "src/cli/main.ts", ...args], { cwd: root }, (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code as number), out, err });
    });
  });
}

describe("the process", () => {
  test("ends with 0 and prints results on stdout only", async () => {
    await writeTinyModel(folder.file("model"));
    const { code, out } = await program("inspect", folder.file("model"), "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ fits: true });
  });

  test("ends with 2 and one sentence on stderr for a bad request", async () => {
    const { code, out, err } = await program("inspect", folder.file("nowhere"));
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err.split("\n").filter((line) => line.startsWith("adapters-webgpu inspect: "))).toHaveLength(1);
  });

  test("prints its version", async () => {
    expect(await program("--version")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: "",
    });
  });
});
