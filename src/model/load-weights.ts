/** @file Checkpoint tensors into resident parameters: everything is checked, and listed at once, before anything is allocated. */

import { refuseMisfits, transpose } from "../adapters/tensors.ts";
import type { StoredTensor } from "../formats/tensor.ts";
import { toFloat32, toIntegers } from "../formats/tensor.ts";
import { packF16 } from "../half.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Host, WeightPart, WeightSpec } from "../hosts/host.ts";

/** What was used, what was left alone, and what it costs. */
export interface WeightReport {
  readonly matched: number;
  readonly ignored: readonly { readonly tensor: string; readonly reason: string }[];
  readonly bytes: number;
}

/** Host-side result of reading a checkpoint. */
export interface ReadWeights {
  readonly parameters: ReadonlyMap<string, { spec: WeightSpec; data: Float32Array }>;
  readonly tables: ReadonlyMap<string, Uint32Array>;
  readonly report: WeightReport;
}

type Tensors = ReadonlyMap<string, StoredTensor>;

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dim === b[axis]);
}

/** Lists everything that does not fit; an empty list means that the checkpoint is complete. */
function problems(host: Host, tensors: Tensors): string[] {
  const found: string[] = [];
  const used = new Set<string>();
  const need = (part: WeightPart): void => {
    used.add(part.tensor);
    const tensor = tensors.get(part.tensor);
    if (tensor === undefined) found.push(`missing: ${part.tensor} [${part.shape.join(", ")}]`);
    else if (!sameShape(tensor.shape, part.shape)) {
      found.push(`wrong shape: ${part.tensor} is [${tensor.shape.join(", ")}], expected [${part.shape.join(", ")}]`);
    }
  };
  for (const spec of host.weights) spec.parts.forEach(need);
  for (const table of host.tables ?? []) need(table);
  for (const name of tensors.keys()) {
    if (!used.has(name) && reasonFor(host, name) === undefined)
      found.push(`unexpected: ${name} [${tensors.get(name)?.shape.join(", ")}]`);
  }
  return found;
}

function reasonFor(host: Host, name: string): string | undefined {
  return host.ignored.find(({ pattern }) => pattern.test(name))?.reason;
}

/** Joins the parts of a parameter along their first axis and turns Conv1D matrices round. */
function assemble(spec: WeightSpec, tensors: Tensors): Float32Array {
  const parts = spec.parts.map((part) => {
    const data = toFloat32(tensors.get(part.tensor) as StoredTensor);
    const [rows, columns] = part.shape as [number, number];
    return part.transpose === true ? transpose(data, rows, columns) : data;
  });
  if (parts.length === 1) return parts[0] as Float32Array;
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/**
 * Reads a host's weights from a checkpoint.
 * @throws EngineError BAD_WEIGHTS listing every missing, unexpected, wrongly shaped or non-finite tensor
 */
export function readWeights(host: Host, tensors: Tensors, file: string): ReadWeights {
  const listed = problems(host, tensors);
  const parameters = new Map<string, { spec: WeightSpec; data: Float32Array }>();
  if (listed.length === 0) {
    for (const spec of host.weights) {
      const data = assemble(spec, tensors);
      const bad = data.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0)
        listed.push(
          `not finite: ${spec.parts.map(({ tensor }) => tensor).join(" + ")} holds ${data[bad]} at element ${bad}`,
        );
      parameters.set(spec.name, { spec, data });
    }
  }
  refuseMisfits(`${file} does not fit the ${host.shape.family} host`, listed, {
    where: file,
    fix: "check that config and weights belong together",
  });
  const tables = new Map(
    (host.tables ?? []).map(({ tensor }) => [tensor, integers(tensors.get(tensor) as StoredTensor)]),
  );
  const used = new Set(
    [...host.weights.flatMap(({ parts }) => parts), ...(host.tables ?? [])].map(({ tensor }) => tensor),
  );
  const ignored = [...tensors.keys()]
    .filter((name) => !used.has(name))
    .map((tensor) => ({ tensor, reason: reasonFor(host, tensor) as string }));
  const bytes = [...parameters.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  return { parameters, tables, report: { matched: used.size, ignored, bytes } };
}

function integers(tensor: StoredTensor): Uint32Array {
  return Uint32Array.from(toIntegers(tensor), Number);
}

/** Uploads what {@link readWeights} has read; in half precision where `half` says so and the weight is a matrix or table. */
export function uploadWeights(read: ReadWeights, parameters: Parameters, half: boolean): void {
  for (const { spec, data } of read.parameters.values()) {
    const f16 = half && spec.kind !== "vector";
    parameters.set(spec.name, { shape: spec.shape, element: f16 ? "f16" : "f32" }, f16 ? packF16(data) : data);
  }
}
