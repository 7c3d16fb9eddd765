/** @file The package as npm publishes it: built from a copy of the sources, packed, and installed by an empty project. */

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where everything lies. */
export interface Packed {
  /** All of the below; the caller removes it. */
  readonly folder: string;
  readonly tarball: string;
  /** A project with nothing but the tarball installed, and the packages it may find linked. */
  readonly consumer: string;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Packages that the consumer finds linked: the optional peers, and the types of Node. */
const LINKED = ["webgpu", "@sparticuz/chromium", "@huggingface/tokenizers", "@types/node"];

/** Runs a program of ours, or of node_modules, and throws with all it said unless it succeeds. */
export function run(cwd: string, script: string, words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...words], { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${script} ${words.join(" ")} exited with ${status}\n${stdout}\n${stderr}`);
  return stdout;
}

/** A program of node_modules, by its path there. */
export function tool(path: string): string {
  return join(root, "node_modules", path);
}

/** Builds, packs and installs the package, without the network. */
export function packAndInstall(): Packed {
  // The real path: macOS links its folder for temporary files, and TypeScript follows links.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "adapters-webgpu-package-")));
  const stage = join(folder, "stage");
  for (const name of [
    "package.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "src",
    "kernels",
    "models",
    "examples",
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
  ]) {
    if (existsSync(join(root, name))) cpSync(join(root, name), join(stage, name), { recursive: true });
  }
  symlinkSync(join(root, "node_modules"), join(stage, "node_modules"), "junction");
  run(stage, tool("typescript/bin/tsc"), ["-p", "tsconfig.build.json"]);
  run(stage, npm(), ["pack", "--ignore-scripts", "--pack-destination", folder]);
  const tarball = join(folder, readdirSync(folder).find((name) => name.endsWith(".tgz")) as string);

  const consumer = join(folder, "consumer");
  mkdirSync(consumer);
  // The one dependency comes from here as well, so that the network is not needed.
  const overrides = { "@webgpu/types": `file:${tool("@webgpu/types")}` };
  const dependencies = { "adapters-webgpu": `file:${tarball}`, ...overrides };
  writeFileSync(
    join(consumer, "package.json"),
    JSON.stringify({ type: "module", private: true, dependencies, overrides }),
  );
  run(consumer, npm(), ["install", "--offline", "--ignore-scripts"]);
  for (const name of LINKED) {
    mkdirSync(dirname(join(consumer, "node_modules", name)), { recursive: true });
    symlinkSync(tool(name), join(consumer, "node_modules", name), "junction");
  }
  return { folder, tarball, consumer };
}

/** The npm that runs this, or the one that comes with this Node. */
function npm(): string {
  const own = process.env["npm_execpath"];
  if (own?.endsWith("npm-cli.js") === true) return own;
  const places = ["../lib/node_modules/npm/bin/npm-cli.js", "node_modules/npm/bin/npm-cli.js"];
  const found = places
    .map((place) => join(dirname(realpathSync(process.execPath)), place))
    .find((place) => existsSync(place));
  if (found === undefined) throw new Error("no npm beside this Node: run the tests by `npm test`");
  return found;
}
