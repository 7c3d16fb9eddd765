/** @file What a run is asked to compute, fixed at the moment of the call: compositions compiled, heads chosen. */

import type { FusionChild } from "../adapters/fusion-sites.ts";
import type { Program, CompiledProgram, View } from "../adapters/program.ts";
import { compileProgram, perSequenceProgram } from "../adapters/program.ts";
import { asComposition, normalise } from "../adapters/composition.ts";
import type { Composition } from "../adapters/composition.ts";
import { childrenOf, viewsOf } from "../adapters/feeds.ts";
import type { FeedSource, Stage } from "../adapters/feeds.ts";
import { leaves } from "../adapters/program-leaves.ts";
import type { Resident } from "../adapters/bank.ts";
import type { AdapterStore } from "./adapter-store.ts";

/** A composition with the switch that says whose semantics it has. */
export interface Active {
  readonly composition: Composition;
  readonly compat: boolean;
}

/** Compiled compositions of one run. */
export interface Composed {
  readonly dense: CompiledProgram;
  /** The light path's own, or null where it is the same. */
  readonly light: CompiledProgram | null;
  readonly compat: boolean;
}

const NOTHING: CompiledProgram = {
  program: { kind: "none" },
  key: "-",
  residents: new Set(),
  check: () => undefined,
};

/** Compiles what a run needs. */
export function compose(
  store: AdapterStore,
  options: {
    readonly active: Active | null;
    readonly perSequence: readonly (string | null)[] | undefined;
    readonly light: string | null;
    readonly dropped: ReadonlySet<number>;
    readonly compat: boolean;
  },
): Composed {
  const { active, perSequence, light, dropped, compat } = options;
  const names = store.namesFor(dropped);
  const compile = (composition: Composition): CompiledProgram =>
    compileProgram(compat ? composition : normalise(composition), names, { compat });
  const dense =
    perSequence !== undefined
      ? perSequenceProgram(perSequence, names)
      : active === null
        ? NOTHING
        : compile(active.composition);
  return { dense, light: light === null ? null : compile(asComposition(light)), compat };
}

/** The adapters of a program that a fusion joins: those of each child, and whether it reads the fusion's own x. */
export function fusionsOf(program: Program): { name: string; children: FusionChild[] }[] {
  const inner = childrenOf(program).flatMap(fusionsOf);
  if (program.kind !== "fuse") return inner;
  const anywhere: View = { sequence: 0, copy: 0, rows: 0, parts: {} };
  const children = program.children.map((child) => ({
    residents: leaves(child).map(({ pick }) => pick(anywhere) as Resident),
    direct: child.kind === "leaf",
  }));
  return [{ name: program.fusion.name, children }, ...inner];
}

/**
 * Which sequences of a result an adapter of that name took part in; null for all, which is also the answer for names that do
 * not run and for parts of sequences.
 */
export function sequencesOf(
  name: string,
  { program, residents }: CompiledProgram,
  source: FeedSource,
  stage: Stage,
): Uint32Array | null {
  const all = leaves(program);
  const views = viewsOf(source, stage);
  const taken = views.flatMap((view, index) =>
    all.some(({ cut, pick }) => cut === null && pick(view)?.name === name) ? [index] : [],
  );
  const runs = [...residents].some((resident) => resident.name === name) && all.every(({ cut }) => cut === null);
  return taken.length === views.length || (taken.length === 0 && !runs) ? null : Uint32Array.from(taken);
}
