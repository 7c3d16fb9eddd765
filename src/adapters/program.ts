/**
 * @file A composition compiled for a batch: a tree whose shape is part of a plan's signature, and at its leaves functions
 * that say which adapter a segment has. Children that look alike become one leaf with a slot per segment, so a batch of
 * many adapters is one launch per site (DESIGN §5.4).
 */

import { EngineError } from "../errors.ts";
import type { Resident } from "./bank.ts";
import { checkLinear, checkPrefixLengths, checkSamePlaces } from "./compat-check.ts";
import type { Composition } from "./composition.ts";
import { firstName, fusionName } from "./composition.ts";
import type { AdapterStructure } from "./structure.ts";

/** A stretch of rows with one choice of adapters: a sequence, a copy of one, or a part of it. */
export interface View {
  /** Number of the sequence in the batch. */
  readonly sequence: number;
  /** Number of the copy in a parallel run. */
  readonly copy: number;
  readonly rows: number;
  /** Child that a cut gives this part to, by the name of the cut. */
  readonly parts: Readonly<Record<string, number>>;
}

/** A finer segmentation: every part of the one above is cut into parts of these lengths, or stays whole. */
export interface Cut {
  readonly name: string;
  readonly above: Cut | null;
  readonly lengths: (view: View) => readonly number[] | null;
}

/** A fusion as a program needs it: which weights, and what shapes its graph. */
export interface FusionUse {
  readonly name: string;
  readonly structure: string;
}

/** A node of a compiled composition. */
export type Program =
  | { readonly kind: "none" }
  | {
      readonly kind: "leaf";
      readonly structure: AdapterStructure;
      readonly structureId: number;
      readonly cut: Cut | null;
      readonly pick: (view: View) => Resident | null;
      /** All that may be picked. */
      readonly residents: readonly Resident[];
    }
  | { readonly kind: "stack"; readonly children: readonly Program[]; readonly nested: boolean }
  | {
      readonly kind: "average";
      readonly children: readonly Program[];
      readonly cut: Cut | null;
      readonly weights: (view: View) => readonly number[];
    }
  | {
      readonly kind: "choose";
      readonly groups: readonly ChooseGroup[];
      readonly cut: Cut | null;
      /** Every segment belongs to a group. */
      readonly covers: boolean;
      /** Structures of the first and the last child: upstream lets them speak for all. */
      readonly first: Program;
      readonly last: Program;
    }
  | { readonly kind: "fuse"; readonly children: readonly Program[]; readonly fusion: FusionUse }
  | { readonly kind: "copies"; readonly program: Program; readonly count: number };

/** Children of one shape. */
export interface ChooseGroup {
  readonly program: Program;
  readonly has: (view: View) => boolean;
}

/** What an adapter can be without: its part at the embedding, at linear maps, or in the layers altogether. */
export type AdapterPart = "embedding" | "linear" | "layers";

/** An adapter with the structure that it has now. */
export interface NamedAdapter {
  readonly resident: Resident;
  readonly structure: AdapterStructure;
  readonly id: number;
}

/** Where names are looked up. */
export interface ProgramNames {
  readonly adapter: (name: string, without?: readonly AdapterPart[]) => NamedAdapter;
  /** The LoRAs of these adapters composed as functions, or null where fewer than two have one (compat only). */
  readonly composedLora: (names: readonly string[]) => NamedAdapter | null;
  readonly fusion: (name: string) => FusionUse;
}

/** A compiled composition with what can be checked only when the batch is known. */
export interface CompiledProgram {
  readonly program: Program;
  /** Equal keys build equal graphs. */
  readonly key: string;
  readonly residents: ReadonlySet<Resident>;
  readonly check: (sequences: number) => void;
}

interface Scope {
  readonly when: (view: View) => boolean;
  readonly cut: Cut | null;
  /** First sequence of the part of the batch that is split further, and how many there are; null for all. */
  readonly start: number;
  readonly count: number | null;
  readonly nested: boolean;
  /** On the way to the first adapter, the only one whose prompt and invertible part count (MATHS §2.8). */
  readonly leads: boolean;
}

