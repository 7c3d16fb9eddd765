/** @file From words to commands, from errors to exit codes; progress. */

import { describe, expect, test } from "vitest";
import { startProgress } from "../../src/cli/progress.ts";
import { formatBytes, formatTable, formatTime } from "../../src/cli/text.ts";
import { captureIo, commandLine } from "./fixture.ts";

describe("commands", () => {
  test("--help lists every command", async () => {
    const { code, out } = await commandLine(["--help"]);
    expect(code).toBe(0);
    for (const name of ["start", "doctor", "run", "inspect", "bench", "train"])
      expect(out).toMatch(new RegExp(`^  ${name} `, "m"));
  });

  test.each(["doctor", "run", "inspect", "train"])("%s --help explains it on stdout", async (name) => {
    const { code, out, err } = await commandLine([name, "--help"]);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(out).toMatch(new RegExp(`^usage: adapters-webgpu ${name}`));
  });

  test("--version is the package's", async () => {
    expect(await commandLine(["--version"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  test.each([
    [["fly"], /there is no command "fly"; known: start, doctor/],
    [["toString"], /there is no command "toString"/],
    [["train"], /train needs --config/],
    [["doctor", "--adapter", "quantum"], /--adapter is "quantum"/],
    [["run", "--input", "x.txt"], /run needs --model/],
    [["run", "--model", "m", "--input", "x.txt", "--report", "r.html"], /a report needs --route/],
    [["run", "--model", "m", "--input", "x.txt", "--outputs", "hidden"], /--outputs needs --json/],
    [["run", "--model", "m", "--input", "x.txt", "--adapter", "coda"], /expected NAME=PRESET or NAME=FOLDER/],
    [["run", "--model", "m", "--input", "x.txt", "--json", "no/such/place.json"], /place.json cannot be written/],
    [["inspect"], /inspect needs the folder/],
    [["inspect", "no/such/folder"], /no\/such\/folder/],
  ])("%j is refused with exit code 2", async (args, message) => {
    const { code, out, err } = await commandLine(args);
    expect(code).toBe(2);
    expect(out).toBe("");
    expect(err).toMatch(message);
    expect(err).toMatch(/^fix: /m);
    expect(err).not.toMatch(/^\s+at /m);
  });

  test("no command at all explains itself on stderr", async () => {
    expect(await commandLine([])).toMatchObject({ code: 2, out: "", err: expect.stringContaining("usage:") });
  });
});

describe("progress", () => {
  test("draws over one line of a terminal and wipes it", () => {
    const { io, out, err } = captureIo({ isTerminal: true });
    const progress = startProgress(io, "running", 200, "tokens");
    progress.update(100, "layer 3");
    progress.finish();
    expect(out).toEqual([]);
    expect(err[0]).toMatch(/^\r\x1b\[K\[#{12}-{12}\] running 50 % \(100 of 200 tokens/);
    expect((err[0] as string).length).toBeLessThanOrEqual("\r\x1b[K".length + 79);
    expect(err.at(-1)).toBe("\r\x1b[K");
  });

  test("is silent elsewhere for the first seconds", () => {
    const { io, err } = captureIo();
    const progress = startProgress(io, "running", 10, "tokens");
    progress.update(5);
    progress.finish();
    expect(err).toEqual([]);
  });
});

test("text", () => {
  expect(
    formatTable(
      [
        ["a", "bb"],
        ["ccc", "d"],
      ],
      ["left", "right"],
    ),
  ).toBe("a    bb\nccc   d");
  expect([0, 1023, 1536, 2 ** 31].map(formatBytes)).toEqual(["0 B", "1023 B", "1.50 KiB", "2.00 GiB"]);
  expect([0.5, 12.34, 4200].map(formatTime)).toEqual(["500 µs", "12.3 ms", "4.20 s"]);
});
