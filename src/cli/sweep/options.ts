/** @file The command lines of `sweep` and `sweep merge`, and their help. */

import { basename, dirname, join, resolve } from "node:path";
import type { AdapterChoice } from "../../gpu/open.ts";
import { readSweepConfig } from "../../sweep/config.ts";
import type { SweepConfig } from "../../sweep/config.ts";
import { parseShard } from "../../sweep/grid.ts";
import type { Shard } from "../../sweep/grid.ts";
import { deviceChoices } from "../device.ts";
import { readJson } from "../files.ts";
import { oneOf, readOptions, usageError, wholeNumber } from "../options.ts";

/** What `sweep --help` prints. */
export const SWEEP_HELP = `usage: adapters-webgpu sweep --config FILE [options]
       adapters-webgpu sweep merge OUT [IN...] [--json]

Runs routers × reduction factors × attention forms × layers over a data set, against the dense model.
Every finished point is a file in the output folder; a sweep that is started again goes on where it
was, and computes nothing twice.

  --config FILE            what to sweep, as JSON: docs/sweep.md has every field
  --root FOLDER            where relative paths of the file start (the file's folder)
  --out FOLDER             where points and results go (the file's field output, else FILE-sweep)
  --every N, --limit N     stand in for the fields of the data set: a small sweep of the same kind
  --shard I/N              only the points of shard I of N, from 1: for many processes or machines,
                           into one folder or into one each
  --device auto|hardware|software   where to run (auto)
  --json                   results.json on stdout in place of the table

merge joins folders of shards into OUT, which may be new, and lists missing points. It refuses points
that are in two folders with different numbers. Without IN it renews the results of OUT.

Both write table.md, results.json, plot.svg, and curve.json with its report.html, beside points/.

exit code: 0 done, 2 the request was wrong, 130 interrupted

examples
  adapters-webgpu sweep --config sweep.json
  adapters-webgpu sweep --config sweep.json --shard $SLURM_ARRAY_TASK_ID/16 --out shards
  adapters-webgpu sweep merge results shards
`;

const COMMAND = "sweep";

/** A checked command line of `sweep`. */
export interface SweepRequest {
  readonly config: SweepConfig;
  /** Relative paths of the configuration start here. */
  readonly root: string;
  readonly out: string;
  readonly shard: Shard;
  readonly device: AdapterChoice;
  readonly json: boolean;
}

/**
 * Reads the command line and the configuration.
 * @throws EngineError BAD_INPUT, BAD_CONFIG, NOT_FOUND, BAD_FILE
 */
export async function readSweepRequest(args: readonly string[]): Promise<SweepRequest> {
  const { values, flags, positionals } = readOptions(args, {
    command: COMMAND,
    values: ["config", "root", "out", "every", "limit", "shard", "device"],
    flags: ["json"],
  });
  const [extra] = positionals;
  if (extra !== undefined) throw usageError(COMMAND, `sweep does not know ${JSON.stringify(extra)}`);
  const { config: file } = values;
  if (file === undefined) throw usageError(COMMAND, "sweep needs --config");
  const shard = values.shard === undefined ? { index: 1, count: 1 } : parseShard(values.shard);
  const device = oneOf(COMMAND, "device", values.device, deviceChoices);
  const stem = basename(file).replace(/\.json$/i, "");
  const read = readSweepConfig(await readJson(file), stem);
  const every = wholeNumber(COMMAND, "every", values.every) ?? read.data.every;
  const limit = wholeNumber(COMMAND, "limit", values.limit) ?? read.data.limit;
  const config = { ...read, data: { ...read.data, every, limit } };
  const root = resolve(values.root ?? dirname(file));
  const standard = config.output === null ? join(dirname(file), `${stem}-sweep`) : resolve(root, config.output);
  return { config, root, out: resolve(values.out ?? standard), shard, device, json: flags.json };
}

/** A checked command line of `sweep merge`. */
export interface MergeRequest {
  readonly out: string;
  readonly folders: readonly string[];
  readonly json: boolean;
}

/** Reads what stands behind `sweep merge`. @throws EngineError BAD_INPUT */
export function readMergeRequest(args: readonly string[]): MergeRequest {
  const { flags, positionals } = readOptions(args, {
    command: "sweep merge",
    values: [],
    flags: ["json"],
    positionals: { most: Infinity, what: "folder" },
  });
  const [out, ...folders] = positionals;
  if (out === undefined) throw usageError(COMMAND, "sweep merge needs the folder to merge into");
  return { out, folders, json: flags.json };
}
