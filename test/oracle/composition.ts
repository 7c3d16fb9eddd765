/** @file An active composition as the hooks of one sequence's pass. */

import { readAdapter, readFusion } from "./adapter-files.ts";
import type { Files, Saved } from "./adapter-files.ts";
import { readBottleneck } from "./bottleneck.ts";
import type { Bottleneck } from "./bottleneck.ts";
import { closeCompat } from "./compose-compat.ts";
import type { SiteModules } from "./compose-compat.ts";
import { linearCompat, linearFusedCompat, linearSane } from "./compose-linear.ts";
import type { LinearModules } from "./compose-linear.ts";
import { composePrefix } from "./compose-prefix.ts";
import { closeSane } from "./compose-sane.ts";
import { readFusionAt } from "./fusion.ts";
import type { Hooks, MapName, OracleHost, Site } from "./host.ts";
import { mergeMethod, readLinearMethod } from "./linear-methods.ts";
import type { LinearMethod } from "./linear-methods.ts";
import { invert, prefixRows, withPrompt } from "./methods.ts";
import { need } from "./rows.ts";
import { childFor, firstName, leavesOf } from "./setup-tree.ts";
import type { Place, Tree } from "./setup-tree.ts";

/** What {@link Composition} is made from. */
export interface CompositionOptions {
  readonly adapters: Readonly<Record<string, Files>>;
  readonly fusions: Readonly<Record<string, Files>>;
  readonly skipLayers: readonly number[];
  readonly compat: boolean;
  /** The adapter whose linear methods are merged into the host. */
  readonly merged: string | undefined;
  /** The adapter whose prefix is stored flat. */
  readonly ejected: string | undefined;
  /** Passes that the library's model had run before, for a fusion's temperature. */
  readonly fusionCalls: number;
}

const fused: ReadonlySet<MapName> = new Set(["query", "key", "value"]);
const allMaps: readonly MapName[] = ["query", "key", "value", "proj", "up", "down"];

/** A composition on a host: reads what every place needs once. */
export class Composition {
  private readonly host: OracleHost;
  private readonly tree: Tree;
  private readonly options: CompositionOptions;
  private readonly saved: ReadonlyMap<string, Saved>;
  private readonly fusions: ReadonlyMap<string, Saved>;
  private readonly bottlenecks: Map<string, ReadonlyMap<string, Bottleneck>> = new Map();
  private readonly linears: Map<string, LinearModules> = new Map();
  /** Maps that hold merged weights now. */
  private readonly mergedMaps: Set<string> = new Set();

  constructor(host: OracleHost, tree: Tree, options: CompositionOptions) {
    this.host = host;
    this.tree = tree;
    this.options = options;
    const names = [...new Set(leavesOf(tree))];
    this.saved = new Map(names.map((name) => [name, readAdapter(need(options.adapters[name], `the adapter ${name}`))]));
    this.fusions = new Map(Object.entries(options.fusions).map(([name, files]) => [name, readFusion(files)]));
    if (options.merged !== undefined) this.merge(options.merged);
  }

  /** The hooks of the sequence at this place of the batch. */
  hooks(place: Place): Hooks {
    return {
      embeddings: (x) => {
        const first = need(this.saved.get(this.firstFor(place)), "the first adapter");
        return withPrompt(first, invert(first, x));
      },
      linear: (layer, map, x, y) => {
        if (this.skips(layer)) return y;
        const modules = this.linearModules(layer, map);
        const merged = this.mergedMaps.has(`${layer}.${map}`);
        if (!this.options.compat) return linearSane(this.tree, x, y, place, modules);
        if (merged) return y;
        if (this.host.family === "bert" || !fused.has(map)) return linearCompat(this.tree, x, y, place, modules);
        const active = [...fused].some((name) => this.linearModules(layer, name).size > 0);
        return active ? linearFusedCompat(this.tree, x, y, modules) : y;
      },
      prefix: (layer, x) => {
        if (this.skips(layer)) return [];
        const { host } = this;
        const rowsOf = (name: string) =>
          prefixRows(host, need(this.saved.get(name), name), layer, x, name === this.options.ejected);
        const filler = new Float64Array(host.width).fill(host.padId);
        const padding = { key: filler, value: filler, logit: 1 };
        return composePrefix(this.tree, [], place, { rowsOf, compat: this.options.compat, padding });
      },
      close: (layer, site, f, h, norm) => {
        const modules = this.skips(layer) ? new Map<string, Bottleneck>() : this.siteModules(layer, site);
        const { compat, fusionCalls } = this.options;
        const at: SiteModules = {
          modules,
          norm,
          fusion: (name) =>
            readFusionAt(
              this.host,
              need(this.fusions.get(name), `the fusion ${name}`),
              layer,
              site,
              compat,
              fusionCalls,
            ),
        };
        return (compat ? closeCompat : closeSane)(this.tree, f, h, place, at);
      },
    };
  }

  private skips(layer: number): boolean {
    return this.options.skipLayers.includes(layer);
  }

  /** The adapter whose prompt and invertible part count: the leftmost leaf, sanely of the sequence's own branch. */
  private firstFor(place: Place): string {
    let tree = this.tree;
    let here = place;
    while (!this.options.compat && tree.kind !== "leaf") {
      if (tree.kind === "batchSplit" || tree.kind === "parallel") {
        const own = childFor(tree, here);
        tree = own.child;
        here = own.place;
      } else {
        tree = need(tree.children[0], "a child");
      }
    }
    return firstName(tree);
  }

  private siteModules(layer: number, site: Site): ReadonlyMap<string, Bottleneck> {
    const key = `${layer}.${site}`;
    const known = this.bottlenecks.get(key);
    if (known !== undefined) return known;
    const found = new Map<string, Bottleneck>();
    for (const [name, saved] of this.saved) {
      const module = readBottleneck(this.host, saved, layer, site);
      if (module !== undefined) found.set(name, module);
    }
    this.bottlenecks.set(key, found);
    return found;
  }

  private linearModules(layer: number, map: MapName): LinearModules {
    const key = `${layer}.${map}`;
    const known = this.linears.get(key);
    if (known !== undefined) return known;
    const found = new Map<string, LinearMethod>();
    for (const [name, saved] of this.saved) {
      const method = readLinearMethod(this.host, saved, layer, map);
      if (method !== undefined && !(this.mergedMaps.has(key) && name === this.options.merged)) found.set(name, method);
    }
    this.linears.set(key, found);
    return found;
  }

  private merge(name: string): void {
    const saved = need(this.saved.get(name), name);
    for (let layer = 0; layer < this.host.layers; layer++) {
      for (const map of allMaps) {
        const key = `${layer}.${map}`;
        const method = readLinearMethod(this.host, saved, layer, map);
        if (method === undefined) continue;
        this.host.maps.set(key, mergeMethod(need(this.host.maps.get(key), key), method, this.options.compat));
        this.mergedMaps.add(key);
      }
    }
  }
}
