/** @file What a training puts on its model: adapters, fusions, a head, routing; and which of it is trained. */

import {
  flagField,
  listField,
  objectField,
  optionalField,
  optionalText,
  refuseField,
  textField,
  wordField,
} from "../../inputs/fields.ts";
import type { JsonFields } from "../../inputs/fields.ts";
import { codaFromJson } from "../../routing/coda-json.ts";
import type { ObjectiveKind } from "./run.ts";

/** A preset or a folder by name, or a configuration. */
export type PartPlace = string | JsonFields;

/** A fusion of adapters. */
export interface FusionPlan {
  readonly names: readonly string[];
  readonly place: PartPlace;
}

/** The head that the loss is made of. */
export interface HeadPlan {
  readonly name: string;
  /** A folder, or fields of its configuration; null: the checkpoint's own head. */
  readonly place: PartPlace | null;
}

/** What is trained. */
export interface TargetPlan {
  readonly head: boolean;
  readonly adapters: readonly string[];
  readonly fusions: readonly string[];
  readonly routers: boolean;
  /** Weights of the host: all, layer norms, or those whose names begin so. */
  readonly host: "all" | "norms" | readonly string[] | null;
}

/** CoDA's options as JSON: those of `coda`, with settings of routers beside them. */
export interface RoutingPlan {
  readonly options: JsonFields;
  /** A file of trained router vectors, as a training writes it; null: drawn from the seed. */
  readonly vectors: string | null;
}

/** The name of a checkpoint's own head. */
export const OWN_HEAD = "default";

function placeField(value: unknown, where: string): PartPlace {
  return typeof value === "object" ? objectField(value, where, null) : textField(value, where);
}

/** Names become folders: they may not leave the one that they are in. */
function nameField(value: unknown, where: string): string {
  const name = textField(value, where);
  return /^[\w+@-][\w+@. -]*$/.test(name)
    ? name
    : refuseField(where, name, "a name of letters, digits, spaces and _ + @ . -");
}

/** Adapters by name. */
export function adaptersField(value: unknown): Readonly<Record<string, PartPlace>> {
  const fields = objectField(value ?? {}, "adapters", null);
  for (const name of Object.keys(fields)) nameField(name, "adapters");
  return Object.fromEntries(
    Object.entries(fields).map(([name, place]) => [name, placeField(place, `adapters.${name}`)]),
  );
}

/** Fusions: an object from names joined by commas to presets, folders or configurations. */
export function fusionsField(value: unknown, adapters: readonly string[]): FusionPlan[] {
  const fields = objectField(value ?? {}, "fusions", null);
  return Object.entries(fields).map(([key, place]) => {
    const names = key.split(",").map((name) => name.trim());
    const stranger = names.find((name) => !adapters.includes(name));
    if (stranger !== undefined)
      refuseField(`fusions[${JSON.stringify(key)}]`, key, `names of adapters, not ${stranger}`);
    return { names, place: placeField(place, `fusions[${JSON.stringify(key)}]`) };
  });
}

/** The head: made for the data where nothing is said, the checkpoint's own for masked language modelling. */
export function headField(value: unknown, objective: ObjectiveKind, adapters: readonly string[]): HeadPlan {
  if (objective === "masked-language-modelling") {
    if (value !== undefined && value !== OWN_HEAD) refuseField("head", value, `"${OWN_HEAD}", the model's own`);
    return { name: OWN_HEAD, place: null };
  }
  if (value === OWN_HEAD) return { name: OWN_HEAD, place: null };
  const fields = objectField(value ?? {}, "head", ["name", "folder", "config"]);
  const [only, ...others] = adapters;
  const name = nameField(fields.name ?? (others.length === 0 ? (only ?? "task") : "task"), "head.name");
  if (name === OWN_HEAD)
    refuseField("head.name", name, `another name, or "head": "${OWN_HEAD}" for the model's own head`);
  const folder = optionalText(fields.folder, "head.folder");
  if (folder !== null && fields.config !== undefined)
    refuseField("head.config", fields.config, "nothing beside head.folder");
  return { name, place: folder ?? objectField(fields.config ?? {}, "head.config", null) };
}

function hostField(value: unknown, where: string): TargetPlan["host"] {
  return typeof value === "string"
    ? wordField(value, where, ["all", "norms"] as const)
    : listField(value, where, textField);
}

/** What is trained; default: everything that the configuration adds. */
export function targetsField(
  value: unknown,
  made: {
    readonly adapters: readonly string[];
    readonly fusions: readonly FusionPlan[];
    readonly routing: RoutingPlan | null;
  },
  objective: ObjectiveKind,
): TargetPlan {
  const fields = objectField(value ?? {}, "train", ["head", "adapters", "fusions", "routers", "host"]);
  const fusions = made.fusions.map(({ names }) => names.join(","));
  const names = (field: "adapters" | "fusions", known: readonly string[], standard: readonly string[]): string[] => {
    const given = fields[field];
    if (given === undefined) return [...standard];
    if (Array.isArray(given) && given.length === 0) return [];
    return listField(given, `train.${field}`, (one, where) => wordField(one, where, known));
  };
  const routed = made.routing !== null && codaFromJson(made.routing.options).router.vectors.length > 0;
  const routersToo = fields.routers === undefined ? routed : flagField(fields.routers, "train.routers");
  if (routersToo && !routed) refuseField("train.routers", true, "false: no routers with vectors are set");
  return {
    head: flagField(fields.head ?? objective !== "masked-language-modelling", "train.head"),
    adapters: names("adapters", made.adapters, fusions.length > 0 ? [] : made.adapters),
    fusions: names("fusions", fusions, fusions),
    routers: routersToo,
    host: optionalField(fields.host, "train.host", hostField),
  };
}

/**
 * The options of routing: those that `codaFromJson` takes, and `vectors`.
 * @throws EngineError BAD_CONFIG as it does
 */
export function routingField(value: unknown, where: string): RoutingPlan {
  const { vectors, ...options } = objectField(value, where, null);
  if (options.weights !== undefined)
    refuseField(`${where}.weights`, "a list", `nothing: name a file in ${where}.vectors`);
  codaFromJson(options);
  return { options, vectors: optionalText(vectors, `${where}.vectors`) };
}
