/**
 * @file Saving what was added to a model, as files by name: folders of AdapterHub and PEFT that read back bit for bit, with the
 * library's own key names. The Node face writes them to disk.
 */

import { normalise } from "../adapters/composition.ts";
import { compositionToJson } from "../adapters/composition-json.ts";
import type { CompositionJson } from "../adapters/composition-json.ts";
import { toLibraryConfig } from "../adapters/config/library.ts";
import { placeKey } from "../adapters/fusion-sites.ts";
import type { Fusion } from "../adapters/fusion-sites.ts";
import type { HeadConfig, HeadType } from "../adapters/heads-config.ts";
import { EngineError } from "../errors.ts";
import { familyOf } from "../formats/adapter-hub/families.ts";
import type { Family } from "../formats/adapter-hub/families.ts";
import type { SetupNode, WeightsForm } from "../formats/adapter-hub/types.ts";
import { ADAPTER_CONFIG, adapterWeights } from "../formats/adapter-hub/read-adapter.ts";
import { fusionWeights } from "../formats/adapter-hub/read-fusion.ts";
import { HEAD_CONFIG, headWeights } from "../formats/adapter-hub/read-head.ts";
import { writeWeightsFile } from "../formats/adapter-hub/weights-file.ts";
import { writeAdapterFolder } from "../formats/adapter-hub/write-adapter.ts";
import { writeFusionFolder, writeHeadFolder, writeSetup } from "../formats/adapter-hub/write.ts";
import type { WrittenFiles } from "../formats/adapter-hub/write.ts";
import { peftWeights } from "../formats/peft/read.ts";
import type { Model } from "./model.ts";
import { checkPrecision } from "./save-host.ts";
import { normWeightFiles } from "./tasks.ts";

/** How files are written. */
export interface SaveOptions {
  /** Element type of matrices; vectors are f32 in any case. Default: f32. */
  readonly precision?: "f32" | "f16";
  /** Default: safetensors. */
  readonly weights?: WeightsForm;
  /** Checkpoint name of the host, for the record. */
  readonly modelName?: string;
  /** Python class of the host; default: the family's class with flexible heads. */
  readonly modelClass?: string;
}

/** How an adapter is written. */
export interface SaveAdapterOptions extends SaveOptions {
  /** Default: the format that it came in, AdapterHub's for those made here. */
  readonly format?: "hub" | "peft";
}

interface Writing {
  readonly family: Family;
  readonly weights: WeightsForm;
  readonly precision: "f32" | "f16";
  readonly gatedFfn: boolean;
  readonly modelName?: string;
  readonly modelClass?: string;
}

/** @throws EngineError UNSUPPORTED for hosts whose modules no format has names for */
function writing(model: Model, options: SaveOptions): Writing {
  const { weights = "safetensors", precision = "f32", modelName, modelClass } = options;
  checkPrecision(precision);
  if (weights !== "safetensors" && weights !== "torch") {
    const message = `weights is ${JSON.stringify(weights)}, expected "safetensors" or "torch"`;
    throw new EngineError("BAD_CONFIG", message, { where: "weights" });
  }
  const family = familyOf(model.host.shape.family);
  if (family === undefined) {
    const message = `there are no adapter files for ${model.host.shape.family} hosts`;
    throw new EngineError("UNSUPPORTED", message, { where: model.host.shape.family });
  }
  return {
    family,
    weights,
    precision,
    gatedFfn: model.host.shape.gated === true,
    ...(modelName === undefined ? {} : { modelName }),
    ...(modelClass === undefined ? {} : { modelClass }),
  };
}

/**
 * The files of an adapter: `adapter_config.json` and its weights.
 * @throws EngineError UNKNOWN_NAME; UNSUPPORTED for a format that the adapter did not come in; BAD_INPUT for tensors without a key
 * @example const files = adapterFiles(model, "sentiment", { weights: "torch" });
 */
export function adapterFiles(model: Model, name: string, options: SaveAdapterOptions = {}): WrittenFiles {
  const { format, config, peft, tensors } = model.contents.adapter(name);
  const wanted = options.format ?? format;
  if (wanted !== format) {
    const message = `adapter ${name} is defined in the terms of ${format === "hub" ? "AdapterHub" : "PEFT"}, and not of ${wanted}`;
    throw new EngineError("UNSUPPORTED", message, { where: name, fix: `save it with format: "${format}"` });
  }
  const { shape } = model.host;
  const fields = config === null ? (peft as Readonly<Record<string, unknown>>) : toLibraryConfig(config, shape);
  const adapter = { format, config: fields, tensors, hiddenSize: shape.width };
  return writeAdapterFolder(adapter, { ...writing(model, options), name });
}

/**
 * The files of a fusion. Of a pruned one those of the fusion of the rest.
 * @throws EngineError UNKNOWN_NAME; UNSUPPORTED where what was done to it cannot be written
 */
export function fusionFiles(model: Model, name: string, options: SaveOptions = {}): WrittenFiles {
  const fusion = model.contents.fusion(name);
  const { config, tensors } = fusion;
  const stored = { names: restOf(name, fusion), config: { ...config }, tensors, hiddenSize: model.host.shape.width };
  return writeFusionFolder(stored, writing(model, options));
}

