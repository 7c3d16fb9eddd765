/** @file Configurations of prediction heads, as `head_config.json` holds them (MATHS §3.1). */

import { EngineError } from "../errors.ts";
import type { ActivationName } from "../ops/activation.ts";
import { activation, count, flag, isNumber, isObject, nullable, oneOf, rate, readFields } from "./config/fields.ts";
import type { Field, Fields, RawConfig } from "./config/fields.ts";

/** The heads that are built. Regression is classification with one label. */
export type HeadType =
  | "classification"
  | "multilabel_classification"
  | "image_classification"
  | "multiple_choice"
  | "tagging";

/** A head: dropout, linear map, activation, once per layer; the last layer gives the logits. */
export interface HeadConfig {
  readonly head_type: HeadType;
  /** Logits per row. A head of multiple choice gives one per sequence: the score of that choice. */
  readonly num_labels: number;
  /** How many sequences stand for the choices of one question; null for other heads. */
  readonly num_choices: number | null;
  readonly layers: number;
  /** After every linear map but the last; null for none. */
  readonly activation_function: ActivationName | null;
  readonly label2id: Readonly<Record<string, number>> | null;
  /** Reads the host's pooler in place of a token. */
  readonly use_pooler: boolean;
  /** The last linear map has a bias; those before it always have. */
  readonly bias: boolean;
  /** Of training alone. */
  readonly dropout_prob: number | null;
  /** Several labels may hold at once: sigmoid per label in place of a softmax. */
  readonly multilabel: boolean;
}

/** Layers that a head has where its configuration does not say. */
const depths: Readonly<Record<HeadType, number>> = {
  classification: 2,
  multilabel_classification: 2,
  image_classification: 1,
  multiple_choice: 2,
  tagging: 1,
};

/** More layers are a damaged file: their modules would be listed one by one. */
const MOST_LAYERS = 64;

const labelNumbers: Field<Readonly<Record<string, number>>> = {
  expected: "an object of label names and numbers",
  parse: (value) =>
    isObject(value) && Object.values(value).every(isNumber) ? (value as Record<string, number>) : undefined,
};

const layerCount: Field<number> = {
  expected: `a whole number from 1 to ${MOST_LAYERS}`,
  parse: (value) => (isNumber(value) && value <= MOST_LAYERS ? count().parse(value) : undefined),
};

/** One logit per sequence scores one choice. */
const oneLabel: Field<number> = { expected: "1", parse: (value) => (value === 1 ? 1 : undefined), fallback: 1 };

const noChoices: Field<number | null> = {
  expected: "num_choices on heads of multiple choice only",
  parse: (value) => (value === null ? null : undefined),
  fallback: null,
};

function fieldsOf(type: HeadType): Fields<HeadConfig> {
  const choices = type === "multiple_choice";
  const several = type === "multilabel_classification";
  return {
    head_type: oneOf([type]),
    num_labels: choices ? oneLabel : count(),
    num_choices: choices ? count() : noChoices,
    layers: { ...layerCount, fallback: depths[type] },
    activation_function: { ...nullable(activation()), fallback: "tanh" },
    label2id: nullable(labelNumbers),
    use_pooler: flag(false),
    bias: flag(true),
    dropout_prob: nullable(rate()),
    multilabel: type === "image_classification" ? flag(false) : oneOf([several], several),
  };
}

/**
 * Reads the configuration of a head: the fields themselves, or the object of `head_config.json` around them.
 * @throws EngineError UNSUPPORTED naming a head type that is not built, or a head of a model class; BAD_CONFIG naming
 *   the field, or the width where the file says another one than the host's
 */
export function readHeadConfig(raw: RawConfig, hostWidth: number): HeadConfig {
  const fields = isObject(raw.config) ? raw.config : raw;
  const saved = fields === raw ? undefined : raw.hidden_size;
  if (saved !== undefined && saved !== hostWidth) {
    const message = `head config: made for the width ${JSON.stringify(saved)}, the host has ${hostWidth}`;
    throw new EngineError("BAD_CONFIG", message, { where: "hidden_size", fix: "load the head on its own host" });
  }
  const type = fields.head_type;
  const known = Object.keys(depths);
  if (typeof type !== "string") {
    const message = "head config: there is no head_type; a head of a model class is part of that model's checkpoint";
    throw new EngineError("UNSUPPORTED", message, { where: "head_type", fix: `give head_type: ${known.join(", ")}` });
  }
  if (!Object.hasOwn(depths, type)) {
    const message = `head config: the head type ${type} is not supported, only ${known.join(", ")}`;
    throw new EngineError("UNSUPPORTED", message, { where: "head_type" });
  }
  return readFields(fields, fieldsOf(type as HeadType), "head.");
}
