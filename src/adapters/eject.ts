/** @file Ejecting a prefix (MATHS §2.8): its reparametrisation evaluated once and for all, and stored flat. */

import { EngineError } from "../errors.ts";
import { methodsOf } from "./config/methods.ts";
import type { AdapterConfig, MethodConfig, PrefixConfig } from "./config/types.ts";
import type { AdapterDefinition } from "./define.ts";
import { flatPrefix } from "./pack-rows.ts";
import type { AdapterTensor } from "./tensors.ts";

function flattened<C extends MethodConfig>(config: C): C {
  return config.architecture === "prefix_tuning" ? { ...config, flat: true } : config;
}

/**
 * @returns the definition with a flat prefix; what runs is the same, what is saved is smaller to read
 * @throws EngineError UNSUPPORTED for an adapter without a reparametrised prefix
 */
export function ejectPrefix(definition: AdapterDefinition): AdapterDefinition {
  const { config, tensors } = definition;
  if (config === null || !tensors.has("prefix.wte.weight")) {
    throw new EngineError("UNSUPPORTED", "the adapter has no reparametrised prefix to eject", { where: "ejectPrefix" });
  }
  const prefix = methodsOf(config).find((method) => method.architecture === "prefix_tuning") as PrefixConfig;
  const data = flatPrefix(tensors, prefix.non_linearity);
  const kept = [...tensors].filter(([name]) => !/^prefix\.(wte|control_trans)\./.test(name));
  const flat: AdapterTensor = { data, shape: [data.length] };
  const ejected: AdapterConfig =
    config.architecture === "union" ? { ...config, configs: config.configs.map(flattened) } : flattened(config);
  return { ...definition, config: ejected, tensors: new Map([...kept, ["prefix.control_trans", flat]]) };
}
