/** @file The options of `run`, read and checked before anything is opened. */

import type { AdapterChoice } from "../../gpu/open.ts";
import type { CodaPolicy } from "../../routing/coda.ts";
import { batchSizeOf, readAdapterSettings } from "../adapter-options.ts";
import type { AdapterSettings, AdapterWords } from "../adapter-options.ts";
import { deviceChoices } from "../device.ts";
import { checkTarget } from "../files.ts";
import { listOf, oneOf, readOptions, usageError, wholeNumber } from "../options.ts";
import { routePolicy } from "../route-option.ts";

/** How to read the input file. */
export interface InputOptions {
  readonly path: string;
  /** The file holds images, whatever its name. */
  readonly images?: boolean;
  readonly column: string | undefined;
  readonly limit: number | undefined;
  readonly skipLong: boolean;
  /** Table with the clips of a raw audio file. */
  readonly clips: string | undefined;
  /** Hertz of a raw audio file. */
  readonly sampleRate: number | undefined;
  readonly crop: "start" | "center" | undefined;
}

/** Where results go; absent ones are not written. */
export interface TargetOptions {
  /** "-" is stdout. */
  readonly json: string | undefined;
  readonly report: string | undefined;
  readonly trace: string | undefined;
}

/** A checked command line of `run`. */
export interface RunSettings {
  readonly model: string;
  readonly config: string | undefined;
  readonly weights: string | undefined;
  readonly tokenizer: string | undefined;
  readonly precision: "f32" | "f16";
  readonly device: AdapterChoice;
  readonly input: InputOptions;
  /** Most sequences of one batch. */
  readonly batch: number | undefined;
  readonly route: CodaPolicy | null;
  readonly adapters: AdapterSettings;
  /** Room for adapters; what is not given grows as needed. */
  readonly slots: { readonly count?: number; readonly width?: number };
  readonly outputs: readonly string[];
  readonly capture: readonly string[];
  readonly targets: TargetOptions;
}

/** What `run --help` prints. */
export const RUN_HELP = `usage: adapters-webgpu run --model FOLDER --input FILE [options]

Runs a checkpoint over a file of inputs, dense or routed, and prints a summary.

model
  --model FOLDER           a Hugging Face style folder: albert, bert, distilbert, gpt2, kwt,
                           roberta, t5 or vit
  --config FILE            stands in for the folder's config.json
  --weights FILE           the weights file inside the folder, where there are several
  --tokenizer WHICH        smiles, wordpiece, or a folder that holds a tokenizer
  --precision f32|f16      f16 stores matrices and tables in half precision (f32)
  --device auto|hardware|software   where to run (auto)

input (.gz is unpacked)
  --input FILE             .txt, one text a line
                           .csv or .tsv with --column
                           .jsonl with {"text": "…"}, {"text": ["a", "b"]} or {"ids": […], "types": […]}
                           .wav, a folder of .wav files, or raw 16-bit samples as .i16
                           .idx (MNIST's images), or .npy of bytes or floats [n, height, width] or
                           [n, channels, height, width]
  --images FILE            in place of --input: images under any name, such as t10k-images-idx3-ubyte.gz
  --column NAME            the column of a table that holds the texts
  --tsv FILE               clips of an .i16 file: columns offset_samples and samples, or one clip of
                           the model's length a row
  --sample-rate N          hertz of an .i16 file (the model's)
  --crop start|center      what to keep of clips that are too long (they are refused)
  --skip-long              leave out sequences over the position table (they are refused)
  --limit N                only the first N sequences
  --batch N                most sequences of one batch (as many as fit 1,024 tokens, 8,192 on hardware)

adapters and routing
  --adapter NAME=FOLDER    an adapter of AdapterHub or PEFT, with the head that lies beside it; repeat it
                           for more. NAME=PRESET is a fresh one: seq_bn, lora, prefix_tuning, coda, …
  --fusion A,B=FOLDER      AdapterFusion weights for adapters; A,B=dynamic or static for fresh ones
  --head NAME=FOLDER       a prediction head by itself
  --active TEXT            which adapters run, as stack(a,b), fuse(a,b,stack(c,d)), parallel(a,b),
                           split(a,b;3,5), batchSplit(a,b;1,3), average(a,b;0.5,0.5) or none (the only
                           adapter)
  --per-sequence FILE      in place of --active: the adapter of every sequence, one a line, - for none
  --drop-adapters N|LIST   no adapters in the lowest N layers, or in those listed: 0,1
  --compat adapters-1.2    compositions with the quirks of that library
  --slots N                slots for adapters (as many as needed)
  --slot-width N           widest bottleneck of a slot (as wide as needed)
  --route LIST             r=3,attention=k-to-all,softTopK=exact,epsilon=0.03,lambda=1,seed=0
                           r: one reduction factor, or one per layer as r=1/2/null/3 (null: dense)
                           attention: k-to-k (default) or k-to-all; softTopK: paper (default) or exact
                           also: router, part, block, iterations, epsilonStart, epsilonDecay, adapter
  --routers FILE           trained routers, with the options that they were trained under; what --route
                           says stands in for these

results
  --json FILE              settings, device, timings, and per sequence: text, tokens, rows each layer
                           selected; - is stdout
  --outputs a,b            adds to the JSON: hidden (mean over the tokens), heads.default. Heads of the
                           adapters that run are there without being asked for
  --capture a,b            adds values by name to the JSON, such as layers.0.attention.output, or
                           layers.0.fusion.weights under a fusion
  --report FILE            the routing as one HTML page (needs --route or --routers)
  --trace FILE             the routing as JSON (needs --route or --routers)

example
  adapters-webgpu run --model models/rxnmapper --input rxns.csv.gz --column rxn --limit 64 \\
    --route r=3,attention=k-to-all --json out.json --report out.html
  adapters-webgpu run --model models/bert --input in.txt --adapter a=adapters/a --adapter b=adapters/b \\
    --fusion "a,b=fusions/a+b" --active "fuse(a,b)" --drop-adapters 5 --json out.json
`;

