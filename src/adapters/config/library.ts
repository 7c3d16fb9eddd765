/** @file An adapter's configuration as the library writes it: all fields, keys sorted (MATHS §3.1). */

import type { AdapterConfig, AdapterHost, BottleneckConfig, MethodConfig } from "./types.ts";

/** Our fields, and the values at which they say nothing and are not written. */
const OURS: Readonly<Record<string, unknown>> = {
  layer_adapter: false,
  cross_layer_sharing: false,
  bottleneck_width: null,
};

/**
 * The `config` object of an `adapter_config.json`. It reads back as the same configuration, except that `houlsby_2019`, which
 * the library does not know and which only concerns fresh weights, is written `houlsby`.
 * @param host its width turns a fixed bottleneck width into a reduction factor that gives the library the same width
 */
export function toLibraryConfig(config: AdapterConfig, host?: Pick<AdapterHost, "width">): Record<string, unknown> {
  if (config.architecture === "union") {
    return { architecture: "union", configs: config.configs.map((method) => toLibraryConfig(method, host)) };
  }
  const written = Object.entries(libraryFields(config, host))
    .filter(([name, value]) => !Object.hasOwn(OURS, name) || OURS[name] !== value)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(written);
}

function libraryFields(config: MethodConfig, host: Pick<AdapterHost, "width"> | undefined): Record<string, unknown> {
  if (config.architecture === "lora" || config.architecture === "prompt_tuning") return { ...config };
  const { non_linearity_spelling, ...fields } = config;
  const spelled = { ...fields, non_linearity: non_linearity_spelling };
  if (config.architecture === "prefix_tuning") return spelled;
  // A bottleneck has no architecture field in the library's files.
  const { architecture: _, ...bottleneck } = spelled;
  return {
    ...bottleneck,
    init_weights: config.init_weights === "houlsby_2019" ? "houlsby" : config.init_weights,
    reduction_factor: libraryFactor(config, host),
  };
}

/** The library floors width / factor: half a unit more in the divisor keeps rounding from losing one. */
function libraryFactor(config: BottleneckConfig, host: Pick<AdapterHost, "width"> | undefined): unknown {
  const bottleneck = config.bottleneck_width;
  if (bottleneck === null || host === undefined) return config.reduction_factor;
  return host.width % bottleneck === 0 ? host.width / bottleneck : host.width / (bottleneck + 0.5);
}
