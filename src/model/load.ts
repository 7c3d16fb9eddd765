/** @file From a folder to a resident model. Browser-safe: the faces turn paths and URLs into folders. */

import type { BankSize } from "../adapters/bank.ts";
import { EngineError } from "../errors.ts";
import { folderFromUrl } from "../formats/folder.ts";
import type { Folder } from "../formats/folder.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { Parameters } from "../graph/parameters.ts";
import { chooseTokenizer } from "../inputs/choose.ts";
import type { TokenizerFiles } from "../inputs/choose.ts";
import type { Tokenizer } from "../inputs/tokenizer.ts";
import type { OpenFolder } from "./folders.ts";
import { checkFresh } from "./fresh-weights.ts";
import type { FreshOptions } from "./fresh-weights.ts";
import { uploadWeights } from "./load-weights.ts";
import { Model } from "./model.ts";
import { readHost } from "./read-host.ts";
import type { Compat } from "./types.ts";

/** What happened so far while a model loads. */
export interface LoadProgress {
  readonly stage: "read" | "check" | "upload" | "ready";
  /** From 0 to 1. */
  readonly fraction: number;
}

/** Options of loadModel; a folder of the tokenizer is given as a {@link Folder} here and as a path or URL by the faces. */
export interface LoadOptions {
  /** Stands in for config.json. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The weights file, where there are several. */
  readonly weights?: string;
  readonly tokenizer?: "smiles" | "wordpiece" | Folder;
  /** Rows that plans hold at least: batches up to here never make a second plan. */
  readonly maxRows?: number;
  /** Adapter slots: how many, how wide, or how many bytes; what is not given grows as needed. */
  readonly slots?: BankSize;
  /** "adapters-1.2" reproduces the quirks of the `adapters` library, version 1.2, unless a call says otherwise. */
  readonly compat?: Compat;
  /** Called with the name of an adapter that had to make room. */
  readonly onEvict?: (name: string) => void;
  /** "f16" stores matrices and embedding tables in half precision; sums stay in f32. Default "f32". */
  readonly precision?: "f32" | "f16";
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Draws the weights from a seed: the folder then needs a configuration and, for texts, a tokenizer, and no weights. */
  readonly fresh?: FreshOptions;
}

const KNOWN: ReadonlySet<string> = new Set([
  "config",
  "weights",
  "tokenizer",
  "maxRows",
  "slots",
  "compat",
  "onEvict",
  "precision",
  "onProgress",
  "fresh",
]);

function checkOptions(options: LoadOptions): void {
  const unknown = Object.keys(options).filter((name) => !KNOWN.has(name));
  if (unknown.length > 0) {
    const message = `loadModel does not know the option ${unknown.join(", ")}; known: ${[...KNOWN].join(", ")}`;
    throw new EngineError("BAD_CONFIG", message, { where: unknown[0] as string });
  }
  const positive = (name: string, value: number | undefined): void => {
    if (value === undefined || (Number.isInteger(value) && value > 0)) return;
    throw new EngineError("BAD_CONFIG", `loadModel: ${name} is ${value}, expected a positive whole number`, {
      where: name,
    });
  };
  if (options.fresh !== undefined) checkFresh(options.fresh);
  positive("maxRows", options.maxRows);
  positive("slots.count", options.slots?.count);
  positive("slots.width", options.slots?.width);
  positive("slots.bytes", options.slots?.bytes);
  if (options.compat !== undefined && options.compat !== "adapters-1.2") {
    const message = `loadModel: compat is ${JSON.stringify(options.compat)}, expected "adapters-1.2"`;
    throw new EngineError("BAD_CONFIG", message, { where: "compat" });
  }
  if (options.precision === undefined || options.precision === "f32" || options.precision === "f16") return;
  throw new EngineError("BAD_CONFIG", `loadModel: precision is ${String(options.precision)}, expected f32 or f16`, {
    where: "precision",
  });
}

async function tokenizerFiles(folder: Folder, config: Readonly<Record<string, unknown>>): Promise<TokenizerFiles> {
  const text = async (name: string): Promise<string | undefined> =>
    (await folder.has(name)) ? new TextDecoder().decode(await folder.read(name)) : undefined;
  return {
    tokenizerJson: await text("tokenizer.json"),
    vocabTxt: await text("vocab.txt"),
    tokenizerConfig: await text("tokenizer_config.json"),
    config,
  };
}

/** The files that were found, by name. */
function textsOf({ tokenizerJson, vocabTxt, tokenizerConfig }: TokenizerFiles): Map<string, string> {
  const texts = { "tokenizer.json": tokenizerJson, "vocab.txt": vocabTxt, "tokenizer_config.json": tokenizerConfig };
  return new Map(Object.entries(texts).flatMap(([name, text]) => (text === undefined ? [] : [[name, text] as const])));
}

/** A tokenizer that reports what was wrong only when a run asks for it, so that ids work in any case. */
async function tokenizerFor(
  folder: Folder,
  config: Readonly<Record<string, unknown>>,
  option: LoadOptions["tokenizer"],
): Promise<{ tokenizer: () => Tokenizer; notes: string[]; files: TokenizerFiles }> {
  const files = await tokenizerFiles(typeof option === "object" ? option : folder, config);
  const choice = await chooseTokenizer({ option: typeof option === "string" ? option : undefined, files });
  const tokenizer = (): Tokenizer => {
    if (choice.tokenizer !== null) return choice.tokenizer;
    throw choice.problem ?? new EngineError("BAD_INPUT", "texts need a tokenizer", { where: "texts" });
  };
  return { tokenizer, notes: choice.note === undefined ? [] : [choice.note], files };
}

/**
 * Loads a Hugging Face style folder. Everything is read and checked before anything is allocated on the GPU.
 * @throws EngineError NOT_FOUND, BAD_FILE, BAD_CONFIG, BAD_WEIGHTS (all problems listed), LIMIT
 */
export async function loadFolder(
  gpu: Gpu,
  folder: Folder,
  options: LoadOptions = {},
  openFolder: OpenFolder = folderFromUrl,
): Promise<Model> {
  gpu.check();
  checkOptions(options);
  const progress = (stage: LoadProgress["stage"], fraction: number): void => options.onProgress?.({ stage, fraction });
  progress("read", 0);
  const { host, config, weights, file } = await readHost(folder, options);
  progress("check", 0.5);
  const text = host.shape.input.kind === "ids" ? await tokenizerFor(folder, config, options.tokenizer) : null;
  progress("upload", 0.7);
  const parameters = new Parameters(gpu);
  try {
    uploadWeights(weights, parameters, options.precision === "f16");
    await gpu.done();
  } catch (error) {
    parameters.dispose();
    throw error;
  }
  progress("ready", 1);
  return new Model({
    gpu,
    host,
    parameters,
    tables: weights.tables,
    tokenizer: text?.tokenizer ?? null,
    report: { file, ...weights.report, notes: text?.notes ?? [] },
    origin: { config, files: text === null ? new Map() : textsOf(text.files) },
    ...(options.maxRows === undefined ? {} : { maxRows: options.maxRows }),
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    ...(options.compat === undefined ? {} : { compat: options.compat }),
    ...(options.onEvict === undefined ? {} : { onEvict: options.onEvict }),
    openFolder,
  });
}
