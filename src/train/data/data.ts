/** @file Examples of a training: what a row of a file is, and how files are reached. */

import type { Image } from "../../inputs/image.ts";
import type { DataConfig, SetFiles } from "../config/data.ts";

/** What an example shows to the model, before it is encoded. */
export type Content =
  | { readonly kind: "text"; readonly text: string | readonly [string, string] }
  | { readonly kind: "audio"; readonly samples: Float32Array; readonly sampleRate: number }
  | { readonly kind: "image"; readonly image: Image };

/** One row of a data set, as it stands in its file. */
export interface Row {
  /** File and line, or whatever finds the row. */
  readonly place: string;
  readonly content: Content;
  /** The label of every label column, as it is written; "" is missing. */
  readonly labels: readonly string[];
  /** What the column of the split says; null without one. */
  readonly set: string | null;
}

/** Files by the paths of the configuration, unpacked where they are packed. */
export interface DataSource {
  bytes(path: string): Promise<Uint8Array>;
  text(path: string): Promise<string>;
}

/** Reads the rows of one set of files. */
export type RowReader = (set: SetFiles, config: DataConfig, source: DataSource) => Promise<Row[]>;

/** An example, ready to be put into a batch. */
export interface Example {
  readonly place: string;
  /** Hidden rows. */
  readonly length: number;
  readonly input:
    | { readonly kind: "ids"; readonly ids: Uint32Array; readonly types: Uint32Array }
    | { readonly kind: "audio"; readonly samples: Float32Array; readonly sampleRate: number }
    | { readonly kind: "image"; readonly image: Image };
  /** One class, or a value per label with NaN for what is missing; none where targets are drawn. */
  readonly targets: readonly number[];
}
