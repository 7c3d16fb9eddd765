/** @file The configuration of a sweep: a JSON file, checked field by field (docs/sweep.md describes each). */

import type { RoutedAttention } from "../routing/coda.ts";
import {
  documented,
  listField,
  numberField,
  objectField,
  optionalText,
  refuseField,
  textField,
  wholeField,
  wordField,
} from "../inputs/fields.ts";
import { modelPlace } from "../inputs/model-place.ts";
import type { ModelPlace } from "../inputs/model-place.ts";
import { layersField } from "./layers.ts";
import type { LayersChoice } from "./layers.ts";
import { routerNames } from "./routers.ts";
import type { RouterName } from "./routers.ts";

/** The kinds of data sets and the files of each; those with `?` may be absent. */
export const dataFiles = {
  "reactions-csv": ["table"],
  "labelled-clips": ["clips", "table", "labels"],
  "idx-images": ["images", "labels"],
  lines: ["lines", "labels?"],
} as const;

/** A kind of data set. */
export type DataKind = keyof typeof dataFiles;

/** A data set on disk. */
export interface SweepData {
  readonly kind: DataKind;
  readonly files: Readonly<Record<string, string>>;
  /** The column of the table: texts of reactions, labels of clips. */
  readonly column: string;
  /** Takes every so many-th sequence, the first one included; then at most `limit`. */
  readonly every: number;
  readonly limit: number | null;
}

/** What is measured besides the distance to the dense hidden states. */
export type SweepTask =
  | { readonly metric: "none" }
  /** Share of sequences whose largest logit is that of the label. */
  | { readonly metric: "accuracy"; readonly head: string }
  /** Share of product atoms that an attention head maps to the same reactant atom as in the dense model. */
  | {
      readonly metric: "mapping-agreement";
      readonly layer: number;
      readonly head: number;
      /** Layers that "all" of the layers axis leaves dense. */
      readonly dense: readonly number[];
      /** File of reactions with published confidences. */
      readonly confidences: string | null;
    };

/** The axes; their product is the grid. */
export interface SweepAxes {
  readonly router: readonly RouterName[];
  readonly reduction: readonly number[];
  readonly attention: readonly RoutedAttention[];
  readonly softTopK: readonly ("paper" | "exact")[];
  readonly layers: readonly LayersChoice[];
  readonly part: readonly ("layer" | "attention" | "ffn")[];
  readonly threshold: readonly number[];
  readonly seed: readonly number[];
}

/** A checked configuration. */
export interface SweepConfig {
  readonly name: string;
  readonly model: ModelPlace;
  readonly data: SweepData;
  readonly task: SweepTask;
  /** Adapters by name, each a folder or a preset. */
  readonly adapters: Readonly<Record<string, string>>;
  /** The composition that runs, as text; the only adapter, or none. */
  readonly active: string | null;
  /** Most tokens of a batch. */
  readonly batch: number;
  /** Batches that are timed, dense and routed in turns; 0 for no times. */
  readonly timed: number;
  readonly axes: SweepAxes;
  readonly output: string | null;
}

/** RXNMapper's mapping comes from this layer and head; the layers from it on are dense unless they are named. */
const MAPPING = { layer: 10, head: 5 } as const;

function dataField(value: unknown): SweepData {
  const fields = objectField(value, "data", ["kind", "files", "column", "limit", "every"]);
  const kind = wordField(fields.kind, "data.kind", Object.keys(dataFiles) as DataKind[]);
  const names = dataFiles[kind].map((name) => name.replace("?", ""));
  const files = objectField(fields.files, "data.files", names);
  const named = names.flatMap((name, index): [string, string][] => {
    const optional = dataFiles[kind][index]?.endsWith("?") === true;
    return optional && files[name] === undefined ? [] : [[name, textField(files[name], `data.files.${name}`)]];
  });
  const tabled = kind === "reactions-csv" || kind === "labelled-clips";
  if (fields.column !== undefined && !tabled)
    refuseField("data.column", fields.column, `nothing: ${kind} has no table`);
  return {
    kind,
    files: Object.fromEntries(named),
    column: textField(fields.column ?? (kind === "reactions-csv" ? "rxn" : "label"), "data.column"),
    every: wholeField(fields.every ?? 1, "data.every", 1),
    limit: fields.limit === undefined || fields.limit === null ? null : wholeField(fields.limit, "data.limit", 1),
  };
}

