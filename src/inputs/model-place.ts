/** @file The field `model` of a configuration file: a frozen model on disk, and how it is loaded. */

import { objectField, optionalText, textField, wordField } from "./fields.ts";
import type { JsonFields } from "./fields.ts";

/** A frozen model and how it is loaded. Paths are relative to the folder that the caller chooses. */
export interface ModelPlace {
  readonly folder: string;
  /** Stands in for config.json: an object, or a file that holds one. */
  readonly config: string | JsonFields | null;
  readonly weights: string | null;
  /** "smiles", "wordpiece", or a folder. */
  readonly tokenizer: string | null;
  readonly precision: "f32" | "f16";
}

/** The fields that {@link modelPlace} reads. */
export const modelFields: readonly string[] = ["folder", "config", "weights", "tokenizer", "precision"];

/**
 * @param known fields that may be there; the caller reads those that are not in {@link modelFields}
 * @throws EngineError BAD_CONFIG naming the field
 */
export function modelPlace(value: unknown, known: readonly string[] = modelFields): ModelPlace {
  const fields = objectField(value, "model", known);
  const { config } = fields;
  return {
    folder: textField(fields.folder, "model.folder"),
    config:
      typeof config === "object" && config !== null
        ? objectField(config, "model.config", null)
        : optionalText(config, "model.config"),
    weights: optionalText(fields.weights, "model.weights"),
    tokenizer: optionalText(fields.tokenizer, "model.tokenizer"),
    precision: wordField(fields.precision ?? "f32", "model.precision", ["f32", "f16"]),
  };
}
