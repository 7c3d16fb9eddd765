/** @file Writes `src/kernels.gen.ts` from `kernels/`, so that browsers and bundlers need no file access. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));

function texts(folder: string): Record<string, string> {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".wgsl"))
    .sort();
  return Object.fromEntries(names.map((name) => [name.slice(0, -5), readFileSync(`${folder}/${name}`, "utf8")]));
}

function table(name: string, entries: Record<string, string>): string {
  const lines = Object.entries(entries).map(
    ([stem, text]) => `  ${JSON.stringify(stem)}:\n    ${JSON.stringify(text)},`,
  );
  return `export const ${name}: Readonly<Record<string, string>> = {\n${lines.join("\n")}\n};\n`;
}

/** @returns the text that `src/kernels.gen.ts` should have. */
export function generate(): string {
  return [
    "// Written by scripts/embed-kernels.ts from kernels/. Do not edit: run `npm run gen`.\n",
    table("kernels", texts(`${root}kernels`)),
    table("libs", texts(`${root}kernels/lib`)),
  ].join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(`${root}src/kernels.gen.ts`, generate());
