/** @file `sweep` on a tiny model: every point once, shards that merge, one error for each bad request. */

import { copyFile, mkdir, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { routerNames } from "../../src/sweep/routers.ts";
import { parseTrace } from "../../src/routing/trace.ts";
import { commandLine, useFolder } from "./fixture.ts";
import { SMALL_POINTS as POINTS, pointsIn, smallAxes, sweepConfig, untimed, writeSweep } from "./sweep-fixture.ts";

const folder = useFolder();

interface Results {
  readonly metric: string;
  readonly missing: unknown[];
  readonly points: {
    readonly id: string;
    readonly settings: { readonly router: string; readonly reduction: number | null };
    readonly metrics: Record<string, number>;
  }[];
}

async function writeConfig(name: string, changes: Readonly<Record<string, unknown>>): Promise<string> {
  await writeFile(folder.file(name), JSON.stringify(sweepConfig(changes)));
  return folder.file(name);
}

beforeAll(async () => {
  await writeSweep(folder.path);
});

describe("a whole sweep", () => {
  test("computes every point, writes results, and computes nothing twice", async () => {
    const first = await commandLine(["sweep", "--config", folder.file("sweep.json")]);
    expect({ code: first.code, err: first.err }).toMatchObject({ code: 0 });
    expect(first.err).toMatch(`0 of ${POINTS} points are in`);
    const out = folder.file("sweep-sweep");
    expect((await readdir(out)).sort()).toEqual([
      "curve.json",
      "plot.svg",
      "points",
      "report.html",
      "results.json",
      "sweep.json",
      "table.md",
    ]);
    expect(await readFile(join(out, "table.md"), "utf8")).toBe(first.out);
    const records = await pointsIn(out);
    expect(records.size).toBe(POINTS);
    const times = await Promise.all(
      [...records.keys()].map(async (name) => (await stat(join(out, "points", name))).mtimeMs),
    );

    const second = await commandLine(["sweep", "--config", folder.file("sweep.json"), "--json"]);
    expect(second.err).toMatch(`${POINTS} of ${POINTS} points are in ${out}, 0 to compute`);
    expect(second.err).not.toMatch(/dense pass/);
    const again = await Promise.all(
      [...records.keys()].map(async (name) => (await stat(join(out, "points", name))).mtimeMs),
    );
    expect(again).toEqual(times);
    const results = JSON.parse(second.out) as Results;
    expect(results).toMatchObject({ format: "adapters-webgpu/sweep-results", metric: "accuracy", missing: [] });
    expect(results.points.map(({ id }) => `${id}.json`).sort()).toEqual([...records.keys()]);
    expect(results.points[0]).toMatchObject({
      settings: { router: "dense" },
      metrics: { agreement: 1, "hidden-error": 0 },
    });
    // λ = 1 on all rows is the dense model.
    const whole = results.points.filter(({ settings }) => settings.reduction === 1);
    expect(whole).toHaveLength(1);
    for (const { metrics } of whole) expect(metrics["hidden-error"]).toBeLessThan(1e-5);
    for (const record of records.values())
      expect(record).toMatchObject({ trained: false, sequences: 5, device: { software: expect.any(Boolean) } });
  });

  test("leaves curves that the report draws", async () => {
    const { curve } = parseTrace(await readFile(folder.file("sweep-sweep/curve.json"), "utf8"));
    // Every curve has both reductions: three routers in two forms share the one point with r = 1.
    expect(curve).toHaveLength(2 * (POINTS - 2));
    expect(curve?.[0]).toMatchObject({ metric: "accuracy", reduction: 1, speedUp: expect.any(Number) });
  });

  test("with more axes keeps the points that are there", async () => {
    const more = await writeConfig("sweep-more.json", { axes: { ...smallAxes, reduction: [1, 3, 5] } });
    const ran = await commandLine(["sweep", "--config", more, "--out", folder.file("sweep-sweep")]);
    expect(ran.err).toMatch(`${POINTS} of ${POINTS + 6} points are in`);
    expect((await pointsIn(folder.file("sweep-sweep"))).size).toBe(POINTS + 6);
  });

  test("takes every router", async () => {
    const all = await writeConfig("routers.json", { axes: { router: routerNames, reduction: [2] }, timed: 0 });
    const ran = await commandLine(["sweep", "--config", all, "--json", "--limit", "2"]);
    expect({ code: ran.code, err: ran.code === 0 ? "" : ran.err }).toEqual({ code: 0, err: "" });
    const { points } = JSON.parse(ran.out) as Results;
    expect(points.map(({ settings }) => settings.router)).toEqual(["dense", ...routerNames]);
    expect(points.every(({ metrics }) => Object.values(metrics).every(Number.isFinite))).toBe(true);
  });

  test("puts an adapter on the light path", async () => {
    const one = { router: ["truncation"], reduction: [3] };
    const config = await writeConfig("adapter.json", { adapters: { a: "seq_bn" }, axes: one, timed: 0 });
    const bare = await writeConfig("bare.json", { axes: one, timed: 0 });
    const [with_, without] = await Promise.all(
      [config, bare].map(
        async (path) => JSON.parse((await commandLine(["sweep", "--config", path, "--json"])).out) as Results,
      ),
    );
    // Far from dense either way, but not by the same: the adapter also changes rows that are not selected.
    const errorOf = (results: Results | undefined): number => results?.points[1]?.metrics["hidden-error"] ?? NaN;
    expect(errorOf(with_)).toBeGreaterThan(1e-3);
    expect(errorOf(with_)).not.toBe(errorOf(without));
  });

  test("takes a composition as text", async () => {
    const given = { adapters: { a: "seq_bn", b: "seq_bn" }, axes: { router: ["norm"], reduction: [2] }, timed: 0 };
    const stacked = await writeConfig("stacked.json", { ...given, active: "parallel-to" });
    const unknown = await commandLine(["sweep", "--config", stacked]);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("parallel-to") });
    const config = await writeConfig("stack.json", { ...given, active: "stack(a, b)" });
    const { code, err } = await commandLine(["sweep", "--config", config]);
    expect({ code, err }).toMatchObject({ code: 0 });
  });

  test("says what it leaves out", async () => {
    await writeFile(folder.file("gaps.txt"), "a cat\n\nthe dog\n");
    const data = { kind: "lines", files: { lines: "gaps.txt" } };
    const config = await writeConfig("gaps.json", {
      data,
      task: { metric: "none" },
      axes: { router: ["norm"], reduction: [2] },
    });
    const { code, err, out } = await commandLine(["sweep", "--config", config]);
    expect({ code, err }).toMatchObject({
      code: 0,
      err: expect.stringMatching(/gaps.txt: 1 empty lines are left out/),
    });
    expect(out).toMatch(/^# Tiny\n\n2 sequences, \d+ tokens/);
  });

  test("stops when it is interrupted, and goes on later", async () => {
    const controller = new AbortController();
    const out = folder.file("interrupted");
    const running = commandLine(["sweep", "--config", folder.file("sweep.json"), "--out", out], controller.signal);
    while ((await readdir(join(out, "points")).catch(() => [])).length < 2)
      await new Promise((later) => setTimeout(later, 5));
    controller.abort(new Error("interrupted"));
    const { code, err } = await running;
    expect({ code, said: err.endsWith("interrupted\n") }).toEqual({ code: 130, said: true });
    expect((await readdir(out)).some((name) => name === "results.json")).toBe(false);
    const done = await pointsIn(out);
    expect(done.size).toBeLessThan(POINTS);
    const ran = await commandLine(["sweep", "--config", folder.file("sweep.json"), "--out", out]);
    expect(ran.err).toMatch(`${done.size} of ${POINTS} points are in`);
  });
});

