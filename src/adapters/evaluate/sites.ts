/** @file A composition as what stands at the sites of a layer: the functions that a host calls. */

import type { LayerSites, ResidualSite } from "../../sites/site.ts";
import { standsIn } from "../structure.ts";
import type { CopyPoint } from "../program-leaves.ts";
import { leaves, prefixesOf } from "../program-leaves.ts";
import { closeSubLayer } from "./bottleneck.ts";
import type { ResidualPlace } from "./bottleneck.ts";
import { evaluateCompat } from "./compat.ts";
import type { SiteContext } from "./context.ts";
import { repeat } from "./embedding.ts";
import { evaluateKeysValues } from "./keys-values.ts";
import { evaluateInput, evaluateLinear } from "./linear.ts";
import { evaluateResidual, standsAt } from "./residual.ts";

/**
 * @param bottlenecks false where the bottlenecks run elsewhere, on the light path of a routed layer
 * @returns what stands at the sites of a layer. Sites without anything are left to the host.
 */
export function layerSites(
  context: SiteContext,
  layer: number,
  copies: CopyPoint | null,
  bottlenecks: boolean,
): LayerSites {
  const here = leaves(context.program)
    .map(({ structure }) => structure.layers[layer])
    .filter((one) => one !== undefined);
  if (!here.some(standsIn) && !context.leavesHidden) return {};
  const linear = here.some((one) => Object.keys(one.linear).length > 0);
  const residual =
    bottlenecks && here.some(({ bottlenecks: at }) => at.attention !== undefined || at.ffn !== undefined);
  return {
    ...(residual || context.leavesHidden
      ? { residual: (site) => residualSite(context, layer, site, residual ? copies : null, residual) }
      : {}),
    ...(linear
      ? {
          input: (site) => evaluateInput(context, layer, site),
          linear: (site) => evaluateLinear(context, layer, site),
        }
      : {}),
    ...(prefixesOf(context.program, layer).length > 0
      ? { keysValues: (site) => evaluateKeysValues(context, layer, site) }
      : {}),
  };
}

function residualSite(
  context: SiteContext,
  layer: number,
  site: ResidualSite,
  copies: CopyPoint | null,
  bottlenecks: boolean,
): ReturnType<NonNullable<LayerSites["residual"]>> {
  let { stream } = site;
  let output = context.leaveHidden(site.output, `layers.${layer}.${site.place}.output`);
  if (copies !== null && copies.at === site.place && copies.layer === layer)
    [output, stream] = repeat(context, [output, stream]) as [typeof output, typeof stream];
  const at: ResidualPlace = { place: site.place, layer, stream, norm: site.norm, selection: site.selection };
  if (!bottlenecks || !standsAt(context.program, at)) return closeSubLayer(context, output, at);
  return context.compat ? evaluateCompat(context, output, at) : evaluateResidual(context, output, at);
}