class Compiler {
  readonly residents = new Set<Resident>();
  readonly checks: ((sequences: number) => void)[] = [];
  readonly #names: ProgramNames;
  #cuts = 0;

  readonly #compat: boolean;

  constructor(names: ProgramNames, compat: boolean) {
    this.#names = names;
    this.#compat = compat;
  }

  /** Under compat the first adapter of all speaks for every sequence, else the first one of each sequence's own branch. */
  compileAll(composition: Composition): Program {
    const scope: Scope = { when: () => true, cut: null, start: 0, count: null, nested: false, leads: !this.#compat };
    if (this.#compat) checkLinear(composition, this.#names);
    const program = this.compile(composition, scope);
    return this.#compat ? this.#ledBy(composition, program, scope) : program;
  }

  compile(composition: Composition, scope: Scope): Program {
    const inside = { ...scope, nested: true };
    if (this.#compat && isSideBySide(composition)) checkSamePlaces(composition.kind, composition.children, this.#names);
    switch (composition.kind) {
      case "none":
        return { kind: "none" };
      case "adapter":
        return this.#leaf(composition.name, scope);
      case "stack":
        return { kind: "stack", children: this.#stacked(composition.children, inside), nested: scope.nested };
      case "fuse": {
        const children = this.#inOrder(composition.children, inside);
        return { kind: "fuse", children, fusion: this.#names.fusion(fusionName(composition)) };
      }
      case "average": {
        const children = this.#inOrder(composition.children, inside);
        const { weights } = composition;
        return { kind: "average", children, cut: scope.cut, weights: () => weights };
      }
      case "batchSplit":
        return this.#batchSplit(composition.children, composition.batchSizes, inside);
      case "split": {
        const program = this.#split(composition.children, composition.splits, { ...inside, leads: false });
        return scope.leads ? this.#ledBy(composition, program, scope) : program;
      }
      case "parallel": {
        const program = this.#choose(composition.children, inside, (view, index) => view.copy === index);
        return { kind: "copies", program, count: composition.children.length };
      }
    }
  }

  /** Children of which the first one with an adapter leads. */
  #inOrder(children: readonly Composition[], scope: Scope): Program[] {
    const lead = children.findIndex((child) => firstName(child) !== null);
    return children.map((child, index) => this.compile(child, index === lead ? scope : { ...scope, leads: false }));
  }

  /** Upstream composes the LoRAs of a stack as functions: they become one, and the adapters keep what else they have. */
  #stacked(children: readonly Composition[], scope: Scope): Program[] {
    const names = children.flatMap((child) => (child.kind === "adapter" ? [child.name] : []));
    const composed = this.#compat ? this.#names.composedLora(names) : null;
    if (composed === null) return this.#inOrder(children, scope);
    const { resident, structure, id } = composed;
    this.residents.add(resident);
    const rest = children.map((child) =>
      child.kind === "adapter" ? this.#leaf(child.name, scope, ["linear"]) : this.compile(child, scope),
    );
    const pick = (view: View): Resident | null => (scope.when(view) ? resident : null);
    return [...rest, { kind: "leaf", structure, structureId: id, cut: scope.cut, pick, residents: [resident] }];
  }

  #leaf(name: string, { when, cut, leads }: Scope, without: readonly AdapterPart[] = []): Program {
    const { resident, structure, id } = this.#names.adapter(name, leads ? without : [...without, "embedding"]);
    this.residents.add(resident);
    const pick = (view: View): Resident | null => (when(view) ? resident : null);
    return { kind: "leaf", structure, structureId: id, cut, pick, residents: [resident] };
  }

  /** A program with what its first adapter has at the embedding: of whole sequences, whatever is chosen further down. */
  #ledBy(composition: Composition, program: Program, scope: Scope): Program {
    const name = firstName(composition);
    if (name === null) return program;
    const { resident, structure, id } = this.#names.adapter(name, ["layers"]);
    const { prompt, invertible } = structure.embedding;
    if (prompt === null && !invertible) return program;
    this.residents.add(resident);
    const pick = (view: View): Resident | null => (scope.when(view) ? resident : null);
    const lead: Program = { kind: "leaf", structure, structureId: id, cut: scope.cut, pick, residents: [resident] };
    return { kind: "stack", children: [lead, program], nested: false };
  }

  #batchSplit(children: readonly Composition[], sizes: readonly number[], scope: Scope): Program {
    const starts = sizes.map((_, index) => scope.start + sizes.slice(0, index).reduce((a, b) => a + b, 0));
    const total = sizes.reduce((a, b) => a + b, 0);
    this.checks.push((sequences) => {
      if (total === (scope.count ?? sequences)) return;
      const message = `batchSplit: the sizes ${sizes.join(" + ")} make ${total} sequences, there are ${scope.count ?? sequences}`;
      throw new EngineError("BAD_INPUT", message, {
        where: "batchSplit.batchSizes",
        fix: "give one size per part of the batch",
      });
    });
    const within = (view: View, index: number): boolean => {
      const at = view.sequence - (starts[index] as number);
      return at >= 0 && at < (sizes[index] as number);
    };
    return this.#choose(children, scope, within, (index) => ({
      start: starts[index] as number,
      count: sizes[index] as number,
    }));
  }

  #split(children: readonly Composition[], splits: readonly number[], scope: Scope): Program {
    const name = `cut.${this.#cuts++}`;
    const total = splits.reduce((a, b) => a + b, 0);
    const lengths = (view: View): readonly number[] | null => {
      if (!scope.when(view)) return null;
      if (view.rows === total) return splits;
      const message = `split: the lengths ${splits.join(" + ")} make ${total} tokens, sequence ${view.sequence} has ${view.rows}`;
      throw new EngineError("BAD_INPUT", message, { where: "split.splits", fix: "run sequences of that length" });
    };
    const cut: Cut = { name, above: scope.cut, lengths };
    return this.#choose(children, { ...scope, cut }, (view, index) => view.parts[name] === index);
  }

  #choose(
    children: readonly Composition[],
    scope: Scope,
    is: (view: View, index: number) => boolean,
    part: (index: number) => Partial<Scope> = () => ({}),
  ): Program {
    if (this.#compat) checkPrefixLengths(children, this.#names);
    const programs = children.map((child, index) =>
      this.compile(child, { ...scope, ...part(index), when: (view) => scope.when(view) && is(view, index) }),
    );
    const owns = (indices: readonly number[]) => (view: View) =>
      scope.when(view) && indices.some((index) => is(view, index));
    return group(programs, owns, scope.cut);
  }
}