describe("shards", () => {
  const shard = (index: number, out: string): Promise<{ code: number; err: string }> =>
    commandLine(["sweep", "--config", folder.file("sweep.json"), "--shard", `${index}/3`, "--out", folder.file(out)]);

  test("in folders of their own merge into the whole sweep", async () => {
    for (const index of [1, 2, 3]) expect((await shard(index, `part-${index}`)).code).toBe(0);
    const parts = ["part-1", "part-2", "part-3"].map(folder.file);
    const some = await commandLine(["sweep", "merge", folder.file("merged"), ...parts.slice(0, 2), "--json"]);
    expect((JSON.parse(some.out) as Results).missing).toHaveLength(Math.floor(POINTS / 3));
    const all = await commandLine(["sweep", "merge", folder.file("merged"), ...parts]);
    expect({ code: all.code, missing: /missing/.test(all.out) }).toEqual({ code: 0, missing: false });
    const whole = await commandLine(["sweep", "--config", folder.file("sweep.json"), "--out", folder.file("whole")]);
    expect(whole.code).toBe(0);
    const [merged, alone] = [await pointsIn(folder.file("merged")), await pointsIn(folder.file("whole"))];
    expect([...merged].map(([name, record]) => [name, untimed(record)])).toEqual(
      [...alone].map(([name, record]) => [name, untimed(record)]),
    );
  });

  test("in one folder are one sweep", async () => {
    for (const index of [2, 1, 3]) expect((await shard(index, "shared")).code).toBe(0);
    expect((await pointsIn(folder.file("shared"))).size).toBe(POINTS);
    const results = JSON.parse(await readFile(folder.file("shared/results.json"), "utf8")) as Results;
    expect(results.missing).toEqual([]);
    expect((await commandLine(["sweep", "merge", folder.file("shared")])).code).toBe(0);
  });

  test("that disagree are not merged, and nothing is written", async () => {
    await mkdir(folder.file("wrong/points"), { recursive: true });
    await copyFile(folder.file("part-1/sweep.json"), folder.file("wrong/sweep.json"));
    const [[name, record] = []] = await pointsIn(folder.file("part-1"));
    const metrics = { ...record?.metrics, accuracy: 0.123 };
    await writeFile(folder.file(`wrong/points/${name}`), JSON.stringify({ ...record, metrics }));
    const { code, err } = await commandLine([
      "sweep",
      "merge",
      folder.file("joined"),
      folder.file("part-1"),
      folder.file("wrong"),
    ]);
    expect(code).toBe(2);
    expect(err).toMatch(/points disagree: .*metrics.accuracy is [\d.]+ and 0.123 in \S+part-1 and \S+wrong/);
    await expect(stat(folder.file("joined"))).rejects.toThrow(/ENOENT/);
  });

  test("of another sweep are not merged", async () => {
    const other = await writeConfig("other.json", { batch: 7, axes: { router: ["norm"], reduction: [2] } });
    expect((await commandLine(["sweep", "--config", other, "--out", folder.file("other")])).code).toBe(0);
    const { code, err } = await commandLine([
      "sweep",
      "merge",
      folder.file("x"),
      folder.file("part-1"),
      folder.file("other"),
    ]);
    expect(code).toBe(2);
    expect(err).toMatch(/other is of another configuration: its config has the hash \w{16}, this sweep's \w{16}/);
  });

  test("that are none are refused", async () => {
    const { code, err } = await commandLine(["sweep", "merge", folder.file("x"), folder.file("model")]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringMatching(/model holds no sweep/) });
    expect((await commandLine(["sweep", "merge"])).err).toMatch(/needs the folder to merge into/);
  });
});

