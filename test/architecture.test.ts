/** @file The plan of the house, checked from import statements and file names: rooms, one-way arrows, sizes, stems. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { generate } from "../scripts/embed-kernels.ts";
import { caseTables } from "../src/cases/index.ts";
import { opsByStem } from "../src/ops/index.ts";
import { references } from "../src/reference/index.ts";

const root = fileURLToPath(new URL("../", import.meta.url));
const MOST_LINES = 400;

/** Files that every room may import. */
const COMMONS: ReadonlySet<string> = new Set(["src/errors.ts", "src/half.ts", "src/random.ts"]);

/** Kernels without an op: they measure a device, or belong to every plan. */
const OPLESS = ["peak-fma", "peak-fma.straight", "indirect-grids"];

/** The rooms that a room may import, besides itself and the commons. */
const engine = ["graph", "ops", "gpu"];
const resident = ["hosts", "adapters", "routing", "sites", "formats", "inputs", "kernels", ...engine];
const allowed: Readonly<Record<string, readonly string[]>> = {
  gpu: [],
  ops: ["gpu"],
  kernels: ["gpu"],
  reference: [],
  formats: [],
  inputs: [],
  graph: ["ops", "gpu", "kernels", "reference"],
  cases: ["reference", "kernels", ...engine],
  sites: engine,
  hosts: ["sites", ...engine],
  adapters: ["sites", "reference", ...engine],
  routing: ["plot", ...engine],
  model: resident,
  train: ["model", ...resident],
  node: ["gpu", "formats"],
  faces: ["model", "train", "node", ...resident],
  plot: [],
  sweep: ["model", "plot", ...resident],
  bench: ["model", "plot", "train", "node", "reference", "cases", ...resident],
  cli: ["faces", "bench", "sweep", "plot", "model", "train", "node", "reference", "cases", ...resident],
};

interface Import {
  /** Repository path of a relative import, the bare name of any other. */
  readonly target: string;
  readonly typeOnly: boolean;
}

