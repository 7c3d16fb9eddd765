/** @file One layer of a model as graph values: dense, or routed as a whole or in one of its halves, with what adapters do there. */

import type { SiteContext } from "../adapters/evaluate/context.ts";
import { stagePrefix } from "../adapters/evaluate/context.ts";
import { evaluateLight } from "../adapters/evaluate/light.ts";
import { evaluateLayerSite } from "../adapters/evaluate/residual.ts";
import { layerSites } from "../adapters/evaluate/sites.ts";
import type { CopyPoint } from "../adapters/program-leaves.ts";
import type { GraphBuilder } from "../graph/builder.ts";
import type { Value } from "../graph/value.ts";
import type { Host, HostLayer, HostPart, KeyRows, LayerRows, Stream } from "../hosts/host.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { scaleRows } from "../ops/scale-rows.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { combine, route } from "../routing/route.ts";
import type { Route, Selected } from "../routing/route.ts";

/** What the layers of one graph share. */
export interface LayerDraft {
  readonly b: GraphBuilder;
  readonly host: Host;
  /** What runs, and what runs on light paths: the same unless routing names an adapter of its own. */
  readonly context: SiteContext;
  readonly light: SiteContext;
  readonly copies: CopyPoint | null;
}

/** Routing of one layer: its policy and its reduction factor. */
export interface LayerRoute {
  readonly policy: CodaPolicy;
  readonly reduction: number;
}

/** A layer's output, and its choice where it is routed. */
export interface BuiltLayer {
  readonly output: Value;
  readonly route: Route | null;
}

/** Builds layer `index` over a stream; `routing` is null where the layer is dense. */
export function buildLayer(draft: LayerDraft, stream: Stream, index: number, routing: LayerRoute | null): BuiltLayer {
  const { b, host, context, light, copies } = draft;
  // What is on the light path is not on the heavy one as well.
  const bottlenecks = routing === null || light !== context;
  const sites = layerSites(context, index, copies, bottlenecks);
  const layer = host.layer(b, index, stream, sites);
  if (routing === null) {
    const { output } = layer.heavy({ selection: null });
    return { output: evaluateLayerSite(context, index, layer.siteInput, output), route: null };
  }
  light.follow(context);
  const lit = (base: Value): Value => evaluateLight(light, index, layer.siteInput, base);
  const { output, chosen } = PARTS[routing.policy.part]({
    b,
    stream,
    layer,
    lit,
    routing,
    index,
    context,
    bottlenecks,
  });
  return { output, route: chosen };
}

/** One routed layer under construction. */
interface RoutedDraft {
  readonly b: GraphBuilder;
  readonly stream: Stream;
  readonly layer: HostLayer;
  /** base + A(Xn). */
  readonly lit: (base: Value) => Value;
  readonly routing: LayerRoute;
  readonly index: number;
  readonly context: SiteContext;
  /** The bottlenecks of what is active run on the heavy path. */
  readonly bottlenecks: boolean;
}

interface RoutedPartOutput {
  readonly output: Value;
  readonly chosen: Route;
}

const PARTS: Readonly<Record<CodaPolicy["part"], (draft: RoutedDraft) => RoutedPartOutput>> = {
  /** Y = X + A(Xn) + m ⊙ Pᵀ(Δatt + Δffn). */
  layer: (draft) => {
    const { b, stream, layer, lit } = draft;
    const { chosen, delta } = routed(draft, layer);
    return { output: combine(b, lit(stream.hidden), delta, chosen), chosen };
  },
  /** H = X + m ⊙ PᵀΔatt; Y = H + Δffn(H) of every row, + A(Xn). */
  attention: (draft) => {
    const { b, stream, layer, lit } = draft;
    const { chosen, delta } = routed(draft, layer.attention);
    const { output } = layer.ffn(combine(b, stream.hidden, delta, chosen)).heavy({ selection: null });
    return { output: lit(output), chosen };
  },
  /** H = X + Δatt of every row; Y = H + A(Xn) + m ⊙ PᵀΔffn(H), with a router that reads what the feed-forward part reads. */
  ffn: (draft) => {
    const { b, layer, lit } = draft;
    const { output: h } = layer.attention.heavy({ selection: null });
    const { chosen, delta } = routed(draft, layer.ffn(h));
    return { output: combine(b, lit(h), delta, chosen), chosen };
  },
};

/** The choice of a part, and its heavy path over the rows that were chosen. */
function routed(draft: RoutedDraft, part: HostPart): { chosen: Route; delta: Value } {
  const { b, stream, layer, routing, index, context, bottlenecks } = draft;
  const { policy, reduction } = routing;
  const at = { layer: index, reduction, prefix: stagePrefix(context.stage), sequences: context.names.sequences };
  const chosen = route(b, part.siteInput, stream.segments, policy, at);
  const delta = part.heavy({ selection: chosen, keys: keysOf(b, chosen, routing) }).delta();
  if (!bottlenecks) return { chosen, delta };
  const rows = b.op(gatherRows, { x: layer.siteInput, rows: chosen.rows }, {}).y as Value;
  return { chosen, delta: evaluateLayerSite(context, index, rows, delta, chosen) };
}

function keysOf(
  b: GraphBuilder,
  { keys }: Route,
  { policy: { attention, router }, reduction }: LayerRoute,
): Extract<LayerRows, { keys: unknown }>["keys"] {
  // With r = 1 the k largest are all rows: their queries, keys and values are one product. A rule of the router's own may select fewer.
  const everyRow = reduction === 1 && router.choose === undefined && router.rule === undefined;
  if (keys === null) return attention === "k-to-k" || everyRow ? "selected" : "all";
  return router.keys?.weigh === true ? { selection: keys, change: weighed(b, keys) } : { selection: keys };
}

/** λ ⊙ the rows that were chosen. */
function weighed(b: GraphBuilder, { rows, weights }: Selected): NonNullable<KeyRows["change"]> {
  return (x) => b.op(scaleRows, { x, weight: weights, rows }, {}).y as Value;
}
