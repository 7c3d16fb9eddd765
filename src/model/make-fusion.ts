/** @file AdapterFusion weights checked against the adapters that they join, and added. */

import type { Fusion } from "../adapters/fusion-sites.ts";
import { expectedFusionTensors, initFusion, readFusion } from "../adapters/fusion-config.ts";
import { misfits, refuseMisfits } from "../adapters/tensors.ts";
import type { AdapterTensors } from "../adapters/tensors.ts";
import { EngineError } from "../errors.ts";
import type { HostShape } from "../hosts/host.ts";
import type { SubLayer } from "../sites/site.ts";
import type { AdapterStore } from "./adapter-store.ts";
import type { ReadFusionInput } from "./folders.ts";

/** Places at which at least one of the adapters has a bottleneck, by layer. */
function placesOf(store: AdapterStore, names: readonly string[], layers: number): Map<SubLayer, number[]> {
  const found = new Map<SubLayer, number[]>();
  for (const place of ["attention", "ffn"] as const) {
    const here = Array.from({ length: layers }, (_, layer) => layer).filter((layer) =>
      names.some((name) => store.get(name).resident.packed.structure.layers[layer]?.bottlenecks[place] !== undefined),
    );
    if (here.length > 0) found.set(place, here);
  }
  return found;
}

function check(
  name: string,
  tensors: AdapterTensors,
  expected: ReadonlyMap<string, readonly number[]>,
  width: number,
): void {
  // Weights for places where none of the adapters stands are never used, but must be sound.
  const others = [...tensors.keys()].map((key) => [key, key.endsWith(".bias") ? [width] : [width, width]] as const);
  const problems = misfits(tensors, new Map<string, readonly number[]>([...expected, ...others]));
  const fix = "fuse the adapters that the fusion was trained for";
  refuseMisfits(`fusion ${name} does not fit`, problems, { where: name, fix });
}

/** Adds a fusion of adapters that are here, and folds it for them (DESIGN §5.2). */
export async function makeFusion(
  store: AdapterStore,
  shape: HostShape,
  names: readonly string[],
  read: ReadFusionInput,
): Promise<void> {
  const name = names.join(",");
  if (names.length === 0 || new Set(names).size !== names.length) {
    throw new EngineError("BAD_CONFIG", `a fusion joins different adapters, given: ${name || "none"}`, {
      where: "addFusion",
    });
  }
  if (store.fusions.has(name)) {
    throw new EngineError("UNKNOWN_NAME", `there is a fusion ${name} already`, { where: name, fix: "remove it first" });
  }
  if (read.names !== null && read.names.length !== names.length) {
    const message = `the folder holds the fusion of ${read.names.length} adapters (${read.names.join(", ")}), ${names.length} are named`;
    throw new EngineError("BAD_WEIGHTS", message, { where: name, fix: "name as many adapters, in that order" });
  }
  const config = readFusion(read.config);
  const places = placesOf(store, names, shape.layers);
  if (places.size === 0) {
    throw new EngineError("BAD_CONFIG", `none of ${name} has a bottleneck that could be fused`, { where: name });
  }
  const expected = new Map<string, readonly number[]>();
  for (const [place, layers] of places) {
    const absent = Array.from({ length: shape.layers }, (_, layer) => layer).filter((layer) => !layers.includes(layer));
    for (const [key, axes] of expectedFusionTensors(config, shape, [place], absent)) expected.set(key, axes);
  }
  const tensors = read.tensors ?? initFusion(config, expected, read.seed ?? 0);
  check(name, tensors, expected, shape.width);
  const fusion: Fusion = {
    names,
    config,
    tensors,
    places: [...places].flatMap(([place, layers]) => layers.map((layer) => ({ layer, place }))),
    pruned: new Map(),
    forced: new Set(),
    dropped: new Set(),
  };
  store.fusions.set(name, fusion);
  const children = names.map((one) => ({ residents: [store.get(one).resident], direct: true }));
  try {
    await store.fusions.prepare(name, children);
  } catch (error) {
    store.fusions.delete(name);
    throw error;
  }
}
