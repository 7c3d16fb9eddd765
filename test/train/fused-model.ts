/** @file A small BERT with three adapters and their fusion, all with lively weights, for tests that train the fusion. */

import { fuse } from "../../src/adapters/composition.ts";
import type { FusionConfig } from "../../src/adapters/fusion-config.ts";
import { loadFolder } from "../../src/model/load.ts";
import type { Model } from "../../src/model/model.ts";
import { normal } from "../../src/random.ts";
import { sharedGpu } from "../gpu-fixture.ts";
import { randomAdapter } from "../model/random-adapter.ts";
import { tinyModel } from "../tiny-models.ts";

export const WIDTH = 32;

/** Bottlenecks of 4, 8 and 3 units, and an adapter that stands in one layer alone. */
const adapters = {
  a: { reduction_factor: 8, non_linearity: "relu" },
  b: { reduction_factor: 4, non_linearity: "gelu", scaling: 2 },
  c: { reduction_factor: 10, non_linearity: "tanh", leave_out: [0] },
};

/** The adapters that are fused. */
export const FUSED: readonly string[] = Object.keys(adapters);
/** The name of their fusion. */
export const FUSION: string = FUSED.join(",");

/** Keys and queries that tell adapters apart, and values that are no identity. */
function livelyTensors(model: Model): Map<string, { data: Float32Array; shape: readonly number[] }> {
  const { tensors, config } = model.contents.fusion(FUSION);
  // Scores of order 1: where one weight is all, gradients of keys are rounding.
  const spread = config.query ? 0.07 : 0.01;
  return new Map(
    [...tensors].map(([tensor, { shape, data }], index) => {
      const own = normal(500 + index, data.length, tensor.endsWith("bias") ? 0.1 : spread);
      const isValue = tensor.endsWith("value.weight");
      return [tensor, { shape, data: isValue ? data.map((value, at) => value + (own[at] as number)) : own }];
    }),
  );
}

/** A model with the fusion active and a head `task` of three classes. */
export async function fusedModel(config: Partial<FusionConfig> = {}): Promise<Model> {
  const model = await loadFolder(await sharedGpu(), tinyModel("bert").folder);
  await model.addHead("task", { config: { head_type: "classification", num_labels: 3, layers: 2 } });
  for (const [index, [name, own]] of Object.entries(adapters).entries())
    await model.addAdapter(name, randomAdapter(model.host.shape, index, own));
  await model.addFusion(FUSED, { config: { ...config } });
  const tensors = livelyTensors(model);
  await model.changeFusion(FUSION, (fusion) => ({ ...fusion, tensors }));
  model.setActive(fuse(...FUSED));
  return model;
}
