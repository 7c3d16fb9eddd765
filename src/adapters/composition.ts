/**
 * @file Compositions: which adapters run, and how they are put together, as plain frozen data (MATHS §2.5). Building one
 * checks nothing but its own arguments; `checkComposition` holds the nesting table.
 */

import { EngineError } from "../errors.ts";

/** One adapter by name, or a tree of blocks. */
export type Composition = Leaf | Block;

/** An adapter, or a place where none runs. */
export type Leaf = { readonly kind: "adapter"; readonly name: string } | { readonly kind: "none" };

/** A block and its children, in order. */
export type Block =
  | { readonly kind: "stack"; readonly children: Children }
  | { readonly kind: "fuse"; readonly children: Children; readonly name?: string }
  /** `splits`: tokens of each child's part of every sequence. */
  | { readonly kind: "split"; readonly children: Children; readonly splits: readonly number[] }
  /** `batchSizes`: sequences of each child's part of the batch. */
  | { readonly kind: "batchSplit"; readonly children: Children; readonly batchSizes: readonly number[] }
  | { readonly kind: "parallel"; readonly children: Children }
  /** `weights`: the factors as they are applied, normalised or not. */
  | { readonly kind: "average"; readonly children: Children; readonly weights: readonly number[] };

type Children = readonly Composition[];

/** What a child may be given as: a name, null for none, or a composition. */
export type CompositionInput = string | null | Composition;

/** Options of {@link split}. A single number stands for every child. */
export interface SplitOptions {
  readonly splits: number | readonly number[];
}

/** Options of {@link batchSplit}, in either spelling. A single number stands for every child. */
export type BatchSplitOptions =
  | { readonly batchSizes: number | readonly number[] }
  | { readonly batch_sizes: number | readonly number[] };

/** Options of {@link average}. */
export interface AverageOptions {
  /** One per child; 1/N each when absent. */
  readonly weights?: readonly number[];
  /** Divides the weights by their sum; true when absent. */
  readonly normalize?: boolean;
}

/** Options of {@link fuse}. */
export interface FuseOptions {
  /** Name of the fusion weights; the children's last names joined by commas when absent. */
  readonly name?: string;
}

/** @returns the error of a composition that cannot be. */
export function badComposition(message: string, where: string, fix = ""): EngineError {
  return new EngineError("BAD_CONFIG", message, { where, fix });
}

/** No adapter. Stands where an adapter may, such as for the sequences of a batch that run the bare model. */
export const none: Composition = Object.freeze({ kind: "none" });

/** One adapter by name. */
export function adapterLeaf(name: string): Composition {
  if (name === "") throw badComposition("an adapter name is empty", "name");
  return Object.freeze({ kind: "adapter", name });
}

/**
 * @returns the composition that a name, null or a composition means
 * @throws EngineError BAD_CONFIG for anything else
 */
export function asComposition(input: CompositionInput): Composition {
  if (input === null) return none;
  if (typeof input === "string") return adapterLeaf(input);
  if (typeof input === "object" && typeof input.kind === "string") return input;
  const message = `a composition is built of adapter names, null and compositions, found ${describe(input)}`;
  throw badComposition(message, "composition", 'write, for example, stack("a", fuse("b", "c"))');
}

/** One after the other: each runs on what the previous one gave. */
export function stack(...children: CompositionInput[]): Composition {
  return Object.freeze({ kind: "stack", children: freeze(children) });
}

/**
 * AdapterFusion (MATHS §2.4): a learned mix per token. Needs fusion weights.
 * @example fuse("a", "b", stack("c", "d"))
 */
export function fuse(...given: (CompositionInput | FuseOptions)[]): Composition {
  const { children, options } = takeOptions<FuseOptions>(given);
  const name = options?.name;
  if (name === undefined) return Object.freeze({ kind: "fuse", children });
  if (typeof name !== "string" || name === "") throw badComposition("the name of a fusion is empty", "fuse.name");
  return Object.freeze({ kind: "fuse", children, name });
}

/**
 * Each child on its own part of every sequence; the lengths sum to the length of the sequence.
 * @example split("question", "answer", { splits: [16, 112] })
 */
export function split(...given: (CompositionInput | SplitOptions)[]): Composition {
  const { children, options } = takeOptions<SplitOptions>(given);
  const splits = spread(options?.splits, children.length, "split", "splits");
  return Object.freeze({ kind: "split", children, splits });
}

/**
 * Each child on its own part of the batch; the sizes sum to the number of sequences.
 * @example batchSplit("a", "b", { batchSizes: [1, 3] })
 */