const COMMAND = "run";

function required(name: string, value: string | undefined): string {
  if (value !== undefined && value !== "") return value;
  throw usageError(COMMAND, `run needs --${name}`);
}

/** The file of inputs, under one of two options. */
function inputFile({ input, images }: Values<"input" | "images">): Pick<InputOptions, "path" | "images"> {
  if (images === undefined) return { path: required("input", input) };
  if (input !== undefined) throw usageError(COMMAND, "--input and --images name two inputs", "leave one away");
  return { path: required("images", images), images: true };
}

type Values<Name extends string> = Readonly<Partial<Record<Name, string>>>;

function wordsOf(
  values: Values<"active" | "per-sequence" | "drop-adapters" | "compat">,
  lists: Readonly<Record<"adapter" | "fusion" | "head", readonly string[]>>,
): AdapterWords {
  const { active, compat } = values;
  return { ...lists, active, compat, drop: values["drop-adapters"], perSequence: values["per-sequence"] };
}

function slotsOf(count: string | undefined, width: string | undefined): RunSettings["slots"] {
  const [slots, widest] = [wholeNumber(COMMAND, "slots", count), wholeNumber(COMMAND, "slot-width", width)];
  return { ...(slots === undefined ? {} : { count: slots }), ...(widest === undefined ? {} : { width: widest }) };
}

/** A split of the batch names its size; no other can be meant. */
function checkBatch({ batch, adapters }: Pick<RunSettings, "batch" | "adapters">): void {
  const size = batchSizeOf(adapters.active);
  if (size === null || batch === undefined || batch === size) return;
  throw usageError(COMMAND, `--batch is ${batch}, --active splits batches of ${size} sequences`, "leave --batch away");
}

/** Results that need something else on the command line to mean anything. */
async function checkTargets(
  targets: TargetOptions,
  settings: Pick<RunSettings, "route" | "outputs" | "capture">,
): Promise<void> {
  for (const name of ["report", "trace"] as const) {
    if (targets[name] === undefined || settings.route !== null) continue;
    throw usageError(
      COMMAND,
      `a ${name} needs --route or --routers: a dense run routes nothing`,
      "add, for example, --route r=3",
    );
  }
  for (const name of ["outputs", "capture"] as const) {
    if (settings[name].length === 0 || targets.json !== undefined) continue;
    throw usageError(COMMAND, `--${name} needs --json: there is no other place for the numbers`, "add --json FILE");
  }
  const paths = [targets.json === "-" ? undefined : targets.json, targets.report, targets.trace].filter(
    (path) => path !== undefined,
  );
  if (new Set(paths).size < paths.length)
    throw usageError(COMMAND, "two results would go to the same file", "name different files");
  await Promise.all(paths.map(checkTarget));
}

/**
 * Reads the command line of `run`.
 * @throws EngineError BAD_INPUT, BAD_CONFIG, UNKNOWN_NAME, NOT_FOUND
 */
export async function readRunSettings(args: readonly string[]): Promise<RunSettings> {
  const { values, flags, lists } = readOptions(args, {
    command: COMMAND,
    values: [
      "model",
      "config",
      "weights",
      "tokenizer",
      "precision",
      "device",
      "input",
      "images",
      "column",
      "tsv",
      "sample-rate",
      "crop",
      "limit",
      "batch",
      "active",
      "per-sequence",
      "drop-adapters",
      "compat",
      "slots",
      "slot-width",
      "route",
      "routers",
      "json",
      "outputs",
      "capture",
      "report",
      "trace",
    ],
    flags: ["skip-long"],
    lists: ["adapter", "fusion", "head"],
  });
  const route = await routePolicy(values.route, values.routers);
  const crop = values.crop === undefined ? undefined : oneOf(COMMAND, "crop", values.crop, ["start", "center"]);
  const settings: RunSettings = {
    model: required("model", values.model),
    config: values.config,
    weights: values.weights,
    tokenizer: values.tokenizer,
    precision: oneOf(COMMAND, "precision", values.precision, ["f32", "f16"]),
    device: oneOf(COMMAND, "device", values.device, deviceChoices),
    input: {
      ...inputFile(values),
      column: values.column,
      limit: wholeNumber(COMMAND, "limit", values.limit),
      skipLong: flags["skip-long"],
      clips: values.tsv,
      sampleRate: wholeNumber(COMMAND, "sample-rate", values["sample-rate"]),
      crop,
    },
    batch: wholeNumber(COMMAND, "batch", values.batch),
    route,
    adapters: readAdapterSettings(COMMAND, wordsOf(values, lists), route?.adapter ?? null),
    slots: slotsOf(values.slots, values["slot-width"]),
    outputs: listOf(values.outputs),
    capture: listOf(values.capture),
    targets: { json: values.json, report: values.report, trace: values.trace },
  };
  checkBatch(settings);
  await checkTargets(settings.targets, settings);
  return settings;
}
