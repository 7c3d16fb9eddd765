/** @file `run`: a checkpoint, an adapter and a routing policy over a file of inputs. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Model } from "../model/model.ts";
import { loadModel } from "../node.ts";
import { renderRoutingReport } from "../routing/report.ts";
import type { Command, Io } from "./command.ts";
import { deviceLine, deviceName, deviceRecord, openDevice } from "./device.ts";
import { writeWhole } from "./files.ts";
import { loadOptions } from "./load-options.ts";
import { routeLine, routeRecord } from "./route-option.ts";
import { intoBatches, prepare, runBatches } from "./run-batches.ts";
import { readInputs } from "./run-inputs.ts";
import { RUN_HELP, readRunSettings } from "./run-options.ts";
import type { RunSettings } from "./run-options.ts";
import { collect } from "./run-results.ts";
import type { BatchTime, Collected, LayerRecord } from "./run-results.ts";
import { formatBytes, formatCount, formatFacts, formatPercent, formatTable, formatTime } from "./text.ts";

/** Milliseconds of a whole run. */
interface Timing {
  readonly load: number;
  /** Sum over the batches, the first of which compiles the kernels. */
  readonly wall: number;
  readonly gpu: number | null;
  readonly batches: readonly BatchTime[];
}

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
  adapter,
  targets: _,
  device: __,
  ...rest
}: RunSettings): Record<string, unknown> {
  return { ...rest, input, route: route === null ? null : routeRecord(route), adapter };
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

function layerRows(layers: readonly (LayerRecord | null)[]): string[][] {
  return layers.map((layer, index) =>
    layer === null
      ? [String(index), "all", "dense", ""]
      : [String(index), formatCount(layer.selected), formatPercent(layer.share), layer.weight.toFixed(3)],
  );
}

function tokensOf(batches: readonly BatchTime[]): number {
  return batches.reduce((sum, batch) => sum + batch.tokens, 0);
}

/** The first batch compiles the kernels, so the rate is that of the others where there are some. */
function timeLine({ wall, gpu, batches }: Timing): string {
  const [first, ...warm] = batches;
  const parts = [`${formatTime(wall)} in ${batches.length} ${warm.length === 0 ? "batch" : "batches"}`];
  if (gpu !== null) parts.push(`${formatTime(gpu)} on the GPU`);
  const compiled = `the first, which compiles, took ${formatTime(first?.wall ?? 0)}`;
  if (warm.length === 0) return `${parts.join(", ")}, compiling included`;
  const rate = (1000 * tokensOf(warm)) / warm.reduce((sum, batch) => sum + batch.wall, 0);
  return `${parts.join(", ")}; ${compiled}, the others ${formatCount(rate)} tokens/s`;
}

function summary(
  settings: RunSettings,
  model: Model,
  gpu: Gpu,
  timing: Timing,
  { sequences, layers }: Collected,
): string {
  const { shape, head } = model.host;
  const tokens = tokensOf(timing.batches);
  const longest = Math.max(...sequences.map((sequence) => sequence.tokens.length));
  const facts: [string, string][] = [
    [
      "model",
      `${settings.model} (${shape.family}, ${shape.layers} layers of ${shape.width}, ${formatBytes(model.report.bytes)}, ${settings.precision})`,
    ],
    ["device", deviceLine(gpu.info)],
    [
      "input",
      `${formatCount(sequences.length)} sequences, ${formatCount(tokens)} tokens, longest ${formatCount(longest)}`,
    ],
    ["routing", settings.route === null ? "none: dense" : routeLine(settings.route)],
    [
      "adapter",
      settings.adapter === null
        ? "none"
        : `${settings.adapter.name} (${settings.adapter.preset}, fresh weights, not trained)`,
    ],
    ["time", timeLine(timing)],
  ];
  if (head?.rows === "sequence" && settings.outputs.length === 0)
    facts.push(["head", `${head.labels} labels: add --outputs heads.default --json FILE`]);
  if (layers === null) return `${formatFacts(facts)}\n`;
  const table = formatTable(
    [["layer", "heavy tokens", "share", "mean λ"], ...layerRows(layers)],
    ["right", "right", "right", "right"],
  );
  return `${formatFacts(facts)}\n\n${table}\n`;
}

/** What the model is to compute: the hidden state always, so that times are those of the whole model. */
function outputsOf({ outputs, route }: RunSettings): string[] {
  return [...new Set([...outputs, "hidden", ...(route === null ? [] : ["routing"])])];
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

async function execute(settings: RunSettings, model: Model, gpu: Gpu, io: Io, load: number): Promise<void> {
  const { sequences, notes } = await readInputs(settings.input, model.host.shape.input);
  const { ready, skipped } = prepare(sequences, model, settings.input);
  if (skipped > 0)
    io.stderr.write(`${skipped} sequences over the ${model.host.shape.maxTokens} tokens of the model are left out\n`);
  for (const note of [...model.report.notes, ...notes]) io.stderr.write(`${note}\n`);
  if (settings.adapter !== null) {
    await model.addAdapter(settings.adapter.name, settings.adapter.preset);
    // An adapter that the route names is for light paths only.
    if (settings.route?.adapter !== settings.adapter.name) model.setActive(settings.adapter.name);
  }
  model.setRouting(settings.route);
  const traced = settings.route !== null && (settings.targets.report ?? settings.targets.trace) !== undefined;
  const about =
    traced && settings.route !== null
      ? { model: settings.model, device: deviceName(gpu.info), settings: routeRecord(settings.route) }
      : null;
  const batches = intoBatches(ready, gpu.info.software, settings.batch);
  const options = { outputs: outputsOf(settings), capture: settings.capture };
  const results = runBatches(model, batches, options, io, settings.input.crop);
  const collected = await collect(results, { outputs: settings.outputs, trace: about });
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
  summary: "a checkpoint, an adapter and a routing policy over a file of inputs",
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