export function batchSplit(...given: (CompositionInput | BatchSplitOptions)[]): Composition {
  const { children, options } = takeOptions<{ batchSizes?: Counts; batch_sizes?: Counts }>(given);
  const sizes = options?.batchSizes ?? options?.batch_sizes;
  const batchSizes = spread(sizes, children.length, "batchSplit", "batchSizes");
  return Object.freeze({ kind: "batchSplit", children, batchSizes });
}

/** All children at once, each on its own copy of the batch: the result holds copy 0, then copy 1, and so on. */
export function parallel(...children: CompositionInput[]): Composition {
  return Object.freeze({ kind: "parallel", children: freeze(children) });
}

/**
 * Σ w_i · child_i.
 * @example average("a", "b", { weights: [1, 3] }) // 0.25 and 0.75
 * @throws EngineError BAD_CONFIG when weights to be normalised sum to 0
 */
export function average(...given: (CompositionInput | AverageOptions)[]): Composition {
  const { children, options } = takeOptions<AverageOptions>(given);
  const weights = options?.weights ?? children.map(() => 1 / children.length);
  if (!Array.isArray(weights)) throw badComposition("average: weights is not a list of numbers", "average.weights");
  return weighted(children, options?.weights !== undefined && options.normalize !== false ? unit(weights) : weights);
}

/** An average with the weights as they are applied. */
export function weighted(children: Children, weights: readonly number[]): Composition {
  // -0 would not survive being written as text.
  return Object.freeze({
    kind: "average",
    children: freeze(children),
    weights: Object.freeze(weights.map((w) => w + 0)),
  });
}

/** @returns true for a composition that has children. */
export function isBlock(composition: Composition): composition is Block {
  return composition.kind !== "adapter" && composition.kind !== "none";
}

/** @returns the adapter names in order, from left to right; a name that stands twice is there twice. */
export function leavesOf(composition: Composition): string[] {
  if (composition.kind === "adapter") return [composition.name];
  return isBlock(composition) ? composition.children.flatMap(leavesOf) : [];
}

/** @returns the first adapter name, whose prompt and invertible part count; null where there is no adapter. */
export function firstName(composition: Composition): string | null {
  return leavesOf(composition)[0] ?? null;
}

/** @returns the last adapter name, which names the head of a stack; null where there is no adapter. */
export function lastName(composition: Composition): string | null {
  return leavesOf(composition).at(-1) ?? null;
}

/** @returns the name under which the weights of a fusion are kept: its own, or the children's last names joined by commas. */
export function fusionName(fusion: Extract<Composition, { kind: "fuse" }>): string {
  return fusion.name ?? fusion.children.map((child) => lastName(child) ?? "").join(",");
}

/**
 * The form that is compiled: a bare name becomes a stack of one, a nested stack of one becomes what it holds. Only the
 * quirk of nested stacks (MATHS §2.5) tells the two apart, so who reproduces it does not normalise.
 */
export function normalise(composition: Composition): Composition {
  const inner = collapse(composition);
  return inner.kind === "adapter" ? stack(inner) : inner;
}

function collapse(composition: Composition): Composition {
  if (!isBlock(composition)) return composition;
  const children = composition.children.map((child) => {
    const inner = collapse(child);
    return inner.kind === "stack" && inner.children.length === 1 ? (inner.children[0] as Composition) : inner;
  });
  return Object.freeze({ ...composition, children: Object.freeze(children) });
}

type Counts = number | readonly number[];

function freeze(children: readonly CompositionInput[]): Children {
  return Object.freeze(children.map(asComposition));
}

/** Parts the children from the options that may follow them. */
function takeOptions<Options>(given: readonly unknown[]): { children: Children; options: Options | undefined } {
  const last = given.at(-1);
  const options = typeof last === "object" && last !== null && !("kind" in last) ? (last as Options) : undefined;
  const children = (options === undefined ? given : given.slice(0, -1)) as readonly CompositionInput[];
  return { children: freeze(children), options };
}

/** @returns one count per child, from a list or from one number for all. */
export function spread(counts: unknown, children: number, kind: string, field: string): readonly number[] {
  if (typeof counts === "number") return Object.freeze(Array.from({ length: children }, () => counts));
  if (Array.isArray(counts)) return Object.freeze([...(counts as readonly number[])]);
  const fix = `give one number per child: { ${field}: [3, 5] }`;
  throw badComposition(`${kind} needs ${field}, found ${describe(counts)}`, `${kind}.${field}`, fix);
}

function unit(weights: readonly number[]): number[] {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum !== 0) return weights.map((weight) => weight / sum);
  throw badComposition(
    `average: the weights ${weights.join(", ")} sum to 0 and cannot be normalised`,
    "average.weights",
    "give other weights, or normalize: false",
  );
}

/** @returns a value of unknown type as it reads in a message. */
export function describe(value: unknown): string {
  return value === undefined ? "nothing" : (JSON.stringify(value) ?? String(value)).slice(0, 80);
}
