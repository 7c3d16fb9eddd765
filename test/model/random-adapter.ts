/** @file Adapters with lively random weights, for tests that compare runs of a model. */

import { readAdapterConfig } from "../../src/adapters/config/read.ts";
import { expectedTensors } from "../../src/adapters/config/shapes.ts";
import type { AdapterHost } from "../../src/adapters/config/types.ts";
import type { PlainTensors } from "../../src/model/folders.ts";
import { normal } from "../../src/random.ts";

/** A configuration with tensors that `addAdapter` takes. */
export interface RandomAdapter {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: PlainTensors;
}

/** A bottleneck behind the feed-forward part, unless fields say otherwise. */
export function randomAdapter(
  host: AdapterHost,
  seed: number,
  fields: Readonly<Record<string, unknown>> = {},
): RandomAdapter {
  const config = { mh_adapter: false, output_adapter: true, reduction_factor: 4, non_linearity: "relu", ...fields };
  let next = 1000 * seed;
  const tensors = [...expectedTensors(readAdapterConfig(config, host), host)].map(([name, shape]) => {
    const size = shape.reduce((product, dim) => product * dim, 1);
    return [name, { shape, data: normal(next++, size, 0.4) }] as const;
  });
  return { config, tensors: Object.fromEntries(tensors) };
}
