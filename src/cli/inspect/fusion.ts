/** @file `inspect fusion`: whom a fusion listens to in which layer, averaged over a data set. */

import { methodsOf } from "../../adapters/config/methods.ts";
import { fuse } from "../../adapters/composition.ts";
import { readAdapterConfig } from "../../adapters/config/read.ts";
import { EngineError } from "../../errors.ts";
import { readAdapterFolder } from "../../formats/adapter-hub/read-adapter.ts";
import { readFusionFolder } from "../../formats/adapter-hub/read-fusion.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import type { Tensor } from "../../model/types.ts";
import { folderFromPath } from "../../node/folder.ts";
import { loadModel } from "../../node.ts";
import { isPreset, readAdapters, readCompat } from "../adapter-options.ts";
import type { Named } from "../adapter-options.ts";
import { addAll } from "../add-adapters.ts";
import type { Io } from "../command.ts";
import { deviceChoices, deviceRecord, openDevice } from "../device.ts";
import { fusionText } from "./fusion-text.ts";
import type { FusionUse, UseAt } from "./fusion-text.ts";
import { loadOptions } from "../load-options.ts";
import { oneOf, readOptions, usageError, wholeNumber } from "../options.ts";
import { intoBatches, prepare, runBatches } from "../run/batches.ts";
import type { BatchResult } from "../run/batches.ts";
import { readInputs } from "../run/inputs.ts";
import type { InputOptions } from "../run/options.ts";

/** Part of `inspect --help`. */
export const FUSION_HELP = `usage: adapters-webgpu inspect fusion FOLDER --host FOLDER --adapter NAME=FOLDER … --inputs FILE

Runs a data set through an AdapterFusion and prints its weights, averaged over the tokens, per layer and
adapter: who is used where, and who could be pruned. The adapters are those that the fusion names, or as
many in its order.

  --host FOLDER            the checkpoint that the fusion stands on
  --adapter NAME=FOLDER    an adapter of the fusion; once for each
  --inputs FILE            as --input of run: .txt, .csv, .tsv, .jsonl
  --column, --limit, --skip-long, --batch, --tokenizer   as those of run
  --config, --weights, --precision, --device   of the host, as above
  --top N                  per layer only the N adapters with the largest weights, in that order
  --compat adapters-1.2    with the quirks of that library
  --json                   the weights as JSON on stdout
`;

const COMMAND = "inspect fusion";

interface Settings {
  readonly folder: string;
  readonly host: string;
  readonly adapters: readonly Named[];
  readonly input: InputOptions;
  readonly batch: number | undefined;
  readonly top: number | undefined;
  readonly compat: ReturnType<typeof readCompat>;
  readonly json: boolean;
}

/** A place of a fusion, and which of its adapters stand there, in order. */
interface FusedPlace {
  readonly layer: number;
  readonly place: "attention" | "ffn";
  readonly names: readonly string[];
}

/** The adapters in the order of the fusion. */
function inOrder(names: readonly string[], adapters: readonly Named[]): Named[] {
  if (names.length !== adapters.length) {
    const message = `the fusion joins ${names.length} adapters (${names.join(", ")}), ${adapters.length} are given`;
    throw usageError("inspect", message, "give one --adapter for each of them");
  }
  const found = names.map((name) => adapters.find((adapter) => adapter.name === name));
  // Under other names the order of the command line is that of the fusion.
  return found.every((adapter) => adapter !== undefined) ? found : [...adapters];
}

/** Whether an adapter has a bottleneck at a place. */
async function standsAt(model: Model, { place: from }: Named): Promise<(layer: number, place: string) => boolean> {
  const stored = isPreset(from) ? null : await readAdapterFolder(folderFromPath(from));
  if (stored?.format === "peft") return () => false;
  const raw = stored === null ? from : (stored.config["preset"] ?? stored.config);
  const config = readAdapterConfig(raw as string, model.host.shape);
  const methods = methodsOf(config);
  return (layer, place) =>
    methods.some((method) => {
      if (method.architecture !== null || method.layer_adapter || method.leave_out.includes(layer)) return false;
      return place === "attention" ? method.mh_adapter : method.output_adapter;
    });
}

async function placesOf(model: Model, adapters: readonly Named[]): Promise<FusedPlace[]> {
  const stands = await Promise.all(adapters.map((adapter) => standsAt(model, adapter)));
  const layers = Array.from({ length: model.host.shape.layers }, (_, layer) => layer);
  return layers.flatMap((layer) =>
    (["attention", "ffn"] as const).flatMap((place): FusedPlace[] => {
      const names = adapters.flatMap(({ name }, index) => (stands[index]?.(layer, place) === true ? [name] : []));
      return names.length === 0 ? [] : [{ layer, place, names }];
    }),
  );
}

function captureOf({ layer, place }: FusedPlace): string {
  return `layers.${layer}.${place === "ffn" ? "" : "attention."}fusion.weights`;
}

/** Adds the weights of all rows of a batch to the sums of a place. */
function addRows(sums: Float64Array, { data }: Tensor): void {
  data.forEach((weight, at) => {
    const column = at % sums.length;
    sums[column] = (sums[column] as number) + weight;
  });
}