describe("a folder of another sweep", () => {
  test.each([
    [
      "another configuration",
      { batch: 8 },
      /is of another configuration: its config has the hash \w{16}, this sweep's \w{16}/,
    ],
    ["another data set", { data: { ...(sweepConfig().data as object), limit: 2 } }, /is of another data set/],
    ["another model", { model: { folder: "model", precision: "f16" } }, /is of another model/],
  ])("%s is refused", async (_, change, message) => {
    const other = await writeConfig("changed.json", change);
    const { code, err } = await commandLine(["sweep", "--config", other, "--out", folder.file("part-1")]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringMatching(message) });
  });

  test("a point that is none is named", async () => {
    await rm(folder.file("broken"), { recursive: true, force: true });
    await mkdir(folder.file("broken/points"), { recursive: true });
    await writeFile(folder.file("broken/points/0123456789ab.json"), "{");
    const { code, err } = await commandLine([
      "sweep",
      "--config",
      folder.file("sweep.json"),
      "--out",
      folder.file("broken"),
    ]);
    expect({ code, err }).toMatchObject({
      code: 2,
      err: expect.stringMatching(/0123456789ab.json is not a point of a sweep/),
    });
  });
});

describe("bad requests", () => {
  const labels = { kind: "lines", files: { lines: "in.txt", labels: "few.txt" } };

  test.each([
    ["no configuration", [], {}, /sweep needs --config/],
    ["an unknown word", ["again"], {}, /"again" is one argument too many/],
    [
      "a shard that is none",
      ["--config", "x.json", "--shard", "4/3"],
      {},
      /--shard is "4\/3", expected i\/n with 1 <= i <= n/,
    ],
    ["a file that is not there", ["--config", "nowhere.json"], {}, /nowhere.json is not there/],
    ["unknown fields", null, { routers: [] }, /the sweep has the unknown field "routers"/],
    ["a model that is not there", null, { model: { folder: "gone" } }, /gone/],
    ["layers that the host lacks", null, { axes: { layers: ["0-3"] } }, /axes.layers names layer 3; the host has 3/],
    ["a point that cannot be", null, { axes: { router: ["separate"], part: ["ffn"] } }, /the point separate, r 2/],
    ["labels of another number", null, { data: labels }, /there are 2 labels for 5 sequences/],
    ["an adapter that is not there", null, { adapters: { a: "gone" } }, /gone/],
    ["a head that is not there", null, { task: { metric: "accuracy", head: "x" } }, /there is no output heads.x/],
  ])("%s", async (_, args, config, message) => {
    await writeFile(folder.file("few.txt"), "0\n1\n");
    const words = args ?? ["--config", await writeConfig("bad.json", config), "--out", folder.file("bad")];
    const { code, out, err } = await commandLine(["sweep", ...words]);
    expect({ code, out, err }).toMatchObject({ code: 2, out: "", err: expect.stringMatching(message) });
  });

  test("--help says what there is", async () => {
    const { code, out } = await commandLine(["sweep", "--help"]);
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/sweep merge OUT/) });
  });
});
