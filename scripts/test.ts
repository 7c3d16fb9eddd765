/**
 * @file Everything that has to hold before a change goes in, in the order in which it fails fastest: format, lint,
 * generated files, types, tests. All of it runs even when an early part fails, and the last line counts the outcome:
 * every test, and every one of the other parts as one check.
 */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { generate } from "./embed-kernels.ts";

const root = fileURLToPath(new URL("../", import.meta.url));

/** What a run of tests came to. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** Tests that did not run, by file and name. */
  readonly skipped: readonly string[];
}

/** The part of vitest's JSON report that is counted. */
export interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** Counts a report. A file that fails without a failed test, because it could not be loaded, counts as one failure. */
export function tally({ testResults }: Report): Tally {
  let passed = 0;
  let failed = 0;
  const skipped: string[] = [];
  for (const file of testResults) {
    const failures = file.assertionResults.filter(({ status }) => status === "failed").length;
    failed += failures === 0 && file.status === "failed" ? 1 : failures;
    passed += file.assertionResults.filter(({ status }) => status === "passed").length;
    const rest = file.assertionResults.filter(({ status }) => status !== "failed" && status !== "passed");
    skipped.push(...rest.map(({ fullName }) => `${relative(root, file.name)}: ${fullName}`));
  }
  return { passed, failed, skipped };
}

/** Runs a tool of node_modules/.bin through npm, which finds it on every platform. */
function runTool(words: readonly string[]): boolean {
  const npm = process.env["npm_execpath"];
  const [command, prefix] = npm === undefined ? ["npm", []] : [process.execPath, [npm]];
  const options = { cwd: root, stdio: "inherit", shell: npm === undefined && process.platform === "win32" } as const;
  return spawnSync(command, [...prefix, "exec", "--offline", "--", ...words], options).status === 0;
}

function runTests(): Tally {
  const folder = mkdtempSync(join(tmpdir(), "adapters-webgpu-test-"));
  const file = join(folder, "report.json");
  try {
    const clean = runTool(["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`]);
    const counted = tally(JSON.parse(readFileSync(file, "utf8")) as Report);
    if (counted.passed + counted.failed === 0) return { ...counted, failed: 1 };
    // An error outside of any test, such as an unhandled rejection, fails the run as well.
    return clean || counted.failed > 0 ? counted : { ...counted, failed: 1 };
  } catch (error) {
    process.stdout.write(`the test run left no report: ${String(error)}\n`);
    return { passed: 0, failed: 1, skipped: [] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Whether `src/kernels.gen.ts` is what `kernels/` gives. */
function generatedFilesAreFresh(): boolean {
  const fresh = readFileSync(join(root, "src/kernels.gen.ts"), "utf8") === generate();
  if (!fresh) process.stdout.write("src/kernels.gen.ts is not what kernels/ gives: run `npm run gen`\n");
  return fresh;
}

const gates: readonly (readonly [string, () => boolean])[] = [
  ["format", () => runTool(["oxfmt", "--check"])],
  ["lint", () => runTool(["oxlint", "--deny-warnings"])],
  ["generated files", generatedFilesAreFresh],
  ["types", () => runTool(["tsc", "-p", "tsconfig.json"])],
];

function main(): void {
  const failures: string[] = [];
  for (const [name, holds] of gates) {
    process.stdout.write(`\n== ${name}\n`);
    if (!holds()) failures.push(name);
  }
  process.stdout.write("\n== tests\n");
  const tests = runTests();
  for (const name of tests.skipped) process.stdout.write(`skipped  ${name}\n`);
  for (const name of failures) process.stdout.write(`failed   ${name}\n`);
  const passed = tests.passed + gates.length - failures.length;
  const failed = tests.failed + failures.length;
  const skipped = tests.skipped.length === 0 ? "" : `, ${tests.skipped.length} skipped`;
  process.stdout.write(`${passed} passed, ${failed} failed${skipped}\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
