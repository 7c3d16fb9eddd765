/** @file An adapter's weights from named tensors, or fresh ones. */

import { EngineError } from "../errors.ts";
import { bottleneckWidth } from "./bottleneck.ts";
import type { BottleneckConfig, BottleneckWeights } from "./bottleneck.ts";
import { initBottleneck } from "./init.ts";

/** Tensors of an adapter by name: `layers.N.adapter_down.0.weight` [b, d], `.bias` [b], `layers.N.adapter_up.weight` [d, b], `.bias` [d]. */
export type AdapterTensors = Readonly<
  Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>
>;

const TAILS = {
  down: "adapter_down.0.weight",
  downBias: "adapter_down.0.bias",
  up: "adapter_up.weight",
  upBias: "adapter_up.bias",
} as const;

/**
 * @returns the weights of every layer, null where the adapter is left out
 * @throws EngineError BAD_WEIGHTS listing every missing, unexpected, wrongly shaped or non-finite tensor
 */
export function adapterWeights(
  config: BottleneckConfig,
  host: { readonly layers: number; readonly width: number },
  tensors: AdapterTensors | undefined,
): (BottleneckWeights | null)[] {
  const bottleneck = bottleneckWidth(config, host.width);
  const layers = Array.from({ length: host.layers }, (_, layer) => (config.leave_out.includes(layer) ? null : layer));
  if (tensors === undefined) {
    const seed = config.init_weights_seed;
    return layers.map((layer) =>
      layer === null ? null : initBottleneck(config.init_weights, seed * 1000003 + layer, host.width, bottleneck),
    );
  }
  const shapes = {
    down: [bottleneck, host.width],
    downBias: [bottleneck],
    up: [host.width, bottleneck],
    upBias: [host.width],
  };
  const problems: string[] = [];
  const used = new Set<string>();
  const take = (layer: number, part: keyof typeof TAILS): Float32Array => {
    const name = `layers.${layer}.${TAILS[part]}`;
    const tensor = tensors[name];
    used.add(name);
    if (tensor === undefined) problems.push(`missing: ${name} [${shapes[part].join(", ")}]`);
    else if (tensor.shape.join() !== shapes[part].join()) {
      problems.push(`wrong shape: ${name} is [${tensor.shape.join(", ")}], expected [${shapes[part].join(", ")}]`);
    } else if (!tensor.data.every(Number.isFinite)) problems.push(`not finite: ${name}`);
    return tensor?.data ?? new Float32Array(0);
  };
  const weights = layers.map((layer) =>
    layer === null
      ? null
      : {
          down: take(layer, "down"),
          downBias: take(layer, "downBias"),
          up: take(layer, "up"),
          upBias: take(layer, "upBias"),
        },
  );
  for (const name of Object.keys(tensors)) if (!used.has(name)) problems.push(`unexpected: ${name}`);
  if (problems.length === 0) return weights;
  throw new EngineError("BAD_WEIGHTS", `the adapter does not fit its host:\n  ${problems.join("\n  ")}`, {
    fix: "check reduction_factor, leave_out and the names of the tensors",
  });
}
