/**
 * @file Trained routers as one file: safetensors with a vector per routed layer, and in its header the options of `coda` that they were
 * trained under and the order in which `coda` takes them.
 */

import { EngineError } from "../errors.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { writeSafetensors } from "../formats/safetensors-writer.ts";
import { fromFloat32, toFloat32 } from "../formats/tensor.ts";
import { codaFromJson, codaToJson } from "../routing/coda-json.ts";
import type { CodaJson } from "../routing/coda-json.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import type { Model } from "./model.ts";

const FORMAT = "adapters-webgpu/routers";
const VERSION = "1";

/** What may be changed of the options in a file: all but the vectors. */
export type RouterChanges = Partial<CodaJson>;

/**
 * The routing that is set, with the vectors of its routers, as the bytes of a file.
 * @throws EngineError BAD_CONFIG when the model is dense, or its routers have no vectors
 */
export function routersFile(model: Model): Uint8Array {
  const { routing } = model.contents;
  if (routing === null || routing.vectors.size === 0)
    throw new EngineError("BAD_CONFIG", "no routers with trained vectors are set", {
      where: "routers",
      fix: "call setRouting(coda({ … })) first",
    });
  const vectors = [...routing.vectors];
  return writeSafetensors(
    vectors.map(([name, values]) => fromFloat32(name, [values.length], values)),
    {
      format: FORMAT,
      version: VERSION,
      order: vectors.map(([name]) => name).join("\n"),
      policy: JSON.stringify(codaToJson(routing.policy)),
    },
  );
}

function badFile(where: string, what: string): EngineError {
  return new EngineError("BAD_FILE", `${where}: ${what}`, { where, fix: "take the file that a training wrote" });
}

function policyField(text: string | undefined, where: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below, with the file's name.
  }
  throw badFile(where, "the policy in its header is not a JSON object");
}

/** The header of a file, and its vectors in the order in which `coda` takes them. */
function read(bytes: Uint8Array, where: string): { policy: string | undefined; vectors: Float32Array[] } {
  const { tensors, metadata } = readSafetensors(bytes, where);
  const { format, version, order, policy } = metadata;
  if (format !== FORMAT || order === undefined) throw badFile(where, "this is no file of trained routers");
  if (version !== VERSION) throw badFile(where, `its version is ${version ?? "missing"}, this engine reads ${VERSION}`);
  const vectors = order.split("\n").map((name) => {
    const tensor = tensors.get(name);
    if (tensor !== undefined) return toFloat32(tensor);
    throw badFile(where, `${name} is missing`);
  });
  return { policy, vectors };
}

/**
 * Reads trained routers.
 * @param where the file's name, for errors
 * @param changes options that stand in for those that the routers were trained under
 * @returns a policy for `model.setRouting`
 * @throws EngineError BAD_FILE for another file; BAD_CONFIG and UNKNOWN_NAME as `coda` does
 * @example model.setRouting(readRouters(bytes, "routers.safetensors", { reduction: 5 }));
 */
export function readRouters(bytes: Uint8Array, where: string, changes: RouterChanges = {}): CodaPolicy {
  const { policy, vectors } = read(bytes, where);
  return codaFromJson({ ...policyField(policy, where), ...changes }, vectors);
}

/**
 * The vectors of a file of routers alone, in the order in which `coda` takes them.
 * @throws EngineError BAD_FILE
 */
export function readRouterVectors(bytes: Uint8Array, where: string): readonly Float32Array[] {
  return read(bytes, where).vectors;
}
