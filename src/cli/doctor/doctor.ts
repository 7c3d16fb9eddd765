/** @file `doctor`: what the device is, what it lacks, and whether every kernel is right on it. */

import type { Gpu } from "../../gpu/gpu.ts";
import type { Command, Io } from "../command.ts";
import { deviceChoices, deviceLine, deviceRecord, openDevice } from "../device.ts";
import { checkKernels, formatKernelCheck } from "./kernels.ts";
import type { KernelCheck } from "./kernels.ts";
import { checkWaiting } from "./wait.ts";
import type { WaitCheck } from "./wait.ts";
import { listOf, oneOf, readOptions } from "../options.ts";
import { startProgress } from "../progress.ts";
import type { Progress } from "../progress.ts";
import { formatBytes, formatFacts, formatPercent, formatTime } from "../text.ts";

export { quickDoctor } from "./kernels.ts";

const HELP = `usage: adapters-webgpu doctor [options]

Opens the adapter, says what it has and what it lacks, and checks every kernel in every variant
that it can run against float64.

  --adapter auto|hardware|software   which adapter to open (auto)
  --quick                            a few cases of every op instead of all
  --op a,b                           only these ops
  --json                             the findings as JSON on stdout

exit code: 0 all right, 1 a kernel is wrong or there is no adapter
`;

const CLOCKS = {
  gpu: "GPU timestamps",
  "gpu-quantised": "GPU timestamps, rounded by the implementation",
  wall: "the host's clock: the device has no timestamps",
} as const;

function describe({ info }: Gpu, waiting: WaitCheck): string {
  const bytes = /Size$|^maxBuffer/;
  const limits = Object.entries(info.limits).map(
    ([name, value]) => [`  ${name}`, bytes.test(name) && value >= 1024 ? formatBytes(value) : String(value)] as const,
  );
  const wait = `${waiting.polite ? "polite" : "BURNS A CORE"}: event loop busy ${formatPercent(waiting.busy)} of a wait of ${formatTime(waiting.milliseconds)}`;
  return formatFacts([
    ["adapter", deviceLine(info)],
    ["clock", CLOCKS[info.clock]],
    ["waiting", wait],
    ["features", info.features.join(", ") || "none"],
    ...info.missing.map(({ name, reason }) => ["missing", `${name}: ${reason}`] as const),
    ["limits", ""],
    ...limits,
  ]);
}

async function check(
  gpu: Gpu,
  io: Io,
  options: { readonly quick: boolean; readonly ops: readonly string[] },
): Promise<KernelCheck> {
  let progress: Progress | null = null;
  const ops = options.ops.length === 0 ? {} : { ops: options.ops };
  try {
    return await checkKernels(gpu, {
      quick: options.quick,
      ...ops,
      signal: io.signal,
      onCase: (done, total, op) =>
        (progress ??= startProgress(io, "checking kernels", total, "cases")).update(done, op),
    });
  } finally {
    (progress as Progress | null)?.finish();
  }
}

/** The command `doctor`. */
export const doctorCommand: Command = {
  name: "doctor",
  summary: "the adapter, its limits and features, and every kernel checked against float64 on it",
  help: HELP,
  async run(args, io) {
    const { values, flags } = readOptions(args, {
      command: "doctor",
      values: ["adapter", "op"],
      flags: ["quick", "json"],
    });
    const choice = oneOf("doctor", "adapter", values.adapter, deviceChoices);
    const gpu = await openDevice(choice, io);
    try {
      const waiting = await checkWaiting(gpu);
      if (!flags.json) io.stdout.write(`${describe(gpu, waiting)}\n\n`);
      const start = performance.now();
      const kernels = await check(gpu, io, { quick: flags.quick, ops: listOf(values.op) });
      const wall = performance.now() - start;
      if (flags.json) {
        const { features, missing, limits } = gpu.info;
        const record = {
          device: deviceRecord(gpu.info),
          features,
          missing,
          limits,
          waiting,
          milliseconds: wall,
          ...kernels,
        };
        // JSON has no Infinity; a kernel that did not run has no finite error.
        io.stdout.write(
          `${JSON.stringify(record, (_, value) => (value === Infinity ? "Infinity" : (value as unknown)), 2)}\n`,
        );
      } else {
        io.stdout.write(`${formatKernelCheck(kernels)}\n${verdict(kernels, wall)}\n`);
      }
      return kernels.ok ? 0 : 1;
    } finally {
      await gpu.dispose();
    }
  },
};

function verdict({ ok, variants }: KernelCheck, wall: number): string {
  const cases = variants.reduce((sum, variant) => sum + variant.cases, 0);
  const wrong = variants.filter(({ failures }) => failures.length > 0).length;
  const summary = `${variants.length} variants on ${cases} cases in ${formatTime(wall)}`;
  return ok ? `all right: ${summary}` : `WRONG: ${wrong} of ${summary}`;
}
