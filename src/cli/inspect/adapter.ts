/** @file `inspect adapter`: methods, sites, sizes and cost of an adapter's folder, and whether it fits a host. */

import { EngineError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Model } from "../../model/model.ts";
import { loadModel } from "../../node.ts";
import { F32, factsAlone } from "./adapter-facts.ts";
import type { AdapterCost, AdapterFacts } from "./adapter-facts.ts";
import { companyOf, readAdapterAt } from "./adapter-folder.ts";
import { parametersOf } from "./adapter-host.ts";
import { describeMethods, sitesOf } from "./adapter-methods.ts";
import { adapterText } from "./adapter-text.ts";
import type { Io } from "../command.ts";
import { deviceChoices, deviceRecord, openDevice } from "../device.ts";
import { problemsOf } from "./problems.ts";
import { loadOptions } from "../load-options.ts";
import { oneOf, readOptions, usageError, wholeNumber } from "../options.ts";

/** Part of `inspect --help`. */
export const ADAPTER_HELP = `usage: adapters-webgpu inspect adapter FOLDER [--host FOLDER] [options]

Says what an adapter of AdapterHub or PEFT is: methods, configuration, the sites of every layer, tensors,
bytes on disk and on the GPU against the full model, and what a token costs. Heads and fusions in the
folder, and in the folders in it, are listed. With a host everything that does not fit is listed. Without
one the full model is the well-known one of the same family and width, where there is one.

  --host FOLDER            the checkpoint that the adapter is to stand on
  --rows N                 tokens of the sequence whose cost is counted (128, at most half the host's)
  --config, --weights, --precision, --device   of the host, as above
  --json                   the findings as JSON on stdout
`;

const COMMAND = "inspect adapter";
const DEFAULT_ROWS = 128;

async function costOn(model: Model, name: string, wanted: number | undefined): Promise<AdapterCost> {
  const { input, maxTokens } = model.host.shape;
  const only = input.kind === "audio" ? input.frames + 1 : input.kind === "image" ? maxTokens : undefined;
  // Half of the position table leaves room for the rows of a prompt.
  const rows = only ?? wanted ?? Math.max(1, Math.min(DEFAULT_ROWS, Math.floor(maxTokens / 2)));
  if (rows > maxTokens) throw usageError(COMMAND, `--rows is ${rows}; a sequence of the host has at most ${maxTokens}`);
  const options = { outputs: ["hidden"] };
  const bare = await model.explain([rows], options);
  model.setActive(name);
  const adapted = await model.explain([rows], options);
  const pick = ({ flops, launches }: typeof bare): { flops: number; launches: number } => ({ flops, launches });
  return {
    flopsPerToken: (adapted.flops - bare.flops) / rows,
    from: "launches",
    pass: { rows, without: pick(bare), with: pick(adapted) },
  };
}

/** What a host adds, or refuses. */
async function onHost(
  model: Model,
  facts: AdapterFacts,
  host: string,
  rows: number | undefined,
): Promise<AdapterFacts> {
  const { folder, stored } = facts;
  const name = stored.name ?? "adapter";
  const { gpuBytes } = await model.addAdapter(name, folder);
  const { shape } = model.host;
  const full = { name: host, parameters: parametersOf(model.host) };
  const cost = await costOn(model, name, rows);
  return { ...facts, ...describeMethods(stored, shape), shape, gpuBytes, full, cost, host, notes: [] };
}

/** The findings as plain data. */
function recordOf(facts: AdapterFacts, gpu: Gpu | null): Record<string, unknown> {
  const { stored, shape, folder, methods, presets, parameters, gpuBytes, full, cost, heads, fusions, notes } = facts;
  const { tensors, left, unexpected, config, bytes, file, format, name, family, hiddenSize, version, modelName } =
    stored;
  return {
    fits: facts.host === null ? null : true,
    folder,
    file,
    format,
    name,
    family,
    hiddenSize,
    version,
    modelName,
    methods,
    presets,
    config,
    sites: shape === null ? null : sitesOf(stored, shape.layers),
    tensors: tensors.size,
    parameters,
    bytes: { disk: bytes, gpu: gpuBytes },
    full: full === null ? null : { ...full, bytes: F32 * full.parameters },
    cost,
    heads,
    fusions,
    left,
    unexpected,
    notes,
    ...(gpu === null ? {} : { device: deviceRecord(gpu.info) }),
  };
}

interface Settings {
  readonly folder: string;
  readonly host: string | undefined;
  readonly rows: number | undefined;
  readonly json: boolean;
}

async function withHost(
  facts: AdapterFacts,
  settings: Settings & { readonly host: string },
  load: Parameters<typeof loadModel>[2],
  gpu: Gpu,
): Promise<AdapterFacts> {
  // The bytes of a slot are those of its room: here that is this adapter alone.
  const slots = facts.slotWidth === 0 ? {} : { slots: { count: 1, width: facts.slotWidth } };
  const model = await loadModel(gpu, settings.host, { ...load, ...slots });
  try {
    return await onHost(model, facts, settings.host, settings.rows);
  } finally {
    await model.dispose();
  }
}

function print(facts: AdapterFacts, gpu: Gpu | null, { json }: Settings, io: Io): void {
  io.stdout.write(json ? `${JSON.stringify(recordOf(facts, gpu), null, 1)}\n` : `${adapterText(facts)}\n`);
}

/**
 * Runs `inspect adapter`.
 * @throws EngineError BAD_WEIGHTS with everything that does not fit the host, and whatever reading the folder throws
 */
export async function inspectAdapter(args: readonly string[], io: Io): Promise<number> {
  const { values, flags, positionals } = readOptions(args, {
    command: "inspect",
    values: ["host", "rows", "config", "weights", "precision", "device"],
    flags: ["json"],
    positionals: { most: 1, what: "folder" },
  });
  const [folder] = positionals;
  if (folder === undefined) throw usageError("inspect", "inspect adapter needs the folder of an adapter");
  const rows = wholeNumber("inspect", "rows", values.rows);
  const settings: Settings = { folder, host: values.host, rows, json: flags.json };
  const precision = oneOf("inspect", "precision", values.precision, ["f32", "f16"]);
  const device = oneOf("inspect", "device", values.device, deviceChoices);
  const { config, weights, host } = values;
  const load = await loadOptions({ config, weights, tokenizer: undefined, precision });
  const stored = await readAdapterAt(folder);
  const company = await companyOf(folder);
  const facts = factsAlone(folder, stored, company);
  if (host === undefined) {
    print(facts, null, settings, io);
    return 0;
  }
  const gpu = await openDevice(device, io);
  try {
    print(await withHost(facts, { ...settings, host }, load, gpu), gpu, settings, io);
  } catch (error) {
    if (flags.json && error instanceof EngineError) {
      const record = { ...recordOf(facts, null), fits: false, error: problemsOf(error) };
      io.stdout.write(`${JSON.stringify(record, null, 1)}\n`);
    }
    throw error;
  } finally {
    await gpu.dispose();
  }
  return 0;
}
