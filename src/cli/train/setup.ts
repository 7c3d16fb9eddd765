/** @file Puts onto a model what the configuration of a training adds: adapters, fusions, a head, routing. */

import { resolve } from "node:path";
import { fusionPresets } from "../../adapters/fusion-config.ts";
import { adapterPresets } from "../../adapters/config/presets.ts";
import { EngineError } from "../../errors.ts";
import type { HostShape } from "../../hosts/host.ts";
import type { AdapterInput, FusionInput, HeadInput } from "../../model/folders.ts";
import type { Model } from "../../model/model.ts";
import { readRouterVectors } from "../../model/routers-file.ts";
import { codaFromJson } from "../../routing/coda-json.ts";
import type { PartPlace, RoutingPlan } from "../../train/config/parts.ts";
import type { TrainConfig } from "../../train/config/config.ts";
import type { LabelPlan } from "../../train/data/labels.ts";
import type { LoopDrop } from "../../train/loop.ts";
import type { ObjectiveSettings } from "../../train/objectives.ts";
import type { TrainTargets } from "../../train/trainable.ts";
import type { TrainerOptions } from "../../train/trainer.ts";
import { isPreset } from "../adapter-options.ts";
import { setActiveField } from "../active.ts";
import { readBytes } from "../files.ts";

type Fields = Readonly<Record<string, unknown>>;

/** A preset with other fields beside it: `{"preset": "seq_bn", "reduction_factor": 8}`. */
function withPreset(fields: Fields, where: string): Fields {
  const { preset, ...own } = fields;
  if (preset === undefined) return fields;
  if (typeof preset === "string" && isPreset(preset)) return { ...adapterPresets[preset], ...own };
  const known = Object.keys(adapterPresets).join(", ");
  throw new EngineError("UNKNOWN_NAME", `${where}: there is no preset ${JSON.stringify(preset)}; known: ${known}`, {
    where,
  });
}

/** Adapters that are made side by side begin apart: equal ones that are trained together would stay equal. */
function seedOf(seed: number, index: number): number {
  return (seed + Math.imul(index, 0x9e3779b9)) >>> 0;
}

function adapterInput(
  name: string,
  place: PartPlace,
  { dropout, seed, adapters }: TrainConfig,
  root: string,
): AdapterInput {
  if (typeof place === "string" && !isPreset(place)) return resolve(root, place);
  const given = typeof place === "string" ? { preset: place } : place;
  const config = withPreset(given, `adapters.${name}`);
  const own = seedOf(seed, Object.keys(adapters).indexOf(name));
  return { config: dropout === null ? config : { dropout, ...config }, seed: own };
}

function fusionInput(place: PartPlace, { seed }: TrainConfig, root: string): FusionInput {
  const folder = typeof place === "string" && !Object.hasOwn(fusionPresets, place);
  return folder ? resolve(root, place) : { config: place, seed };
}

/** Heads that an objective has, where the configuration names none. */
const HEAD_TYPES: Readonly<Record<TrainConfig["objective"]["kind"], string>> = {
  "cross-entropy": "classification",
  "binary-cross-entropy": "multilabel_classification",
  "squared-error": "classification",
  "masked-language-modelling": "",
};

function headInput({ head, objective, dropout, seed }: TrainConfig, labels: LabelPlan, root: string): HeadInput | null {
  if (head.place === null) return null;
  if (typeof head.place === "string") return resolve(root, head.place);
  const classes = objective.kind === "cross-entropy";
  const config = {
    head_type: HEAD_TYPES[objective.kind],
    num_labels: labels.count,
    ...(classes ? { label2id: Object.fromEntries(labels.names.map((name, index) => [name, index])) } : {}),
    ...(dropout === null ? {} : { dropout_prob: dropout }),
    ...head.place,
  };
  return { config, seed };
}

/** The head must give as many numbers as the data has labels. */
function checkHead(model: Model, { head, objective }: TrainConfig, labels: LabelPlan): void {
  if (objective.kind === "masked-language-modelling") return;
  const own = head.place === null;
  const count = own ? model.host.head?.labels : model.contents.head(head.name).config.num_labels;
  if (own && (model.host.head === null || model.host.head.rows === "token"))
    throw new EngineError("BAD_CONFIG", "the model has no head of its own that gives one row per sequence", {
      where: "head",
    });
  if (count === labels.count) return;
  const message = `the head ${head.name} gives ${count} numbers, the data has ${labels.count}: ${labels.names.slice(0, 8).join(", ")}`;
  throw new EngineError("BAD_CONFIG", message, {
    where: "head",
    fix: "name the classes in data.classes, or take another head",
  });
}

