/** @file The parameters of a graph in float64, read back from the device: exactly the numbers that kernels see. */

import type { Gpu } from "../gpu/gpu.ts";
import type { Parameters } from "../graph/parameters.ts";
import { readParameters } from "../graph/read-parameters.ts";
import type { Graph } from "../graph/value.ts";
import type { ReferenceTensor } from "../reference/tensor.ts";

/** @param known parameters that are not read again */
export async function float64Parameters(
  gpu: Gpu,
  parameters: Parameters,
  { nodes }: Graph,
  known: ReadonlyMap<string, ReferenceTensor> = new Map(),
): Promise<Map<string, ReferenceTensor>> {
  const labels = nodes.flatMap(({ kind, label }) => (kind === "parameter" && !known.has(label) ? [label] : []));
  const read = await readParameters(gpu, parameters, [...new Set(labels)]);
  return new Map(
    Array.from(read, ([name, data]) => {
      const shape = parameters.typeOf(name).shape as readonly number[];
      return [name, { shape, data: data instanceof Uint32Array ? data : Float64Array.from(data) }];
    }),
  );
}
