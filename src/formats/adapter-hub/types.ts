/** @file What adapter folders hold, as plain data: names are ours (canonical), numbers are float32, row-major. */

import type { JsonObject } from "../json.ts";

/** A tensor under its canonical name. Linear weights are `[out, in]`. */
export interface PlainTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A tensor of a file that was rightly not taken, and why. */
export interface LeftTensor {
  readonly name: string;
  readonly reason: string;
}

/** What every folder says about itself. */
export interface StoredOrigin {
  /** The weights file. */
  readonly file: string;
  /** Its bytes on disk. */
  readonly bytes: number;
  readonly name: string | null;
  /** `model_type` of the host it was made for; null where the format does not say (PEFT). */
  readonly family: string | null;
  readonly hiddenSize: number | null;
  /** Version of the library that wrote it; null for files from before there was one. */
  readonly version: string | null;
  /** Python class and checkpoint name of the host, as stored. */
  readonly modelClass: string | null;
  readonly modelName: string | null;
  /** Keys of the file that belong to nothing known. */
  readonly unexpected: readonly string[];
  readonly left: readonly LeftTensor[];
}

/** An adapter as read from an AdapterHub or PEFT folder. */
export interface StoredAdapter extends StoredOrigin {
  readonly format: "hub" | "peft";
  /**
   * hub: the inner method configuration after the updates for old files; `{ preset: name }` where the file holds a
   * name instead. peft: `{ peft_type, modules, … }` with rank and scaling spelt out for every map.
   */
  readonly config: Readonly<JsonObject>;
  readonly tensors: ReadonlyMap<string, PlainTensor>;
  /** Whether a prediction head lies in the same folder. */
  readonly hasHead: boolean;
}

/** A prediction head. Tensors are named by what follows `heads.{N}.`: `1.weight`, `4.bias`. */
export interface StoredHead extends StoredOrigin {
  readonly config: Readonly<JsonObject>;
  readonly tensors: ReadonlyMap<string, PlainTensor>;
}

/** AdapterFusion weights; tensors `layers.{i}.{attention|ffn}.{query|key|value}.{weight|bias}`. */
export interface StoredFusion extends StoredOrigin {
  /** The fused adapters, in the order of the fusion. */
  readonly names: readonly string[];
  readonly config: Readonly<JsonObject>;
  readonly tensors: ReadonlyMap<string, PlainTensor>;
}

/** A node of `adapter_setup.json`: `single` holds one name, every other type holds nodes. */
export interface SetupNode {
  readonly type: string;
  readonly children: readonly (SetupNode | string)[];
  readonly kwargs: Readonly<JsonObject>;
}

/** Which of the two weight files a writer makes. */
export type WeightsForm = "safetensors" | "torch";
