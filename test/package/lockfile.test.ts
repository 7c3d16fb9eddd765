/** @file The lock file: complete for every platform, and free of addresses that only one machine reaches. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

interface Entry {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const text = readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8");
const { packages } = JSON.parse(text) as { packages: Readonly<Record<string, Entry>> };
const installed = Object.entries(packages).filter(([path]) => path !== "");

test("names the binaries of all platforms, not only those of the one that wrote it", () => {
  // `npm ci` refuses a lock file that lacks one.
  const lost = Object.values(packages)
    .flatMap(({ optionalDependencies }) => Object.keys(optionalDependencies ?? {}))
    .filter((name) => !installed.some(([path]) => path.endsWith(`node_modules/${name}`)));
  expect(lost).toEqual([]);
});

test("vouches for every package, and downloads from the public registry only", () => {
  expect(installed.filter(([, { integrity }]) => integrity?.startsWith("sha512-") !== true)).toEqual([]);
  const foreign = installed.filter(([, { resolved }]) => resolved?.startsWith("https://registry.npmjs.org/") === false);
  expect(foreign).toEqual([]);
});
