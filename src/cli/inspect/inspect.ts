/** @file `inspect`: what is in a checkpoint, what it would cost to run, and what does not fit; adapters and fusions elsewhere. */

import type { Gpu } from "../../gpu/gpu.ts";
import { readCheckpoint } from "../../formats/checkpoint.ts";
import type { Checkpoint } from "../../formats/checkpoint.ts";
import { EngineError } from "../../errors.ts";
import type { ExplainedStep, Explanation } from "../../graph/explain.ts";
import { formatExplanation, formatParts } from "../../graph/explain.ts";
import type { HostInput } from "../../hosts/host.ts";
import type { Model } from "../../model/model.ts";
import { folderFromPath } from "../../node/folder.ts";
import { loadModel } from "../../node.ts";
import type { CodaPolicy } from "../../routing/coda.ts";
import type { Command, Io } from "../command.ts";
import { deviceChoices, deviceLine, deviceRecord, openDevice } from "../device.ts";
import { ADAPTER_HELP, inspectAdapter } from "./adapter.ts";
import { FUSION_HELP, inspectFusion } from "./fusion.ts";
import { problemsOf } from "./problems.ts";
import { loadOptions } from "../load-options.ts";
import { listOf, oneOf, readOptions, usageError, wholeNumber } from "../options.ts";
import { parseRoute, routeLine, routeRecord } from "../route-option.ts";
import { formatBytes, formatFacts, formatPercent, formatTable } from "../text.ts";

const CHECKPOINT_HELP = `usage: adapters-webgpu inspect FOLDER [options]

       adapters-webgpu inspect adapter FOLDER …, inspect fusion FOLDER …: see below

Says what is in a checkpoint: its host and shape, the tensors that are used and those that are left
alone with the reason, and what one forward pass would cost in launches, FLOPs and bytes. A checkpoint
that does not fit is refused with the full list of what is missing, unexpected or wrongly shaped.

  --rows N                 tokens of the sequence that is counted (128), or of several: 64,64,128
  --route LIST             counts a routed pass as well, and compares (see run --help)
  --launches               every launch on a line of its own
  --config FILE            stands in for the folder's config.json
  --weights FILE           the weights file inside the folder, where there are several
  --precision f32|f16      f16 stores matrices and tables in half precision (f32)
  --device auto|hardware|software   whose kernels to count (auto)
  --json                   the findings as JSON on stdout
`;

const HELP = `${CHECKPOINT_HELP}
${ADAPTER_HELP}
${FUSION_HELP}
exit code: 0 it fits, 2 it does not

A checkpoint in a folder called adapter or fusion is inspected as ./adapter or ./fusion.
`;

const COMMAND = "inspect";
const DEFAULT_ROWS = 128;

interface Settings {
  readonly folder: string;
  readonly rows: readonly number[] | null;
  readonly route: CodaPolicy | null;
  readonly launches: boolean;
  readonly json: boolean;
}

/** What a checkpoint's file holds, whatever host it is for. */
interface Contents {
  readonly file: string;
  readonly modelType: unknown;
  readonly tensors: number;
  readonly bytes: number;
  readonly dtypes: Readonly<Record<string, number>>;
}

function contentsOf({ file, config, tensors }: Checkpoint): Contents {
  const dtypes: Record<string, number> = {};
  let bytes = 0;
  for (const { dtype, bytes: data } of tensors.values()) {
    dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
    bytes += data.byteLength;
  }
  return { file, modelType: config["model_type"] ?? null, tensors: tensors.size, bytes, dtypes };
}

function contentsText(folder: string, { file, modelType, tensors, bytes, dtypes }: Contents): string {
  const kinds = Object.entries(dtypes).map(([dtype, count]) => `${count} ${dtype}`);
  return formatFacts([
    ["checkpoint", `${folder}/${file}`],
    ["model_type", String(modelType)],
    ["tensors", `${tensors} (${kinds.join(", ")}), ${formatBytes(bytes)}`],
  ]);
}