function isSideBySide(
  composition: Composition,
): composition is Extract<Composition, { kind: "average" | "split" | "batchSplit" | "parallel" }> {
  return ["average", "split", "batchSplit", "parallel"].includes(composition.kind);
}

/** Joins children of one shape; children without any adapter need no group. */
function group(
  programs: readonly Program[],
  owns: (indices: readonly number[]) => (view: View) => boolean,
  cut: Cut | null,
): Program {
  const byKey = new Map<string, number[]>();
  programs.forEach((program, index) => {
    if (!isEmpty(program)) byKey.set(keyOf(program), [...(byKey.get(keyOf(program)) ?? []), index]);
  });
  const groups = [...byKey.values()].map((indices) => ({
    program: indices.map((index) => programs[index] as Program).reduce(zip),
    has: owns(indices),
  }));
  if (groups.length === 0) return { kind: "none" };
  return {
    kind: "choose",
    groups,
    cut,
    covers: programs.every((program) => !isEmpty(program)),
    first: programs[0] as Program,
    last: programs.at(-1) as Program,
  };
}

function isEmpty(program: Program): boolean {
  if (program.kind === "none") return true;
  return program.kind === "stack" && program.children.every(isEmpty);
}

/** Two programs of one shape as one: a segment belongs to at most one of them. */
function zip(a: Program, b: Program): Program {
  const pairs = <T>(left: readonly T[], right: readonly T[], join: (x: T, y: T) => T): T[] =>
    left.map((value, index) => join(value, right[index] as T));
  if (a.kind === "leaf" && b.kind === "leaf")
    return { ...a, pick: (view) => a.pick(view) ?? b.pick(view), residents: [...a.residents, ...b.residents] };
  if (a.kind === "stack" && b.kind === "stack") return { ...a, children: pairs(a.children, b.children, zip) };
  if (a.kind === "average" && b.kind === "average") {
    const children = pairs(a.children, b.children, zip);
    const mine = (view: View): boolean => picksAny(a, view);
    return { ...a, children, weights: (view) => (mine(view) ? a.weights(view) : b.weights(view)) };
  }
  if (a.kind === "choose" && b.kind === "choose") {
    const groups = pairs(a.groups, b.groups, (x, y) => ({
      program: zip(x.program, y.program),
      has: (view: View) => x.has(view) || y.has(view),
    }));
    return { ...a, groups };
  }
  return a;
}

