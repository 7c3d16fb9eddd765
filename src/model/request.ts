/** @file What a call asks for, checked against what is resident and fixed at the moment the call is made. */

import { asComposition, fusionName, isBlock, leavesOf } from "../adapters/composition.ts";
import type { Composition, CompositionInput } from "../adapters/composition.ts";
import { checkComposition } from "../adapters/composition-check.ts";
import type { Fusions } from "../adapters/fusions.ts";
import { EngineError } from "../errors.ts";
import type { Host } from "../hosts/host.ts";
import type { AdapterStore } from "./adapter-store.ts";
import { isTokenHead } from "./added-heads.ts";
import type { AddedHeads } from "./added-heads.ts";
import type { Batch } from "./batch.ts";
import { compose } from "./composed.ts";
import type { Active } from "./composed.ts";
import type { Routing, RunRequest } from "./runner.ts";
import type { Tasks } from "./tasks.ts";
import type { Compat, RunOptions } from "./types.ts";

/** What is resident and set when a call is made. */
export interface RequestState {
  readonly host: Host;
  readonly store: AdapterStore;
  readonly heads: AddedHeads;
  readonly tasks: Tasks;
  readonly dropped: ReadonlySet<number>;
  readonly routing: Routing | null;
  /** The model's own. */
  readonly compat: Compat | undefined;
}

const DEFAULT_OUTPUTS: readonly string[] = ["hidden", "heads", "routing"];

/**
 * Checks a composition: its nesting, its names, and whether it can be compiled, so that nothing of it is refused in a run.
 * @throws EngineError BAD_CONFIG, UNKNOWN_NAME, UNSUPPORTED
 */
export function checkActive(
  { store, tasks, dropped, compat: own }: RequestState,
  input: Exclude<CompositionInput, null>,
  compat: Compat | null | undefined,
): Active {
  const composition = checkComposition(asComposition(input));
  for (const name of leavesOf(composition)) store.get(name);
  checkFusions(composition, store.fusions);
  const active = { composition, compat: isCompat(compat === undefined ? own : compat) };
  compose(store, { active, perSequence: undefined, light: null, dropped, compat: active.compat });
  tasks.normsFor(composition, undefined, null);
  return active;
}

/** Everything that a run needs besides the weights. @throws EngineError BAD_INPUT, UNKNOWN_NAME, UNSUPPORTED */
export function requestFor(state: RequestState, batch: Batch, options: RunOptions, active: Active | null): RunRequest {
  const { store, tasks, routing, dropped } = state;
  const { outputs = DEFAULT_OUTPUTS, capture = [], adapters: perSequence } = options;
  if (perSequence !== undefined && perSequence.length !== batch.rows.length) {
    const message = `adapters names ${perSequence.length} adapters, the batch has ${batch.rows.length} sequences`;
    throw new EngineError("BAD_INPUT", message, { where: "adapters", fix: "give one name, or null, per sequence" });
  }
  const compat = options.compat === undefined ? (active?.compat ?? isCompat(state.compat)) : isCompat(options.compat);
  const light = lightOf(routing, active, perSequence !== undefined);
  const composed = compose(store, { active, perSequence, light, dropped, compat });
  checkOutputs(state, outputs);
  const { head } = state.host;
  const own = outputs.includes("heads.default") || (outputs.includes("heads") && head?.rows === "sequence");
  const wanted = outputs.filter((name) => name === "hidden" || name === "routing");
  return {
    batch,
    composed,
    norms: tasks.normsFor(active?.composition ?? null, perSequence, light),
    routing,
    outputs: [...wanted, ...(head !== null && own ? ["heads.default"] : [])].sort(),
    captures: [...new Set(capture)].sort(),
    heads: headsFor(state, outputs, new Set([...composed.dense.residents].map(({ name }) => name))),
    profile: options.profile === true,
  };
}

/** The adapter of light paths; null for what is active, which it also is where the active adapter is named once more. */
function lightOf(routing: Routing | null, active: Active | null, perSequence: boolean): string | null {
  const named = routing?.policy.adapter ?? null;
  const same = active?.composition.kind === "adapter" && active.composition.name === named && !perSequence;
  return same ? null : named;
}

function checkOutputs({ host, heads }: RequestState, outputs: readonly string[]): void {
  const known = ["hidden", "heads", "routing", ...(host.head === null ? [] : ["heads.default"])];
  known.push(...heads.names.map((name) => `heads.${name}`));
  const unknown = outputs.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new EngineError("UNKNOWN_NAME", `there is no output ${unknown}; known: ${known.join(", ")}`, {
    where: "outputs",
  });
}

/** Added heads that run: those named, and of the others those of sequences whose adapter runs, or that belong to none. */
function headsFor({ heads, store }: RequestState, outputs: readonly string[], running: ReadonlySet<string>): string[] {
  return heads.names.filter((name) => {
    if (outputs.includes(`heads.${name}`)) return true;
    if (!outputs.includes("heads") || isTokenHead(heads.configOf(name))) return false;
    return running.has(name) || !store.has(name);
  });
}

/** Throws UNKNOWN_NAME, naming addFusion, for a fuse block without weights. */
function checkFusions(composition: Composition, fusions: Fusions): void {
  if (!isBlock(composition)) return;
  if (composition.kind === "fuse") fusions.get(fusionName(composition));
  for (const child of composition.children) checkFusions(child, fusions);
}

/** @returns whether the library's quirks are asked for. @throws EngineError BAD_CONFIG for another word */
export function isCompat(compat: Compat | null | undefined): boolean {
  if (compat === undefined || compat === null) return false;
  if (compat === "adapters-1.2") return true;
  throw new EngineError("BAD_CONFIG", `compat is ${JSON.stringify(compat)}, expected "adapters-1.2"`, {
    where: "compat",
  });
}
