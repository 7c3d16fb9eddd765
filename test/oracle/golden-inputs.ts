/** @file The token ids of a golden input, without its padding. */

import { readTensorFile } from "../../src/formats/checkpoint.ts";
import type { StoredTensor } from "../../src/formats/tensor.ts";
import type { Files } from "./adapter-files.ts";
import { at, need } from "./rows.ts";

/** The sequences of the input `name`; padding stands at their ends, and is left out. */
export function goldenInputs(files: Files, name: string): number[][] {
  const { tensors } = readTensorFile(need(files["inputs.safetensors"], "inputs") as Uint8Array, "inputs.safetensors");
  const ids = need(tensors.get(`${name}.input_ids`), name);
  const mask = integers(need(tensors.get(`${name}.attention_mask`), name));
  const length = at(ids.shape, 1);
  const all = integers(ids);
  return Array.from({ length: at(ids.shape, 0) }, (_, s) =>
    Array.from({ length }, (_unused, t) => s * length + t)
      .filter((place) => mask[place] === 1)
      .map((place) => at(all, place)),
  );
}

function integers({ dtype, bytes }: StoredTensor): number[] {
  if (dtype !== "I64") throw new Error(`oracle: inputs of ${dtype}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.byteLength / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)));
}
