/** @file The command line of `train`, and its help. */

import { basename, dirname, join, resolve } from "node:path";
import type { AdapterChoice } from "../../gpu/open.ts";
import { readTrainConfig } from "../../train/config/config.ts";
import type { TrainConfig } from "../../train/config/config.ts";
import { deviceChoices } from "../device.ts";
import { readJson } from "../files.ts";
import { oneOf, readOptions, usageError } from "../options.ts";

/** What `train --help` prints. */
export const TRAIN_HELP = `usage: adapters-webgpu train --config FILE [options]

Trains adapters, fusions, routers, heads or the host's own weights on a data set, as a JSON file says. A
training that was interrupted, in whatever way, goes on from its last checkpoint when the same command is
given again, and ends with the same bits as one that was not.

  --config FILE            what to train, as JSON: docs/training.md has every field
  --root FOLDER            where relative paths of the file start (the file's folder)
  --out FOLDER             where everything goes (the file's field output, else FILE-train)
  --resume auto|never      go on from the folder's last checkpoint, or refuse a folder that has one (auto)
  --device auto|hardware|software   where to run (auto)
  --json                   results.json on stdout in place of the table

The folder gets metrics.jsonl (a line per step and per evaluation), checkpoints/ (the last two and the
best), and at the end results.json with what was trained beside it: adapters/, fusions/, heads/,
routers.safetensors, model/. Adapters are folders of AdapterHub, which run --adapter NAME=FOLDER takes.

exit code: 0 done, 2 the request was wrong or the training diverged, 130 interrupted

examples
  adapters-webgpu train --config trec.json
  adapters-webgpu train --config trec.json --out runs/trec-1 --json
`;

const COMMAND = "train";

/** A checked command line. */
export interface TrainRequest {
  readonly config: TrainConfig;
  /** Relative paths of the configuration start here. */
  readonly root: string;
  readonly out: string;
  readonly resume: "auto" | "never";
  readonly device: AdapterChoice;
  readonly json: boolean;
}

/**
 * Reads the command line and the configuration.
 * @throws EngineError BAD_INPUT, BAD_CONFIG, NOT_FOUND, BAD_FILE
 */
export async function readTrainRequest(args: readonly string[]): Promise<TrainRequest> {
  const { values, flags } = readOptions(args, {
    command: COMMAND,
    values: ["config", "root", "out", "resume", "device"],
    flags: ["json"],
  });
  const { config: file } = values;
  if (file === undefined) throw usageError(COMMAND, "train needs --config");
  const stem = basename(file).replace(/\.json$/i, "");
  const device = oneOf(COMMAND, "device", values.device, deviceChoices);
  const resume = oneOf(COMMAND, "resume", values.resume, ["auto", "never"] as const);
  const config = readTrainConfig(await readJson(file), stem);
  const root = resolve(values.root ?? dirname(file));
  const standard = config.output === null ? join(dirname(file), `${stem}-train`) : resolve(root, config.output);
  return { config, root, out: resolve(values.out ?? standard), resume, device, json: flags.json };
}
