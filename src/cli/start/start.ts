/** @file `start`: the main job. A short doctor, then a frozen encoder dense, with an adapter and routed, verified and timed. */

import { runMainJob } from "../../bench/main-job.ts";
import { verificationHeld } from "../../bench/report.ts";
import type { SuiteResult } from "../../bench/report.ts";
import { benchContext } from "../bench/bench.ts";
import { formatDevice, formatRows, makeReport, reportJson } from "../bench/report.ts";
import type { Command } from "../command.ts";
import { deviceChoices, openDevice } from "../device.ts";
import { quickDoctor } from "../doctor/doctor.ts";
import { oneOf, readOptions } from "../options.ts";
import { formatTime } from "../text.ts";

const HELP = `usage: adapters-webgpu start [options]

The main job: a few checks of every kernel, then a frozen encoder of 4 layers and width 256 on
1 × 512 and on 8 × 64 tokens: dense, with an adapter, and routed (CoDA) with r = 2, 3, 5, 8 in both
attention forms. Each is verified against float64 and then timed, all in one run. Under two minutes
on two CPU cores.

  --json                             the report as JSON on stdout
  --adapter auto|hardware|software   which adapter to open (auto)

exit code: 0 all right, 1 a result was wrong
`;

const ABOUT_SOFTWARE =
  "This adapter is software: the times are those of a CPU that imitates a GPU, tens of times slower than the CPU's own libraries; what carries over is that results are right and how times compare.";

const COLUMNS =
  "speed-up: over dense + adapter, paired round by round. FLOP ratio: what the cost model of routing promises. realised: speed-up / FLOP ratio.";

/** The command `start`. */
export const startCommand: Command = {
  name: "start",
  summary: "the main job: a short doctor, then one encoder dense, adapted and routed, verified and timed",
  help: HELP,
  async run(args, io) {
    const { values, flags } = readOptions(args, { command: "start", values: ["adapter"], flags: ["json"] });
    const choice = oneOf("start", "adapter", values.adapter, deviceChoices);
    const start = performance.now();
    const say = (text: string): unknown => (flags.json ? io.stderr : io.stdout).write(`${text}\n`);
    const gpu = await openDevice(choice, io);
    try {
      if (!(await quickDoctor(gpu, say, io.signal))) return 1;
      const result = await mainJob(gpu, io);
      const report = makeReport(gpu, "start", { start: result });
      if (flags.json) io.stdout.write(reportJson(report));
      else {
        const { warmup, rounds } = result.settings;
        say(`device: ${formatDevice(report)}`);
        say(
          `verified against float64, then ${String(warmup)} warm-up and ${String(rounds)} interleaved rounds; median, p10–p90\n`,
        );
        say(`${formatRows(report.rows)}\n`);
        say(COLUMNS);
        if (report.software) say(ABOUT_SOFTWARE);
        say(
          `${verificationHeld(report.rows) ? "all right" : "WRONG RESULTS"}, ${formatTime(performance.now() - start)} in all`,
        );
      }
      return verificationHeld(report.rows) ? 0 : 1;
    } finally {
      await gpu.dispose();
    }
  },
};

async function mainJob(
  gpu: Parameters<typeof runMainJob>[0],
  io: Parameters<typeof benchContext>[0],
): Promise<SuiteResult> {
  const { context, finish } = benchContext(io, "start");
  try {
    return await runMainJob(gpu, {}, context);
  } finally {
    finish();
  }
}