/** Lengths that are counted: a model that reads audio or images has one length only. */
function rowsFor(model: Model, rows: Settings["rows"]): readonly number[] {
  const { input, maxTokens, family } = model.host.shape;
  const only = input.kind === "audio" ? input.frames + 1 : input.kind === "image" ? maxTokens : undefined;
  if (rows === null) return [only ?? Math.min(DEFAULT_ROWS, maxTokens)];
  const bad = rows.find((count) => count > maxTokens || (only !== undefined && count !== only));
  if (bad === undefined) return rows;
  const expected = only === undefined ? `at most ${maxTokens}` : `exactly ${only}`;
  throw usageError(COMMAND, `--rows names ${bad} tokens; a sequence of this ${family} has ${expected}`);
}

interface Cost {
  readonly dense: Explanation;
  readonly routed: Explanation | null;
}

async function costOf(model: Model, rows: readonly number[], route: CodaPolicy | null): Promise<Cost> {
  const dense = await model.explain(rows);
  if (route === null) return { dense, routed: null };
  model.setRouting(route);
  return { dense, routed: await model.explain(rows) };
}

function inputText(input: HostInput): string {
  if (input.kind === "ids") return `ids below ${input.vocabulary}`;
  if (input.kind === "audio") return `${input.samples} samples at ${input.sampleRate} Hz`;
  const { channels, height, width, patch } = input;
  return `${channels} × ${height} × ${width} pixels in patches of ${patch[0]} × ${patch[1]}`;
}

function modelText(model: Model, gpu: Gpu, resident: number): string {
  const { shape, head } = model.host;
  const { matched, ignored, notes } = model.report;
  const reasons = new Map<string, string[]>();
  for (const { tensor, reason } of ignored) reasons.set(reason, [...(reasons.get(reason) ?? []), tensor]);
  return formatFacts([
    [
      "host",
      `${shape.family}, ${shape.layers} layers of ${shape.width}, ${shape.heads} heads of ${shape.headWidth}, feed-forward ${shape.ffnWidth}`,
    ],
    [
      "",
      `${shape.normPosition}-LN, ${shape.causal ? "causal" : "bidirectional"}, reads ${inputText(shape.input)}, at most ${shape.maxTokens} tokens`,
    ],
    ["head", head === null ? "none" : `${head.labels} labels, one row per ${head.rows}`],
    ["matched", `${matched} tensors`],
    ...[...reasons].map(([reason, names]) => ["left alone", `${reason}: ${names.join(", ")}`] as const),
    ["resident", `${formatBytes(resident)} on the device`],
    ...notes.map((note) => ["note", note] as const),
    ["device", deviceLine(gpu.info)],
  ]);
}

/** Launches of a pass by the layer they belong to, in order. */
function byScope(steps: readonly ExplainedStep[]): string[][] {
  const scopes = new Map<string, { launches: number; flops: number; bytes: number }>();
  for (const step of steps) {
    const [first = "", second] = step.scope.split(".");
    const scope = first === "layers" ? `layers.${second}` : first || "embeddings";
    const sum = scopes.get(scope) ?? { launches: 0, flops: 0, bytes: 0 };
    scopes.set(scope, {
      launches: sum.launches + step.launches,
      flops: sum.flops + step.flops,
      bytes: sum.bytes + step.bytes,
    });
  }
  return [...scopes].map(([scope, { launches, flops, bytes }]) => [
    scope,
    String(launches),
    (flops / 1e6).toFixed(1),
    formatBytes(bytes),
  ]);
}

function totals(name: string, { launches, flops, bytes, arenaBytes, unsharedBytes }: Explanation): string[] {
  return [
    name,
    String(launches),
    (flops / 1e6).toFixed(1),
    formatBytes(bytes),
    formatBytes(arenaBytes),
    formatBytes(unsharedBytes),
  ];
}

