/** @file `start`: the main job. A short doctor, then the small English model that comes along on labelled sentences, dense and routed. */

import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EngineError } from "../../errors.ts";
import type { Command } from "../command.ts";
import { deviceChoices, openDevice } from "../device.ts";
import { quickDoctor } from "../doctor/doctor.ts";
import { checkTarget } from "../files.ts";
import { oneOf, readOptions } from "../options.ts";
import { startJob } from "./job.ts";
import type { StartRequest } from "./job.ts";
import { formatTime } from "../text.ts";

/** This package, in source as well as built. */
const root = fileURLToPath(new URL("../../../", import.meta.url));

const HELP = `usage: adapters-webgpu start [options]

The main job: a few checks of every kernel, then a small English BERT with adapters for three tasks
and trained routers, all of it trained by this engine, classifies the labelled sentences in
examples/: dense and routed (CoDA). Logits and choices of routers are verified against float64,
times are taken in turns, and the routing goes into an HTML page.

  --model FOLDER                     another model of that form (models/english-small)
  --examples FILE                    other sentences, as a table of task, label and text
  --report FILE                      where the page goes (adapters-webgpu-report.html)
  --data FOLDER                      public data sets: accuracy on the test sets is printed as well
                                     (../shared/data, where that is there)
  --json                             the report as JSON on stdout
  --adapter auto|hardware|software   which adapter to open (auto)

exit code: 0 all right, 1 a result was wrong
`;

async function readRequest(
  args: readonly string[],
): Promise<StartRequest & { readonly choice: (typeof deviceChoices)[number] }> {
  const { values, flags } = readOptions(args, {
    command: "start",
    values: ["adapter", "examples", "report", "data", "model"],
    flags: ["json"],
  });
  const report = values.report ?? "adapters-webgpu-report.html";
  await checkTarget(report);
  if (values.data !== undefined && !existsSync(values.data)) {
    const fix = "name a folder with public data sets, or leave --data out";
    throw new EngineError("NOT_FOUND", `--data: there is no ${values.data}`, { where: values.data, fix });
  }
  return {
    choice: oneOf("start", "adapter", values.adapter, deviceChoices),
    model: values.model ?? join(root, "models/english-small"),
    examples: values.examples ?? join(root, "examples/sentences.tsv"),
    report,
    data: values.data ?? join(root, "../shared/data"),
    json: flags.json,
  };
}

/** The command `start`. */
export const startCommand: Command = {
  name: "start",
  summary: "the main job: a short doctor, then a small English model on labelled sentences, dense and routed",
  help: HELP,
  async run(args, io) {
    const request = await readRequest(args);
    const gpu = await openDevice(request.choice, io);
    try {
      const start = performance.now();
      const say = (text: string): unknown => (request.json ? io.stderr : io.stdout).write(`${text}\n`);
      if (!(await quickDoctor(gpu, say, io.signal))) return 1;
      const held = await startJob(gpu, request, io);
      say(`${held ? "all right" : "WRONG RESULTS"}, ${formatTime(performance.now() - start)} in all`);
      return held ? 0 : 1;
    } finally {
      await gpu.dispose();
    }
  },
};
