/**
 * @file Saving a host as files of a Hugging Face style folder: `config.json`, `model.safetensors` under the names that loading reads,
 * and the tokenizer's files. What is loaded from them has the same bits.
 */

import { transpose } from "../adapters/tensors.ts";
import { EngineError } from "../errors.ts";
import { writeSafetensors } from "../formats/safetensors-writer.ts";
import { fromFloat32, toFloat16 } from "../formats/tensor.ts";
import type { StoredTensor } from "../formats/tensor.ts";
import type { WrittenFiles } from "../formats/adapter-hub/write.ts";
import type { Parameters } from "../graph/parameters.ts";
import { readParameters } from "../graph/read-parameters.ts";
import type { WeightPart, WeightSpec } from "../hosts/host.ts";
import type { Model } from "./model.ts";

/** What a model was made from besides its weights. */
export interface ModelOrigin {
  readonly config: Readonly<Record<string, unknown>>;
  /** Texts of the tokenizer's files, by name. */
  readonly files: ReadonlyMap<string, string>;
}

/** How a host is written. */
export interface SaveModelOptions {
  /** Element type of matrices and tables; vectors are f32 in any case. Default: as they are resident. */
  readonly precision?: "f32" | "f16";
}

function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** The tensors that a resident parameter was joined from. */
function split(spec: WeightSpec, data: Float32Array, half: boolean): StoredTensor[] {
  let at = 0;
  return spec.parts.map((part) => {
    const own = data.subarray(at, (at += elementsOf(part.shape)));
    const [rows, columns] = part.shape as [number, number];
    // Stored [in, out]; resident [out, in].
    const values = part.transpose === true ? transpose(own, columns, rows) : own;
    return (half ? toFloat16 : fromFloat32)(part.tensor, part.shape, values);
  });
}

function isHalf(spec: WeightSpec, parameters: Parameters, precision: SaveModelOptions["precision"]): boolean {
  if (spec.kind === "vector") return false;
  return precision === undefined ? parameters.typeOf(spec.name).element === "f16" : precision === "f16";
}

/** @throws EngineError BAD_CONFIG for what is no precision of a file */
export function checkPrecision(precision: unknown): void {
  if (precision === undefined || precision === "f32" || precision === "f16") return;
  throw new EngineError("BAD_CONFIG", `precision is ${JSON.stringify(precision)}, expected f32 or f16`, {
    where: "precision",
  });
}

function tableTensor({ tensor, shape }: WeightPart, data: Uint32Array): StoredTensor {
  const copy = Int32Array.from(data);
  return { name: tensor, dtype: "I32", shape, bytes: new Uint8Array(copy.buffer) };
}

/**
 * The files of a model's host. Weights that a training has changed, or that an adapter is merged into, are written as they are now; norms
 * of tasks stay with the tasks.
 * @throws EngineError UNSUPPORTED for a model that was not loaded from a configuration; BAD_INPUT for values that f16 cannot hold
 */
export async function modelFiles(model: Model, { precision }: SaveModelOptions = {}): Promise<WrittenFiles> {
  checkPrecision(precision);
  return model.exclusive(async (inside) => {
    const { host, parameters, origin, tables } = inside.parts;
    if (origin === undefined)
      throw new EngineError("UNSUPPORTED", "the model was made without a configuration, which a folder needs", {
        where: "saveModel",
        fix: "load it with loadModel",
      });
    // The host's own norms, should a task's be there.
    inside.norms.write(null);
    const names = host.weights.map(({ name }) => name);
    const read = await readParameters(inside.parts.gpu, parameters, names);
    const tensors = host.weights.flatMap((spec) =>
      split(spec, read.get(spec.name) as Float32Array, isHalf(spec, parameters, precision)),
    );
    for (const part of host.tables ?? []) tensors.push(tableTensor(part, tables.get(part.tensor) as Uint32Array));
    const half = tensors.some(({ dtype }) => dtype === "F16");
    const config = half ? { ...origin.config, torch_dtype: "float16" } : origin.config;
    const text = (content: string): Uint8Array => new TextEncoder().encode(content);
    const files: WrittenFiles = new Map([
      ["config.json", text(`${JSON.stringify(config, null, 2)}\n`)],
      ["model.safetensors", writeSafetensors(tensors, { format: "pt" })],
    ]);
    for (const [name, content] of origin.files) files.set(name, text(content));
    return files;
  });
}