function costText(rows: readonly number[], { dense, routed }: Cost, settings: Settings): string {
  const lines = [
    `one pass over ${rows.length === 1 ? "a sequence" : `${rows.length} sequences`} of ${rows.join(", ")} tokens`,
  ];
  const right = ["left", "right", "right", "right", "right", "right"] as const;
  const header = ["", "launches", "MFLOP", "traffic", "arena", "without reuse"];
  const passes = [totals("dense", dense), ...(routed === null ? [] : [totals("routed", routed)])];
  lines.push(formatTable([header, ...passes], right), `dense ${formatParts(dense.parts)}`);
  if (routed !== null) lines.push(`routed ${formatParts(routed.parts)}`);
  if (settings.route !== null && routed !== null) {
    lines.push(`routed: ${routeLine(settings.route)}`);
    lines.push(`the routed pass does ${formatPercent(routed.flops / dense.flops)} of the dense FLOPs`);
  }
  const shown = routed ?? dense;
  lines.push(
    "",
    settings.launches
      ? formatExplanation(shown)
      : formatTable([["scope", "launches", "MFLOP", "traffic"], ...byScope(shown.steps)], right),
  );
  return lines.join("\n");
}

async function inspectModel(
  gpu: Gpu,
  settings: Settings,
  contents: Contents,
  load: Parameters<typeof loadModel>[2],
  io: Io,
): Promise<void> {
  const before = gpu.memory.bytes;
  const model = await loadModel(gpu, settings.folder, load);
  try {
    const resident = gpu.memory.bytes - before;
    const rows = rowsFor(model, settings.rows);
    const cost = await costOf(model, rows, settings.route);
    if (!settings.json) {
      io.stdout.write(`${modelText(model, gpu, resident)}\n\n${costText(rows, cost, settings)}\n`);
      return;
    }
    const { matched, ignored, notes } = model.report;
    const head = model.host.head === null ? null : { rows: model.host.head.rows, labels: model.host.head.labels };
    const route = settings.route === null ? null : routeRecord(settings.route);
    const host = { shape: model.host.shape, head, matched, ignored, residentBytes: resident, notes };
    const record = {
      fits: true,
      folder: settings.folder,
      contents,
      host,
      device: deviceRecord(gpu.info),
      rows,
      route,
      ...cost,
    };
    io.stdout.write(`${JSON.stringify(record, null, 1)}\n`);
  } finally {
    await model.dispose();
  }
}

async function inspectCheckpoint(args: readonly string[], io: Io): Promise<number> {
  const { values, flags, positionals } = readOptions(args, {
    command: COMMAND,
    values: ["rows", "route", "config", "weights", "precision", "device"],
    flags: ["launches", "json"],
    positionals: { most: 1, what: "folder" },
  });
  const [folder] = positionals;
  if (folder === undefined) throw usageError(COMMAND, "inspect needs the folder of a checkpoint");
  const rows =
    values.rows === undefined ? null : listOf(values.rows).map((text) => wholeNumber(COMMAND, "rows", text) as number);
  if (rows?.length === 0) throw usageError(COMMAND, "--rows is empty");
  const route = values.route === undefined ? null : parseRoute(values.route);
  const settings: Settings = { folder, rows, route, ...flags };
  const precision = oneOf(COMMAND, "precision", values.precision, ["f32", "f16"]);
  const device = oneOf(COMMAND, "device", values.device, deviceChoices);
  const load = await loadOptions({ config: values.config, weights: values.weights, tokenizer: undefined, precision });
  const contents = contentsOf(await readCheckpoint(folderFromPath(folder), load));
  if (!settings.json) io.stdout.write(`${contentsText(folder, contents)}\n`);
  const gpu = await openDevice(device, io);
  try {
    await inspectModel(gpu, settings, contents, load, io);
  } catch (error) {
    if (settings.json && error instanceof EngineError) {
      io.stdout.write(`${JSON.stringify({ fits: false, folder, contents, error: problemsOf(error) }, null, 1)}\n`);
    }
    throw error;
  } finally {
    await gpu.dispose();
  }
  return 0;
}

/** The command `inspect`. */
export const inspectCommand: Command = {
  name: COMMAND,
  summary: "what is in a checkpoint, an adapter or a fusion: what fits, what it costs, who is used where",
  help: HELP,
  async run(args, io) {
    const [first, ...rest] = args;
    if (first === "adapter") return inspectAdapter(rest, io);
    if (first === "fusion") return inspectFusion(rest, io);
    return inspectCheckpoint(args, io);
  },
};