function picksAny(program: Program, view: View): boolean {
  switch (program.kind) {
    case "none":
      return false;
    case "leaf":
      return program.pick(view) !== null;
    case "choose":
      return program.groups.some(({ program: child }) => picksAny(child, view));
    case "copies":
      return picksAny(program.program, view);
    default:
      return program.children.some((child) => picksAny(child, view));
  }
}

/** The shape of a program as text. */
export function keyOf(program: Program): string {
  switch (program.kind) {
    case "none":
      return "-";
    case "leaf":
      return `${program.structureId}${program.cut === null ? "" : `/${program.cut.name}`}`;
    case "copies":
      return `copies(${keyOf(program.program)})`;
    case "choose": {
      const groups = program.groups.map(({ program: child }) => keyOf(child)).join("|");
      return `choose(${groups};${program.covers};${program.cut?.name ?? ""};${keyOf(program.first)};${keyOf(program.last)})`;
    }
    case "fuse":
      return `fuse(${program.children.map(keyOf).join()};${program.fusion.structure})`;
    default:
      return `${program.kind}${program.kind === "stack" && program.nested ? "+" : ""}(${program.children.map(keyOf).join()})`;
  }
}

/** Compiles a checked composition. */
export function compileProgram(
  composition: Composition,
  names: ProgramNames,
  { compat }: { readonly compat: boolean } = { compat: false },
): CompiledProgram {
  const compiler = new Compiler(names, compat);
  const program = compiler.compileAll(composition);
  const check = (sequences: number): void => compiler.checks.forEach((one) => one(sequences));
  return { program, key: keyOf(program), residents: compiler.residents, check };
}

/** One adapter per sequence, or none (`run(…, { adapters })`). */
export function perSequenceProgram(adapters: readonly (string | null)[], names: ProgramNames): CompiledProgram {
  const known = [...new Set(adapters)].filter((name) => name !== null);
  const found = known.map((name) => ({ name, ...names.adapter(name) })).sort((a, b) => a.id - b.id);
  const programs = found.map(({ name, resident, structure, id }): Program => ({
    kind: "leaf",
    structure,
    structureId: id,
    cut: null,
    pick: ({ sequence }) => (adapters[sequence] === name ? resident : null),
    residents: [resident],
  }));
  const owns = (indices: readonly number[]) => (view: View) =>
    indices.some((index) => found[index]?.name === adapters[view.sequence]);
  // Whether a batch holds a sequence without an adapter is data: one plan serves both.
  const joined = group([...programs, { kind: "none" }], owns, null);
  const program: Program =
    joined.kind === "choose" ? { ...joined, first: joined.groups[0]?.program as Program } : joined;
  return {
    program,
    key: keyOf(program),
    residents: new Set(found.map(({ resident }) => resident)),
    check: () => undefined,
  };
}
