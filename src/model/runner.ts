/** @file Runs what a call has asked for: adapters into slots, fusions folded, routers written, plan found or made, result assembled. */

import type { Stage } from "../adapters/feeds.ts";
import { copiedPart } from "../adapters/program-leaves.ts";
import { EngineError } from "../errors.ts";
import { explain } from "../graph/explain.ts";
import type { Explanation } from "../graph/explain.ts";
import type { Plan } from "../graph/plan.ts";
import type { Sizes } from "../graph/schedule.ts";
import type { HostFeed } from "../hosts/host.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { reductions } from "../routing/coda.ts";
import type { AdapterStore } from "./adapter-store.ts";
import { headSlot } from "./added-heads.ts";
import type { AddedHeads } from "./added-heads.ts";
import type { Batch } from "./batch.ts";
import { buildModel } from "./build.ts";
import type { BuildParts, Signature } from "./build.ts";
import { fusionsOf, sequencesOf } from "./composed.ts";
import type { Composed } from "./composed.ts";
import { knownTables } from "./known-tables.ts";
import { capacitiesFor, lengthsFor } from "./lengths.ts";
import type { BuiltGraph, LengthParts, Lengths } from "./lengths.ts";
import type { ModelParts } from "./model.ts";
import type { HostNorms, TaskNorms } from "./norms.ts";
import { PlanCache } from "./plans.ts";
import { assemble, emptyResult } from "./results.ts";
import { checkScores } from "./router-faults.ts";
import { sequenceKeys } from "./sequence-keys.ts";
import type { RunOutput } from "./types.ts";

/** A policy with the trained vectors of its routers by parameter, and the text of what it does to a graph. */
export interface Routing {
  readonly policy: CodaPolicy;
  readonly vectors: ReadonlyMap<string, Float32Array>;
  readonly fingerprint: string;
}

/** Everything that a call fixes at the moment it is made. */
export interface RunRequest {
  readonly batch: Batch;
  readonly composed: Composed;
  /** Layer norms of the task that runs; null for the host's own. */
  readonly norms: TaskNorms | null;
  readonly routing: Routing | null;
  /** Without what depends on the state of buffers. */
  readonly outputs: readonly string[];
  readonly captures: readonly string[];
  /** Names of the added heads that run. */
  readonly heads: readonly string[];
  readonly profile: boolean;
}

/** A call whose adapters, fusions and routers are on the GPU. */
export interface Ready {
  /** Equal for calls whose graphs are equal. */
  readonly key: string;
  readonly parts: BuildParts;
  readonly signature: Signature;
}

/** The executing half of a model. Calls must not overlap. */
export class Runner {
  readonly #parts: ModelParts;
  readonly #store: AdapterStore;
  readonly #heads: AddedHeads;
  readonly #norms: HostNorms;
  readonly #plans: PlanCache;
  /** The router vectors that are on the GPU now. */
  #residentRouters: Routing["vectors"] | null = null;
  #generation = "";

  constructor(parts: ModelParts, store: AdapterStore, heads: AddedHeads, norms: HostNorms) {
    this.#parts = parts;
    this.#store = store;
    this.#heads = heads;
    this.#norms = norms;
    this.#plans = new PlanCache(parts.gpu, parts.parameters);
  }

  async dispose(): Promise<void> {
    await this.#plans.dispose();
  }

  /** Changes when buffers that plans have bound were made anew. */
  get generation(): string {
    return `${this.#store.bank.generation}.${this.#heads.generation}`;
  }

  /** Forgets all plans: buffers that they had bound are no more. */
  forget(): void {
    this.#plans.clear();
  }

  /** Makes the next run of every plan as fast as those after it. */
  settle(): void {
    this.#plans.bind();
  }

  /** Counts what a run would do. */
  async explain(request: RunRequest): Promise<Explanation> {
    const { plan, lengths } = await this.#plan(request);
    return explain(plan.steps, plan.memory, lengths.sizes, knownTables(lengths));
  }

  /** Runs a batch. */
  async run(request: RunRequest): Promise<RunOutput> {
    const start = performance.now();
    const { plan, lengths, signature } = await this.#plan(request);
    const { batch, composed, profile } = request;
    const result =
      batch.rows.length === 0
        ? emptyResult(plan, lengths)
        : await plan.run({ ...batch.arrays, ...lengths.inputs }, lengths.sizes, { profile });
    checkScores(plan, result, lengths);
    const { program } = composed.dense;
    if (composed.compat) for (const { name } of fusionsOf(program)) this.#store.fusions.countCall(name);
    return assemble(plan, result, {
      shape: this.#parts.host.shape,
      signature,
      lengths,
      wall: performance.now() - start,
      heads: request.heads,
      sequencesOf: (head) => sequencesOf(head, composed.dense, lengths.source, lastStage(lengths)),
    });
  }