/** Router vectors of a file, where the configuration names one. */
async function routerVectors({ vectors }: RoutingPlan, root: string): Promise<readonly Float32Array[] | null> {
  if (vectors === null) return null;
  const path = resolve(root, vectors);
  return readRouterVectors(await readBytes(path), path);
}

/**
 * Adds everything to the model; one line per adapter goes to `say`.
 * @throws EngineError as `addAdapter`, `addFusion`, `addHead` and `setRouting` do
 */
export async function setUp(
  model: Model,
  config: TrainConfig,
  labels: LabelPlan,
  root: string,
  say: (line: string) => void,
): Promise<void> {
  const { adapters, fusions, head, active, routing } = config;
  for (const [name, place] of Object.entries(adapters))
    say((await model.addAdapter(name, adapterInput(name, place, config, root))).summary);
  for (const { names, place } of fusions) await model.addFusion(names, fusionInput(place, config, root));
  const input = headInput(config, labels, root);
  if (input !== null) await model.addHead(head.name, input);
  checkHead(model, config, labels);
  setActiveField(model, active, Object.keys(adapters));
  if (routing !== null) model.setRouting(codaFromJson(routing.options, await routerVectors(routing, root)));
}

/** @returns what of the model is trained. */
export function trainTargets({ train, head }: TrainConfig): TrainTargets {
  const own = head.place === null;
  const hosts = train.host === null ? {} : { host: train.host };
  if (own && train.head && train.host === null) {
    // The checkpoint's own head is part of its weights.
    return { ...partTargets(train), host: ["head."] };
  }
  return { ...partTargets(train), ...hosts, ...(train.head && !own ? { heads: [head.name] } : {}) };
}

function partTargets({ adapters, fusions, routers }: TrainConfig["train"]): TrainTargets {
  return {
    ...(adapters.length === 0 ? {} : { adapters }),
    ...(fusions.length === 0 ? {} : { fusions }),
    ...(routers ? { routers } : {}),
  };
}

/** @returns what a trainer is made of. */
export function trainerOptions(config: TrainConfig): TrainerOptions {
  const { head, optimizer, hostDropout: hidden, fusionDropout: fusion, seed, recompute } = config;
  return {
    train: trainTargets(config),
    head: head.name,
    objective: objectiveSettings(config),
    optimizer,
    dropout: { hidden, ...(fusion === null ? {} : { fusion }) },
    seed,
    recompute,
  };
}

/** The objective as a trainer takes it. */
function objectiveSettings({ objective: { kind, labelSmoothing } }: TrainConfig): ObjectiveSettings {
  // Masked language modelling is cross-entropy over the vocabulary at some of the tokens.
  if (kind === "masked-language-modelling") return { kind: "cross-entropy" };
  return kind === "cross-entropy" ? { kind, labelSmoothing } : { kind };
}

/** Refuses more layers than the host has. */
function checkDropped(count: number, most: number, { layers, family }: HostShape, where: string): void {
  if (count <= most) return;
  const message = `${where} is ${count}, expected at most ${most}: this ${family} has ${layers} layers`;
  throw new EngineError("BAD_CONFIG", message, { where });
}

/** No adapters in so many of the lowest layers. */
export function dropLayers(model: Model, layers: number): LoopDrop {
  const apply = (lowest: number): void => model.dropAdapters(lowest === 0 ? null : { layers: lowest });
  return { kind: "specialised", layers, apply };
}

/**
 * @returns AdapterDrop as the loop takes it
 * @throws EngineError BAD_CONFIG for more layers than the host has
 */
export function dropOf({ adapterDrop, evaluation }: TrainConfig, model: Model): LoopDrop | null {
  const { shape } = model.host;
  for (const count of evaluation.dropped) checkDropped(count, shape.layers, shape, "evaluation.dropped");
  if (adapterDrop === null) return null;
  const { kind, layers } = adapterDrop;
  const count = layers ?? shape.layers;
  checkDropped(count, kind === "robust" ? shape.layers : shape.layers - 1, shape, "adapterDrop.layers");
  return { ...dropLayers(model, count), kind };
}