/** Every TypeScript file of a folder, as repository paths. */
function filesBelow(folder: string, ending: string): string[] {
  const entries = readdirSync(join(root, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.includes("node_modules"))
    .sort();
}

/** The imports and re-exports of a file, dynamic ones included. */
function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const found: Import[] = [];
  const add = (specifier: string, typeOnly: boolean): void => {
    const target = specifier.startsWith(".") ? relative(root, join(root, dirname(file), specifier)) : specifier;
    found.push({ target, typeOnly });
  };
  for (const [, type, specifier] of text.matchAll(/^(?:import|export) (type )?[^"';=]*?from "([^"]+)";/gm)) {
    add(specifier as string, type !== undefined);
  }
  for (const [, specifier] of text.matchAll(/^import "([^"]+)";/gm)) add(specifier as string, false);
  for (const [, type, specifier] of text.matchAll(/(typeof )?\bimport\("([^"]+)"\)/g))
    add(specifier as string, type !== undefined);
  return found;
}

function roomOf(file: string): string {
  const [, first = "", second] = file.split("/");
  if (second !== undefined) return first;
  return first.startsWith("kernels") ? "kernels" : "faces";
}

const sources = filesBelow("src", ".ts");
const graph = new Map(sources.map((file) => [file, importsOf(file)]));

describe("rooms", () => {
  test("every file stands in a known room", () => {
    const strangers = sources.filter((file) => !COMMONS.has(file) && allowed[roomOf(file)] === undefined);
    expect(strangers).toEqual([]);
  });

  test("arrows run one way", () => {
    const wrong: string[] = [];
    for (const [file, imports] of graph) {
      const may = COMMONS.has(file) ? [] : [roomOf(file), ...(allowed[roomOf(file)] ?? [])];
      for (const { target } of imports) {
        if (!target.startsWith("src/") || COMMONS.has(target) || may.includes(roomOf(target))) continue;
        wrong.push(`${file} imports ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("the table of rooms has no way back", () => {
    const reach = (room: string, seen = new Set<string>()): Set<string> => {
      for (const next of allowed[room] ?? []) if (!seen.has(next)) reach(next, seen.add(next));
      return seen;
    };
    for (const room of Object.keys(allowed)) expect(reach(room).has(room), room).toBe(false);
  });

  test("imports name files that are there, with their ending", () => {
    const lost = [...graph].flatMap(([file, imports]) =>
      imports
        .filter(({ target }) => target.startsWith("src/") && !graph.has(target))
        .map(({ target }) => `${file}: ${target}`),
    );
    expect(lost).toEqual([]);
  });

  test("no file imports itself, in however many steps", () => {
    // Types alone may refer to one another within a room: that orders nothing at run time.
    const atRunTime = (imports: readonly Import[]): string[] =>
      imports.filter(({ typeOnly }) => !typeOnly).map(({ target }) => target);
    expect(findCycle(new Map([...graph].map(([file, imports]) => [file, atRunTime(imports)])))).toEqual([]);
  });

  test("src/index.ts reaches neither Node nor Dawn", () => {
    const seen = new Set(["src/index.ts"]);
    const outside: string[] = [];
    for (const file of seen) {
      for (const { target, typeOnly } of graph.get(file) ?? []) {
        if (typeOnly) continue;
        if (graph.has(target)) seen.add(target);
        else if (target !== "@huggingface/tokenizers") outside.push(`${file}: ${target}`);
      }
    }
    expect(seen.size).toBeGreaterThan(20);
    expect(outside).toEqual([]);
  });
});

/** @returns the files of one cycle, or none. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    path.push(file);
    for (const next of edges.get(file) ?? []) {
      const cycle = visit(next);
      if (cycle.length > 0) return cycle;
    }
    path.pop();
    done.add(file);
    return [];
  };
  for (const file of edges.keys()) {
    const cycle = visit(file);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

describe("the reading of imports", () => {
  test("sees every form", () => {
    const here = importsOf("test/architecture.test.ts").map(({ target }) => target);
    expect(here).toContain("node:fs");
    expect(here).toContain("src/cases/index.ts");
    expect(importsOf("src/common.ts").find(({ target }) => target === "src/formats/folder.ts")?.typeOnly).toBe(false);
    expect(importsOf("src/inputs/huggingface.ts")).toContainEqual({
      target: "@huggingface/tokenizers",
      typeOnly: false,
    });
  });

  test("a cycle is found", () => {
    const edges = { a: ["b"], b: ["c", "d"], c: [], d: ["b"] };
    expect(findCycle(new Map(Object.entries(edges)))).toEqual(["b", "d", "b"]);
  });
});

describe("files", () => {
  const written = ["src", "test", "scripts", "bench"].flatMap((folder) => filesBelow(folder, ".ts"));
  const all = [...written, ...filesBelow("kernels", ".wgsl")].filter((file) => file !== "src/kernels.gen.ts");

  test(`have at most ${MOST_LINES} lines`, () => {
    const lines = (file: string): number => readFileSync(join(root, file), "utf8").split("\n").length - 1;
    expect(all.filter((file) => lines(file) > MOST_LINES).map((file) => `${file}: ${lines(file)}`)).toEqual([]);
  });

  test("have kebab-case names", () => {
    const plain = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;
    expect(all.filter((file) => !file.split("/").every((part) => plain.test(part)))).toEqual([]);
  });

  test("say first what they are for", () => {
    const silent = all.filter(
      (file) => !/^(#!.*\n)?(\/\*\*\s[\s*]*@file |\/\/ \S)/.test(readFileSync(join(root, file), "utf8")),
    );
    expect(silent).toEqual([]);
  });

  test("src/kernels.gen.ts is what kernels/ gives", () => {
    const fresh = readFileSync(join(root, "src/kernels.gen.ts"), "utf8") === generate();
    expect(fresh, "run `npm run gen`").toBe(true);
  });
});

describe("an operation keeps one stem", () => {
  const stems = Object.keys(opsByStem).sort();

  test("ops, references and case tables are the same set", () => {
    expect(Object.keys(references).sort()).toEqual(stems);
    expect(caseTables.map(({ stem }) => stem).sort()).toEqual(stems);
  });

  test.each(stems)("%s", (stem) => {
    const files = [
      `kernels/${stem}.wgsl`,
      ...["ops", "reference", "cases"].map((room) => `src/${room}/${stem}.ts`),
      `test/ops/${stem}.test.ts`,
    ];
    expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test("every kernel belongs to an op, measures a device, or is of every plan", () => {
    const kernels = readdirSync(join(root, "kernels")).filter((name) => name.endsWith(".wgsl"));
    const known = new Set([...stems, ...OPLESS]);
    expect(kernels.filter((name) => !known.has(name.split(".")[0] as string))).toEqual([]);
  });
});