  async #plan(request: RunRequest): Promise<{ plan: Plan; lengths: Lengths; signature: Signature }> {
    const ready = await this.ready(request);
    const { key, parts, signature } = ready;
    const built = this.#plans.builtOf(key) ?? buildModel(parts, signature);
    const lengths = this.lengthsOf(built, request, ready);
    const capacities = (): Sizes => this.capacitiesOf(lengths, signature);
    const plan = await this.#plans.get(key, lengths.sizes, () => ({ built, capacities: capacities() }));
    return { plan, lengths, signature };
  }

  /** Puts on the GPU what a call names, and says what its graph is built from. */
  async ready(request: RunRequest): Promise<Ready> {
    const { batch, composed, routing } = request;
    const { dense, light, compat } = composed;
    dense.check(batch.rows.length);
    light?.check(batch.rows.length);
    await this.#prepare(composed);
    this.#writeRouters(routing);
    this.#norms.write(request.norms);
    const signature: Signature = {
      source: batch.source,
      composition: dense.key,
      light: light === null ? null : light.key,
      compat,
      routing: routing?.policy ?? null,
      outputs: request.outputs,
      heads: request.heads.map((name) => this.#heads.useOf(name)),
      captures: request.captures,
    };
    const { bank, fusions } = this.#store;
    const programs = { dense: dense.program, light: (light ?? dense).program };
    return {
      key: `${signatureKey(signature, routing?.fingerprint ?? "")} ${this.#fusionVersions(composed)}`,
      parts: { host: this.#parts.host, bank, fusions, programs },
      signature,
    };
  }

  /** Run-time inputs and sizes of a call in a graph that was built for it. */
  lengthsOf(built: BuiltGraph, { batch, routing, heads }: RunRequest, { parts }: Ready): Lengths {
    const { shape } = this.#parts.host;
    const lengths = lengthsFor(built, {
      shape,
      rows: batch.rows,
      hostFeed: this.#feed(batch),
      bank: parts.bank,
      programs: parts.programs,
      types: (batch.arrays.types as Uint32Array | undefined) ?? null,
      keys: () => sequenceKeys(batch, shape),
      named: rowsNamedBy(routing, shape.layers),
      slots: Object.fromEntries(heads.map((name, index) => [headSlot(index), this.#heads.slotOf(name)])),
    });
    checkPositions(lengths, shape.maxTokens);
    return lengths;
  }

  /** Capacities of a new plan for a call of these lengths. */
  capacitiesOf(lengths: Lengths, { heads }: Signature): Sizes {
    const slots = heads.map(({ slots: count }, index) => [headSlot(index), count] as const);
    return { ...capacitiesFor(lengths, this.#parts.maxRows), ...Object.fromEntries(slots) };
  }

  /** Puts the adapters of a run into slots and folds its fusions. Plans that bound buffers of before are forgotten. */
  async #prepare({ dense, light, compat }: Composed): Promise<void> {
    const residents = [...dense.residents, ...(light?.residents ?? [])];
    const { bank, fusions } = this.#store;
    for (const resident of residents) bank.prepare(resident);
    bank.acquire(residents);
    for (const { name, children } of fusionsOf(dense.program))
      await fusions.prepare(name, children, compat ? fusions.callsOf(name) : undefined);
    if (this.generation !== this.#generation) this.#plans.clear();
    this.#generation = this.generation;
  }

  #fusionVersions({ dense }: Composed): string {
    return fusionsOf(dense.program)
      .map(({ name }) => `${name}@${this.#store.fusions.version(name)}`)
      .join();
  }

  #feed(batch: Batch): HostFeed {
    return this.#parts.host.feed?.(batch, this.#parts.tables) ?? { inputs: {}, sizes: {} };
  }

  /** Puts the routers of a run on the GPU, unless they are there: runs that were called earlier had others. */
  #writeRouters(routing: Routing | null): void {
    if (routing === null || routing.vectors.size === 0 || routing.vectors === this.#residentRouters) return;
    const { parameters } = this.#parts;
    // Should a write fail half-way, the next run writes all of them again.
    this.#residentRouters = null;
    for (const [name, vector] of routing.vectors) {
      if (parameters.has(name)) parameters.write(name, vector);
      else parameters.set(name, { shape: [vector.length], element: "f32" }, vector);
    }
    this.#residentRouters = routing.vectors;
  }
}

/** Rows of word prompts take positions too. */
function checkPositions({ inputs, sizes }: Lengths, maxTokens: number): void {
  const table = inputs["prompted.segments"];
  if (inputs["prompted.types"] === undefined || table === undefined || sizes.rows === 0) return;
  for (let s = 0; s + 1 < table.length; s += 1) {
    const length = (table[s + 1] as number) - (table[s] as number);
    if (length <= maxTokens) continue;
    const message = `sequence ${s} has ${length} tokens with its prompt; the position table holds ${maxTokens}`;
    throw new EngineError("BAD_INPUT", message, { where: `ids[${s}]`, fix: "cut the sequence into pieces" });
  }
}

/** The rows that a result has: copies, where a composition makes some. */
function lastStage({ source }: Lengths): Stage {
  return copiedPart(source.program) === null ? [] : ["copies"];
}

/** What the tables of rows named from outside are filled from. */
function rowsNamedBy(routing: Routing | null, layers: number): LengthParts["named"] {
  const given = routing?.policy.router.given;
  if (routing === null || given === undefined) return undefined;
  // A dense layer, which has no factor, has no such table.
  return { given, reduction: (layer) => reductions(routing.policy, layers)[layer] as number };
}

/**
 * Equal keys build equal graphs: router weights and the adapter's name are data, and what routing builds, a λ given by hand included,
 * is its fingerprint. That text is long and a run makes its key anew: it is not escaped into another one.
 */
function signatureKey({ routing: _, ...rest }: Signature, fingerprint: string): string {
  return `${JSON.stringify(rest)} ${fingerprint}`;
}