/** The adapters that a file of the fusion can name. */
function restOf(name: string, fusion: Fusion): readonly string[] {
  const { names, places, pruned, forced, dropped } = fusion;
  const [gone = new Set<string>(), ...others] = places.map((at) => pruned.get(placeKey(at)) ?? new Set<string>());
  const uniform = others.every((set) => set.size === gone.size && [...set].every((one) => gone.has(one)));
  const rest = names.filter((one) => !gone.has(one));
  const done = [
    ...(forced.size > 0 ? [`weights of ${[...forced].join(", ")} forced to 0`] : []),
    ...(dropped.size > 0 ? [`dropped layers ${[...dropped].join(", ")}`] : []),
    ...(uniform ? [] : ["adapters pruned that differ from layer to layer"]),
    ...(uniform && rest.length < 2 ? ["a single adapter left"] : []),
  ];
  if (done.length === 0) return rest;
  throw new EngineError("UNSUPPORTED", `a file cannot say what was done to the fusion ${name}: ${done.join("; ")}`, {
    where: name,
    fix: "undo it with null, save, and do it again after loading",
  });
}

const CLASSIFIER = ["num_labels", "layers", "activation_function", "label2id", "use_pooler", "bias", "dropout_prob"];

/** Fields that the library's head of a type has; it counts choices in place of labels. */
const headFields: Readonly<Record<HeadType, readonly string[]>> = {
  classification: CLASSIFIER,
  multilabel_classification: CLASSIFIER,
  image_classification: [...CLASSIFIER, "multilabel"],
  multiple_choice: ["num_choices", "layers", "activation_function", "label2id", "use_pooler", "dropout_prob"],
  tagging: ["num_labels", "layers", "activation_function", "label2id", "dropout_prob"],
};

/** Fields beyond a type's own, at the values at which they say nothing. */
const silent: Readonly<Record<string, unknown>> = { use_pooler: false, bias: true };

function libraryHeadConfig(config: HeadConfig): Record<string, unknown> {
  const own = headFields[config.head_type];
  const said = Object.entries(config).filter(
    ([field, value]) => own.includes(field) || (Object.hasOwn(silent, field) && silent[field] !== value),
  );
  return { head_type: config.head_type, ...Object.fromEntries(said) };
}

/**
 * The files of an added head: `head_config.json` and its weights.
 * @throws EngineError UNKNOWN_NAME
 */
export function headFiles(model: Model, name: string, options: SaveOptions = {}): WrittenFiles {
  const { config, tensors } = model.contents.head(name);
  const head = { config: libraryHeadConfig(config), tensors, hiddenSize: model.host.shape.width };
  return writeHeadFolder(head, { ...writing(model, options), name });
}

/**
 * `adapter_setup.json` of the active composition.
 * @throws EngineError BAD_INPUT when nothing is active; BAD_CONFIG for what the library's file has no words for, such as `none`
 */
export function setupFiles(model: Model): WrittenFiles {
  const { active } = model.contents;
  if (active === null) {
    throw new EngineError("BAD_INPUT", "there is no active composition to save", {
      where: "setup",
      fix: "call setActive first",
    });
  }
  // The library wants a block at the root; a stack of one inside another means something under its own quirks alone.
  const composition =
    active.compat && active.composition.kind !== "adapter" ? active.composition : normalise(active.composition);
  return writeSetup(setupNode(compositionToJson(composition)));
}

function setupNode({ type, children, kwargs = {} }: CompositionJson): SetupNode {
  const nodes = children.map((child) => (typeof child === "object" && child !== null ? setupNode(child) : child));
  return { type, children: nodes as SetupNode["children"], kwargs };
}

/** Every file that a saved task may have: what of these is not written is no part of it. */
export const taskFileNames: readonly string[] = [
  ADAPTER_CONFIG,
  HEAD_CONFIG,
  ...[adapterWeights, peftWeights, headWeights, normWeightFiles].flatMap(({ safetensors, torch }) => [
    safetensors,
    torch,
  ]),
];

/** @returns the other form of every weights file written: beside it, it would be read in its place. */
export function twinsOf(files: WrittenFiles): string[] {
  const forms = [adapterWeights, peftWeights, headWeights, fusionWeights, normWeightFiles];
  const twins = forms.flatMap(({ safetensors, torch }) => [
    ...(files.has(safetensors) ? [torch] : []),
    ...(files.has(torch) ? [safetensors] : []),
  ]);
  return twins.filter((name) => !files.has(name));
}

/**
 * The files of a deployed task, for one folder: its adapter, its head, and the layer norms that differ from the host's.
 * @throws EngineError UNKNOWN_NAME, and as {@link adapterFiles}
 */
export function taskFiles(model: Model, name: string, options: SaveAdapterOptions = {}): WrittenFiles {
  const norms = model.contents.norms(name);
  const files = adapterFiles(model, name, options);
  if (model.heads.includes(name)) for (const [file, bytes] of headFiles(model, name, options)) files.set(file, bytes);
  if (norms.size > 0) files.set(...writeWeightsFile(norms, normWeightFiles, writing(model, options)));
  return files;
}
