/**
 * @file Routers on three real models, reactions, speech and digits, as sweeps: `npx tsx scripts/three-modalities.ts`. Each prints what it
 * will take after its dense pass, goes on where it was stopped, and writes to bench/results/three-modalities/. What stands behind goes
 * to every sweep, as `--every 20 --out-root /tmp/small` for a small one or `--shard 1/4` for one of four machines; `--only kwt` takes
 * one of them, `--data FOLDER` says where models and data are.
 */

import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("../", import.meta.url));
const sweeps = ["mnist-vit", "kwt", "rxnmapper"];

const { values } = parseArgs({
  options: {
    data: { type: "string", default: join(root, "../shared/data") },
    "out-root": { type: "string", default: join(root, "bench/results/three-modalities") },
    only: { type: "string" },
    every: { type: "string" },
    limit: { type: "string" },
    shard: { type: "string" },
    device: { type: "string" },
  },
});

/** Runs one sweep; the terminal is its own. */
function sweep(name: string): Promise<number> {
  const given = (["every", "limit", "shard", "device"] as const).flatMap((option) => {
    const value = values[option];
    return value === undefined ? [] : [`--${option}`, value];
  });
  const paths = [
    "--config",
    join(root, `scripts/sweeps/${name}.json`),
    "--root",
    values.data,
    "--out",
    join(values["out-root"], name),
  ];
  const args = ["--import", "tsx", join(root, "src/cli/main.ts"), "sweep", ...paths, ...given];
  const child = spawn(process.execPath, args, { stdio: "inherit", cwd: root });
  return new Promise((resolve) => child.once("exit", (code) => resolve(code ?? 1)));
}

// Ctrl-C reaches the sweep as well: it stops, and so does this.
process.on("SIGINT", () => undefined);
for (const name of values.only === undefined ? sweeps : [values.only]) {
  console.error(`\n${name}`);
  process.exitCode = await sweep(name);
  if (process.exitCode !== 0) break;
}