/** Means over all rows, place by place. */
async function average(
  adapters: readonly string[],
  places: readonly FusedPlace[],
  results: AsyncIterable<BatchResult>,
): Promise<FusionUse> {
  const sums = places.map(({ names }) => new Float64Array(names.length));
  let [rows, sequences, tokens] = [0, 0, 0];
  for await (const { batch, output } of results) {
    places.forEach((place, index) => {
      const weights = output.captures[captureOf(place)] as Tensor;
      addRows(sums[index] as Float64Array, weights);
      if (index === 0) rows += weights.shape[0] ?? 0;
    });
    sequences += batch.length;
    tokens += batch.reduce((sum, item) => sum + item.tokens.length, 0);
  }
  const used = places.map(({ layer, place, names }, index): UseAt => {
    const weights = names.map((name, column) => [name, (sums[index]?.[column] as number) / rows] as const);
    return { layer, place, weights: Object.fromEntries(weights) };
  });
  return { adapters, sequences, tokens, places: used };
}

async function measure(model: Model, gpu: Gpu, settings: Settings, io: Io): Promise<FusionUse> {
  const { folder, input, compat } = settings;
  const { names: stored } = await readFusionFolder(folderFromPath(folder));
  const adapters = inOrder(stored, settings.adapters);
  const names = adapters.map(({ name }) => name);
  const { sequences, notes } = await readInputs(input, model.host.shape.input);
  const { ready, skipped } = prepare(sequences, model, input);
  if (ready.length === 0) throw new EngineError("BAD_INPUT", "every sequence is too long", { where: input.path });
  if (skipped > 0) io.stderr.write(`${skipped} sequences over the tokens of the model are left out\n`);
  for (const note of notes) io.stderr.write(`${note}\n`);
  await addAll(model, { adapters, fusions: [{ names, place: folder }], heads: [] }, io);
  model.setActive(fuse(...names), compat === undefined ? {} : { compat });
  const places = await placesOf(model, adapters);
  const options = {
    outputs: () => [],
    capture: places.map(captureOf),
    ...(compat === undefined ? {} : { compat }),
  };
  const batches = intoBatches(ready, gpu.info.software, settings.batch ?? Infinity);
  return average(names, places, runBatches(model, batches, options, io, undefined));
}

async function inspectOn(gpu: Gpu, settings: Settings, load: Parameters<typeof loadModel>[2], io: Io): Promise<void> {
  const model = await loadModel(gpu, settings.host, load);
  try {
    const use = await measure(model, gpu, settings, io);
    const { folder, host, json, top, input } = settings;
    if (!json) {
      io.stdout.write(`${fusionText(use, { folder, host, input: input.path, top })}\n`);
      return;
    }
    const record = { format: "adapters-webgpu/fusion-use", version: 1, folder, host, inputs: input.path, ...use };
    io.stdout.write(`${JSON.stringify({ ...record, device: deviceRecord(gpu.info) }, null, 1)}\n`);
  } finally {
    await model.dispose();
  }
}

/**
 * Runs `inspect fusion`.
 * @throws EngineError BAD_INPUT, and whatever loading the host, the adapters and the fusion throws
 */
export async function inspectFusion(args: readonly string[], io: Io): Promise<number> {
  const { values, flags, lists, positionals } = readOptions(args, {
    command: "inspect",
    values: [
      "host",
      "inputs",
      "column",
      "limit",
      "batch",
      "tokenizer",
      "config",
      "weights",
      "precision",
      "device",
      "top",
      "compat",
    ],
    flags: ["json", "skip-long"],
    lists: ["adapter"],
    positionals: { most: 1, what: "folder" },
  });
  const [folder] = positionals;
  if (folder === undefined) throw usageError("inspect", `${COMMAND} needs the folder of a fusion`);
  const { host, inputs, config, weights, tokenizer } = values;
  if (host === undefined) throw usageError("inspect", `${COMMAND} needs --host`);
  if (inputs === undefined) throw usageError("inspect", `${COMMAND} needs --inputs`);
  const input: InputOptions = {
    path: inputs,
    column: values.column,
    limit: wholeNumber("inspect", "limit", values.limit),
    skipLong: flags["skip-long"],
    clips: undefined,
    sampleRate: undefined,
    crop: undefined,
  };
  const settings: Settings = {
    folder,
    host,
    adapters: readAdapters("inspect", lists.adapter),
    input,
    batch: wholeNumber("inspect", "batch", values.batch),
    top: wholeNumber("inspect", "top", values.top),
    compat: readCompat("inspect", values.compat),
    json: flags.json,
  };
  const precision = oneOf("inspect", "precision", values.precision, ["f32", "f16"]);
  const device = oneOf("inspect", "device", values.device, deviceChoices);
  const load = await loadOptions({ config, weights, tokenizer, precision });
  const gpu = await openDevice(device, io);
  try {
    await inspectOn(gpu, settings, load, io);
  } finally {
    await gpu.dispose();
  }
  return 0;
}
