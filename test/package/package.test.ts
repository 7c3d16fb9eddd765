/** @file The published package: what is in it, that every door opens, and that its types resolve in a strict project. */

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { packAndInstall, run, tool } from "./packed.ts";
import type { Packed } from "./packed.ts";

let packed: Packed;

beforeAll(() => {
  packed = packAndInstall();
});

afterAll(() => {
  rmSync(packed.folder, { recursive: true });
});

/** Runs a module in the consumer's folder and gives back what it printed, as JSON. */
function inConsumer(code: string): unknown {
  const file = join(packed.consumer, "probe.mjs");
  writeFileSync(file, code);
  return JSON.parse(run(packed.consumer, file, []));
}

describe("the tarball", () => {
  test("holds the build, its sources, the kernels and what start shows, and nothing else", () => {
    const folder = join(packed.consumer, "node_modules/adapters-webgpu");
    const names = readdirSync(folder).filter((name) => name !== "node_modules");
    expect(names.sort()).toEqual([
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "dist",
      "examples",
      "kernels",
      "models",
      "package.json",
      "src",
    ]);
    expect(readFileSync(join(folder, "LICENSE"), "utf8")).toContain("Apache License");
    // Every file of the build points back to a source that is there: "go to definition" lands in TypeScript.
    const map = JSON.parse(readFileSync(join(folder, "dist/index.d.ts.map"), "utf8")) as { sources: string[] };
    expect(readFileSync(join(folder, "dist", map.sources[0] as string), "utf8")).toContain("@file");
  });

  test("installs one package besides itself", () => {
    const lock = JSON.parse(readFileSync(join(packed.consumer, "package-lock.json"), "utf8")) as { packages: object };
    const installed = Object.keys(lock.packages).filter((path) => path.startsWith("node_modules/"));
    expect(installed).toEqual(["node_modules/@webgpu/types", "node_modules/adapters-webgpu"]);
  });

  test("passes publint", () => {
    run(packed.folder, tool("publint/src/cli.js"), ["run", packed.tarball, "--strict"]);
  });

  test("passes Are the types wrong?", () => {
    const words = [packed.tarball, "--profile", "esm-only", "--no-definitely-typed", "--no-emoji", "--no-color"];
    // Raw WGSL files have no types to be wrong.
    run(packed.folder, tool("@arethetypeswrong/cli/dist/index.js"), [
      ...words,
      "--exclude-entrypoints",
      "./kernels/*.wgsl",
    ]);
  });
});

describe("every door opens", () => {
  test.each([
    ["adapters-webgpu", ["EngineError", "coda", "loadModel", "openGpu", "ops"]],
    ["adapters-webgpu/node", ["EngineError", "coda", "loadModel", "openGpu", "ops", "requestAdapter"]],
    ["adapters-webgpu/kernels", ["kernels", "libs", "specialize"]],
    ["adapters-webgpu/reference", ["matmul", "references", "softmax"]],
  ])("%s", (door, names) => {
    const before = "const before = Object.getOwnPropertyNames(globalThis).join();";
    const after = `console.log(JSON.stringify({ names: Object.keys(door), same: before === Object.getOwnPropertyNames(globalThis).join() }));`;
    const found = inConsumer(`${before} const door = await import("${door}"); ${after}`) as {
      names: string[];
      same: boolean;
    };
    expect(found.names).toEqual(expect.arrayContaining(names));
    expect(found.same, "importing leaves the global object alone").toBe(true);
  });

  test("the kernels as files, and package.json", () => {
    const code = `
      import { readFileSync } from "node:fs";
      import { fileURLToPath } from "node:url";
      import { kernels } from "adapters-webgpu/kernels";
      const text = (path) => readFileSync(fileURLToPath(import.meta.resolve(path)), "utf8");
      const same = Object.keys(kernels).filter((stem) => kernels[stem] === text("adapters-webgpu/kernels/" + stem + ".wgsl"));
      console.log(JSON.stringify([same.length, Object.keys(kernels).length, JSON.parse(text("adapters-webgpu/package.json")).name]));`;
    const [same, all, name] = inConsumer(code) as [number, number, string];
    expect(all).toBeGreaterThan(20);
    expect(same).toBe(all);
    expect(name).toBe("adapters-webgpu");
  });

  test("no other", () => {
    const code = `console.log(JSON.stringify(await import("adapters-webgpu/dist/index.js").catch((error) => error.code)));`;
    expect(inConsumer(code)).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  test("the command", () => {
    const bin = join(packed.consumer, "node_modules/adapters-webgpu/dist/cli/main.js");
    expect(readFileSync(bin, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
    expect(readdirSync(join(packed.consumer, "node_modules/.bin"))).toContain("adapters-webgpu");
    expect(run(packed.consumer, bin, ["--help"])).toContain("doctor");
  });
});

describe("types", () => {
  const PROGRAM = `
import { coda, loadModel, openGpu, EngineError } from "adapters-webgpu/node";
import * as browser from "adapters-webgpu";
import { kernels, specialize, libs } from "adapters-webgpu/kernels";
import { references } from "adapters-webgpu/reference";

export async function main(device: GPUDevice): Promise<Float32Array | undefined> {
  const gpu = await openGpu({ adapter: "software" });
  const own: GPUDevice = (await browser.openGpu({ device })).device;
  const model = await loadModel(gpu, "folder");
  model.setRouting(coda({ reduction: 3, attention: "k-to-all" }));
  const out = await model.run({ ids: [[1, 2]] });
  const text: string = specialize({ kernels, libs }, "softmax").code + String(references["softmax"]) + own.label;
  if (text === "") throw new EngineError("SHAPE", text);
  // @ts-expect-error The types are there, and they are checked: attention takes no such form.
  coda({ reduction: 3, attention: "k-to-none" });
  return out.hidden?.data;
}
`;

  // WebGPU's own types come with TypeScript's DOM library, or from @webgpu/types where there is no DOM.
  const platforms: Readonly<Record<string, object>> = {
    browser: { lib: ["es2023", "dom"], types: [] },
    // Those packages lean on each other and on the DOM, and do not pass a check of their own.
    Node: { lib: ["es2023"], types: ["node", "@webgpu/types"], skipLibCheck: true },
  };

  /** Type-checks a program; gives back what the compiler says. */
  function check(program: string, platform: object | undefined): string {
    const compilerOptions = {
      ...platform,
      target: "es2023",
      module: "nodenext",
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      noEmit: true,
    };
    writeFileSync(join(packed.consumer, "main.ts"), program);
    writeFileSync(join(packed.consumer, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["main.ts"] }));
    try {
      return run(packed.consumer, tool("typescript/bin/tsc"), ["-p", "."]);
    } catch (error) {
      return String(error);
    }
  }

  test.each(Object.keys(platforms))("resolve in a strict project for %s", (name) => {
    expect(check(PROGRAM, platforms[name])).toBe("");
  });
});
