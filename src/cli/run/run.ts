/** @file `run`: a checkpoint, adapters and a routing policy over a file of inputs. */

import { formatComposition } from "../../adapters/composition-text.ts";
import { EngineError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import { loadModel } from "../../node.ts";
import { renderRoutingReport } from "../../routing/report.ts";
import { batchSizeOf, readPerSequence } from "../adapter-options.ts";
import { activate, addAll, batchOutputs } from "../add-adapters.ts";
import type { Command, Io } from "../command.ts";
import { deviceName, deviceRecord, openDevice } from "../device.ts";
import { writeWhole } from "../files.ts";
import { loadOptions } from "../load-options.ts";
import { routeRecord } from "../route-option.ts";
import { intoBatches, prepare, runBatches } from "./batches.ts";
import type { BatchOptions, Prepared } from "./batches.ts";
import { readInputs } from "./inputs.ts";
import type { Sequence } from "./inputs.ts";
import { RUN_HELP, readRunSettings } from "./options.ts";
import type { RunSettings } from "./options.ts";
import { collect } from "./results.ts";
import type { BatchTime, Collected } from "./results.ts";
import { summary } from "./summary.ts";
import type { TraceOptions } from "./trace.ts";
import type { Timing } from "./summary.ts";
import { formatBytes } from "../text.ts";

function timingOf(load: number, batches: readonly BatchTime[]): Timing {
  const gpu = batches.reduce<number | null>(
    (sum, batch) => (sum === null || batch.gpu === null ? null : sum + batch.gpu),
    0,
  );
  return { load, wall: batches.reduce((sum, batch) => sum + batch.wall, 0), gpu, batches };
}

function settingsRecord({
  input,
  route,
  adapters,
  targets: _,
  device: __,
  ...rest
}: RunSettings): Record<string, unknown> {
  const { active, drop, perSequence, compat, ...named } = adapters;
  const chosen = {
    ...named,
    active: active === null ? null : formatComposition(active),
    dropAdapters: drop,
    perSequence: perSequence ?? null,
    compat: compat ?? null,
  };
  return { ...rest, input, route: route === null ? null : routeRecord(route), ...chosen };
}

function resultJson(settings: RunSettings, model: Model, gpu: Gpu, timing: Timing, collected: Collected): string {
  const { shape } = model.host;
  const { ignored, ...report } = model.report;
  const record = {
    format: "adapters-webgpu/run",
    version: 1,
    model: { folder: settings.model, ...report, ignored: ignored.length, shape },
    device: deviceRecord(gpu.info),
    settings: settingsRecord(settings),
    timing,
    layers: collected.layers,
  };
  // One sequence a line: a reader may stream them, and a diff shows which one changed.
  const sequences = collected.sequences.map((sequence) => `  ${JSON.stringify(sequence)}`).join(",\n");
  return `${JSON.stringify(record, null, 1).slice(0, -2)},\n "sequences": [\n${sequences}\n ]\n}\n`;
}

/** What every batch is to compute: the hidden state always, so that times are those of the whole model. */
function outputsFor(model: Model, { outputs, route, adapters }: RunSettings): BatchOptions["outputs"] {
  const asked = [...outputs, "hidden", ...(route === null ? [] : ["routing"])];
  return (batch) => {
    const own = batch.map(({ sequence }) => sequence.adapter);
    return batchOutputs(model, adapters, asked, own, route?.adapter ?? null);
  };
}

/** Reads the input and, where there is one, the adapter of every sequence. */
async function readSequences(settings: RunSettings, model: Model): Promise<{ sequences: Sequence[]; notes: string[] }> {
  const { input, adapters } = settings;
  const { sequences, total, notes } = await readInputs(input, model.host.shape.input);
  const { perSequence } = adapters;
  const own =
    perSequence === undefined
      ? null
      : await readPerSequence(perSequence, adapters.adapters, { path: input.path, sequences: total });
  const named = sequences.map((sequence, index) =>
    own === null ? sequence : { ...sequence, adapter: own[index] ?? null },
  );
  return { sequences: named, notes: [...model.report.notes, ...notes] };
}

/** Cuts sequences into batches; a split of the batch says how large they are. */
function batchesFor(ready: readonly Prepared[], settings: RunSettings, gpu: Gpu): Prepared[][] {
  const { active } = settings.adapters;
  const size = batchSizeOf(active);
  if (size !== null && active !== null && ready.length % size !== 0) {
    const message = `${formatComposition(active)} takes batches of ${size} sequences, the input has ${ready.length}`;
    throw new EngineError("BAD_INPUT", message, { where: settings.input.path, fix: "give a multiple of that number" });
  }
  return intoBatches(ready, gpu.info.software, settings.batch ?? size ?? Infinity);
}

async function writeResults(settings: RunSettings, json: string, { trace }: Collected, io: Io): Promise<void> {
  const { targets } = settings;
  const files: [string, string][] = [];
  if (targets.json !== undefined && targets.json !== "-") files.push([targets.json, json]);
  if (trace !== null && targets.report !== undefined) files.push([targets.report, renderRoutingReport(trace)]);
  if (trace !== null && targets.trace !== undefined) files.push([targets.trace, `${JSON.stringify(trace)}\n`]);
  for (const [path, content] of files) {
    await writeWhole(path, content);
    io.stderr.write(`wrote ${path} (${formatBytes(Buffer.byteLength(content))})\n`);
  }
}

/** What the trace says besides what comes out of the runs; null where none is asked for. */
function traceOptions(
  { model: folder, route, targets, input }: RunSettings,
  model: Model,
  gpu: Gpu,
): TraceOptions | null {
  if (route === null || (targets.report ?? targets.trace) === undefined) return null;
  return {
    head: { model: folder, device: deviceName(gpu.info), settings: routeRecord(route) },
    part: route.part,
    input: model.host.shape.input,
    crop: input.crop,
  };
}

async function execute(settings: RunSettings, model: Model, gpu: Gpu, io: Io, load: number): Promise<void> {
  const { sequences, notes } = await readSequences(settings, model);
  const { ready, skipped } = prepare(sequences, model, settings.input);
  if (skipped > 0)
    io.stderr.write(`${skipped} sequences over the ${model.host.shape.maxTokens} tokens of the model are left out\n`);
  for (const note of notes) io.stderr.write(`${note}\n`);
  await addAll(model, settings.adapters, io);
  activate(model, settings.adapters);
  model.setRouting(settings.route);
  const batches = batchesFor(ready, settings, gpu);
  const { compat } = settings.adapters;
  const options = {
    outputs: outputsFor(model, settings),
    capture: settings.capture,
    ...(compat === undefined ? {} : { compat }),
  };
  const results = runBatches(model, batches, options, io, settings.input.crop);
  const collected = await collect(results, { outputs: settings.outputs, trace: traceOptions(settings, model, gpu) });
  const timing = timingOf(load, collected.batches);
  const json = settings.targets.json === undefined ? "" : resultJson(settings, model, gpu, timing, collected);
  await writeResults(settings, json, collected, io);
  // With the JSON on stdout the summary would spoil it.
  const toStdout = settings.targets.json === "-";
  if (toStdout) io.stdout.write(json);
  (toStdout ? io.stderr : io.stdout).write(summary(settings, model, gpu, timing, collected));
}

/** The command `run`. */
export const runCommand: Command = {
  name: "run",
  summary: "a checkpoint, adapters and a routing policy over a file of inputs",
  help: RUN_HELP,
  async run(args, io) {
    const settings = await readRunSettings(args);
    const options = await loadOptions(settings);
    const gpu = await openDevice(settings.device, io);
    try {
      const start = performance.now();
      const model = await loadModel(gpu, settings.model, options);
      try {
        await execute(settings, model, gpu, io, performance.now() - start);
      } finally {
        await model.dispose();
      }
    } finally {
      await gpu.dispose();
    }
    return 0;
  },
};
