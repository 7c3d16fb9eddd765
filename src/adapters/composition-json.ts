/** @file Compositions as the trees of `adapter_setup.json` (MATHS §3.1), both ways. */

import {
  adapterLeaf,
  badComposition,
  batchSplit,
  describe,
  fuse,
  isBlock,
  none,
  parallel,
  split,
  spread,
  stack,
  weighted,
} from "./composition.ts";
import type { Block, Composition } from "./composition.ts";

/** A node of the tree. A leaf has the type "single" and its name, or null for none, as its one child. */
export interface CompositionJson {
  readonly type: string;
  readonly children: readonly (CompositionJson | string | null)[];
  readonly kwargs?: Readonly<Record<string, unknown>>;
}

/** The library's name of every block. */
const types: Readonly<Record<Block["kind"], string>> = {
  stack: "Stack",
  fuse: "Fuse",
  split: "Split",
  batchSplit: "BatchSplit",
  parallel: "Parallel",
  average: "Average",
};

/** What stands beside the children of a block. */
const kwargsOf: Readonly<Record<string, readonly string[]>> = {
  Fuse: ["name"],
  Split: ["splits"],
  BatchSplit: ["batch_sizes"],
  Average: ["weights"],
};

/** Hostile files nest until the stack overflows; the nesting table ends far above. */
const MOST_DEPTH = 32;

/** @returns the tree as the library writes it; the library wants a block at the root, so normalise before writing. */
export function compositionToJson(composition: Composition): CompositionJson {
  if (composition.kind === "none") return { type: "single", children: [null] };
  if (!isBlock(composition)) return { type: "single", children: [composition.name] };
  const kwargs = kwargsFor(composition);
  return {
    type: types[composition.kind],
    children: composition.children.map(compositionToJson),
    ...(kwargs === null ? {} : { kwargs }),
  };
}

function kwargsFor(block: Block): Record<string, unknown> | null {
  if (block.kind === "split") return { splits: [...block.splits] };
  if (block.kind === "batchSplit") return { batch_sizes: [...block.batchSizes] };
  if (block.kind === "average") return { weights: [...block.weights] };
  return block.kind === "fuse" && block.name !== undefined ? { name: block.name } : null;
}

/**
 * Reads a tree; null is no adapter. Weights of an average are taken as they stand: the library saves those it applied.
 * Nesting is not checked here.
 * @throws EngineError BAD_CONFIG naming the node
 */
export function compositionFromJson(json: unknown): Composition {
  return fromNode(json, "setup", 0);
}

function fromNode(json: unknown, where: string, depth: number): Composition {
  if (json === null) return none;
  if (typeof json === "string") return adapterLeaf(json);
  const refuse = (message: string): never => {
    throw badComposition(`adapter setup: ${where} ${message}`, where);
  };
  if (depth > MOST_DEPTH) refuse("is nested too deep");
  const node = (typeof json === "object" ? json : {}) as Readonly<Record<string, unknown>>;
  const { type, children, kwargs } = node;
  if (typeof type !== "string" || !Array.isArray(children)) {
    return refuse(`is ${describe(json)}, expected { type, children }`);
  }
  if (type === "single") {
    const [name] = children as readonly unknown[];
    if (children.length === 1 && name === null) return none;
    if (children.length === 1 && typeof name === "string" && name !== "") return adapterLeaf(name);
    return refuse(`is a single adapter with the children ${describe(children)}, expected one name`);
  }
  const known = Object.values(types);
  if (!known.includes(type)) refuse(`has the type ${describe(type)}, expected single, ${known.join(", ")}`);
  const settings = (kwargs ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof settings !== "object" || Array.isArray(settings)) refuse(`has the kwargs ${describe(kwargs)}`);
  for (const [name, value] of Object.entries(settings)) {
    if (value === null || kwargsOf[type]?.includes(name) === true) continue;
    refuse(`(${type}) has the setting ${name}, which is not known there`);
  }
  const parts = children.map((child, index) => fromNode(child, `${where}.children.${index}`, depth + 1));
  return fromBlock(type, parts, settings);
}

function fromBlock(type: string, children: Composition[], kwargs: Readonly<Record<string, unknown>>): Composition {
  const numbers = (field: string): readonly number[] => spread(kwargs[field], children.length, type, field);
  switch (type) {
    case "Fuse":
      return (kwargs.name ?? null) === null ? fuse(...children) : fuse(...children, { name: kwargs.name as string });
    case "Split":
      return split(...children, { splits: numbers("splits") });
    case "BatchSplit":
      return batchSplit(...children, { batchSizes: numbers("batch_sizes") });
    case "Average":
      return weighted(
        children,
        (kwargs.weights ?? null) === null ? children.map(() => 1 / children.length) : numbers("weights"),
      );
    case "Parallel":
      return parallel(...children);
    default:
      return stack(...children);
  }
}