function taskField(value: unknown, data: SweepData): SweepTask {
  const { metric: named } = objectField(value ?? { metric: "none" }, "task", null);
  const metric = wordField(named, "task.metric", ["none", "accuracy", "mapping-agreement"]);
  if (metric === "none") {
    objectField(value ?? {}, "task", ["metric"]);
    return { metric };
  }
  if (metric === "accuracy") {
    const fields = objectField(value, "task", ["metric", "head"]);
    if (data.files.labels === undefined) refuseField("data.files.labels", undefined, "a file: accuracy needs labels");
    return { metric, head: textField(fields.head ?? "default", "task.head") };
  }
  if (data.kind !== "reactions-csv") refuseField("task.metric", metric, `a metric for ${data.kind}`);
  const fields = objectField(value, "task", ["metric", "layer", "head", "dense", "confidences"]);
  const layer = wholeField(fields.layer ?? MAPPING.layer, "task.layer", 0);
  const dense = fields.dense ?? [layer, layer + 1];
  return {
    metric,
    layer,
    head: wholeField(fields.head ?? MAPPING.head, "task.head", 0),
    dense: listField(dense, "task.dense", (entry, where) => wholeField(entry, where, 0)),
    confidences: optionalText(fields.confidences, "task.confidences"),
  };
}

const AXES = ["router", "reduction", "attention", "softTopK", "layers", "part", "threshold", "seed"] as const;

function axesField(value: unknown): SweepAxes {
  const fields = objectField(value, "axes", AXES);
  const axis = <T>(
    name: (typeof AXES)[number],
    standard: readonly T[],
    one: (value: unknown, where: string) => T,
  ): T[] => listField(fields[name] ?? standard, `axes.${name}`, one);
  return {
    router: axis("router", ["learned"], (entry, where) => wordField(entry, where, routerNames)),
    reduction: axis("reduction", [2, 3, 5, 8], (entry, where) => numberField(entry, where, 1)),
    attention: axis("attention", ["k-to-k"], (entry, where) => wordField(entry, where, ["k-to-k", "k-to-all"])),
    softTopK: axis("softTopK", ["paper"], (entry, where) => wordField(entry, where, ["paper", "exact"])),
    layers: axis<LayersChoice>("layers", ["all"], layersField),
    part: axis("part", ["layer"], (entry, where) => wordField(entry, where, ["layer", "attention", "ffn"])),
    threshold: axis("threshold", [0], (entry, where) => numberField(entry, where)),
    seed: axis("seed", [0], (entry, where) => wholeField(entry, where, 0)),
  };
}

function adaptersField(value: unknown): Readonly<Record<string, string>> {
  const fields = objectField(value ?? {}, "adapters", null);
  return Object.fromEntries(
    Object.entries(fields).map(([name, place]) => [name, textField(place, `adapters.${name}`)]),
  );
}

/**
 * Checks a parsed configuration and fills in the defaults.
 * @param fallback the sweep's name where the file gives none
 * @throws EngineError BAD_CONFIG naming the field
 */
export function readSweepConfig(value: unknown, fallback: string): SweepConfig {
  return documented("sweep.md", () => sweepFields(value, fallback));
}

function sweepFields(value: unknown, fallback: string): SweepConfig {
  const known = ["name", "model", "data", "task", "adapters", "active", "batch", "timed", "axes", "output"];
  const fields = objectField(value, "the sweep", known);
  const data = dataField(fields.data);
  const adapters = adaptersField(fields.adapters);
  const active = optionalText(fields.active, "active");
  const names = Object.keys(adapters);
  if (active === null && names.length > 1)
    refuseField("active", undefined, "a composition, since there are several adapters");
  return {
    name: textField(fields.name ?? fallback, "name"),
    model: modelPlace(fields.model),
    data,
    task: taskField(fields.task, data),
    adapters,
    active: active ?? names[0] ?? null,
    batch: wholeField(fields.batch ?? 1024, "batch", 1),
    timed: wholeField(fields.timed ?? 3, "timed", 0),
    axes: axesField(fields.axes),
    output: optionalText(fields.output, "output"),
  };
}
