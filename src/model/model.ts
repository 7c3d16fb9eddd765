/** @file One resident model: a frozen host with adapters and routing, and a queue of calls. */

import { AdapterBank } from "../adapters/bank.ts";
import type { BankSize } from "../adapters/bank.ts";
import { bottleneckWidth, readBottleneck } from "../adapters/bottleneck.ts";
import { adapterWeights } from "../adapters/weights.ts";
import type { AdapterTensors } from "../adapters/weights.ts";
import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { explain } from "../graph/explain.ts";
import type { Explanation } from "../graph/explain.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Plan } from "../graph/plan.ts";
import type { Host, HostFeed } from "../hosts/host.ts";
import type { Tokenizer } from "../inputs/tokenizer.ts";
import { noSlot } from "../ops/adapter.ts";
import { gaussian, generator } from "../random.ts";
import { reductions } from "../routing/coda.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { routerName } from "../routing/route.ts";
import { packBatch } from "./batch.ts";
import type { Batch } from "./batch.ts";
import { SLOT_INPUTS, buildOptimized } from "./build.ts";
import type { Signature } from "./build.ts";
import { capacitiesFor, lengthsFor } from "./lengths.ts";
import type { Lengths } from "./lengths.ts";
import { PlanCache } from "./plans.ts";
import { assemble, emptyResult } from "./results.ts";
import type { LoadReport, RunInput, RunOptions, RunOutput } from "./types.ts";

/** What a model is made from; {@link loadModel} puts it together. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly host: Host;
  readonly parameters: Parameters;
  readonly tables: ReadonlyMap<string, Uint32Array>;
  readonly tokenizer: (() => Tokenizer) | null;
  readonly report: LoadReport;
  readonly maxRows?: number;
  readonly slots?: Partial<BankSize>;
}

/** A fresh adapter's description: a preset name, or fields with optional tensors. */
export type AdapterSource =
  | string
  | { readonly config: string | Readonly<Record<string, unknown>>; readonly tensors?: AdapterTensors };

/** A policy with the router vector of every routed layer. */
interface Routing {
  readonly policy: CodaPolicy;
  readonly vectors: ReadonlyMap<number, Float32Array>;
}

const DEFAULT_SLOTS: BankSize = { count: 8, width: 64 };
const DEFAULT_OUTPUTS: readonly string[] = ["hidden", "heads", "routing"];

/**
 * A resident model. Calls are queued in order; `run` sees the adapters and the routing that were set when it was called.
 * @example
 * const model = await loadModel(gpu, "path/to/checkpoint");
 * const { hidden } = await model.run({ texts: ["CCO"] });
 */
export class Model {
  readonly report: LoadReport;
  readonly #parts: ModelParts;
  readonly #plans: PlanCache;
  readonly #slots = new Map<string, number>();
  #bank: AdapterBank | null = null;
  #active: string | null = null;
  #routing: Routing | null = null;
  /** The router vectors that are on the GPU now. */
  #residentRouters: Routing["vectors"] | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.report = parts.report;
    this.#plans = new PlanCache(parts.gpu, parts.parameters);
  }

  /** The frozen host: its shape, weights and heads. */
  get host(): Host {
    return this.#parts.host;
  }

  /** Names of the resident adapters. */
  get adapters(): readonly string[] {
    return [...this.#slots.keys()];
  }

  /**
   * Adds an adapter: a preset, or a configuration with or without tensors. Without tensors the weights are drawn from
   * `init_weights_seed`.
   * @throws EngineError BAD_CONFIG, BAD_WEIGHTS (all problems listed), NO_CAPACITY, NOT_IMPLEMENTED
   */
  async addAdapter(name: string, source: AdapterSource): Promise<void> {
    this.#alive();
    const { config, tensors } = typeof source === "string" ? { config: source, tensors: undefined } : source;
    const settings = readBottleneck(config);
    const { shape } = this.host;
    const weights = adapterWeights(settings, shape, tensors);
    const bottleneck = bottleneckWidth(settings, shape.width);
    await this.#enqueue(() => {
      if (this.#slots.has(name)) {
        throw new EngineError("UNKNOWN_NAME", `there is an adapter ${name} already`, {
          where: name,
          fix: "remove it first or choose another name",
        });
      }
      const bank = this.#bankFor(bottleneck);
      const slot = bank.claim(name, bottleneck);
      bank.write(slot, settings, weights);
      this.#slots.set(name, slot);
    });
  }

  /** Removes an adapter and frees its slot; an active one is deactivated. */
  removeAdapter(name: string): void {
    this.#alive();
    const slot = this.#known(name);
    this.#slots.delete(name);
    if (this.#active === name) this.#active = null;
    // The slot is free for others only when the runs that may still read it are over.
    void this.#enqueue(() => this.#bank?.release(slot));
  }

  /** Puts one adapter on every sequence of the following runs, or none. */
  setActive(name: string | null): void {
    this.#alive();
    if (typeof name === "object" && name !== null) throw notYet("compositions", "setActive");
    if (name !== null) this.#known(name);
    this.#active = name;
  }

  /** Routes the following runs, or makes them dense. Untrained routers are drawn from N(0, 1/width) with the seed. */
  setRouting(policy: CodaPolicy | null): void {
    this.#alive();
    if (policy !== null) {
      if (policy.kind !== "coda")
        throw new EngineError("BAD_CONFIG", "setRouting takes the result of coda(...) or null", {
          where: "setRouting",
        });
      if (policy.adapter !== null) this.#known(policy.adapter);
    }
    this.#routing = policy === null ? null : { policy, vectors: this.#routerVectors(policy) };
  }

  /** AdapterFusion arrives with the adapters. */
  async addFusion(): Promise<never> {
    throw notYet("AdapterFusion", "addFusion");
  }

  /** Added heads arrive with the adapters. */
  async addHead(): Promise<never> {
    throw notYet("added heads", "addHead");
  }

  /** Compositions arrive with the adapters. */
  async warmup(): Promise<never> {
    throw notYet("compositions", "warmup");
  }

  /**
   * Runs a batch.
   * @throws EngineError BAD_INPUT, UNKNOWN_NAME, LIMIT, DISPOSED; the signal's reason when aborted
   */
  async run(input: RunInput, options: RunOptions = {}): Promise<RunOutput> {
    this.#alive();
    const { signal } = options;
    signal?.throwIfAborted();
    if (options.adapters !== undefined) throw notYet("an adapter per sequence", "run");
    const { shape } = this.host;
    const batch = packBatch(shape, this.#parts.tokenizer, input);
    const signature = this.#signature(batch, options);
    const slots = { dense: this.#slotOf(this.#active), light: this.#slotOf(this.#lightAdapter()) };
    const routing = this.#routing;
    const work = this.#enqueue(() => {
      signal?.throwIfAborted();
      return this.#execute(batch, signature, slots, { routing, profile: options.profile === true });
    });
    return signal === undefined ? work : abortable(work, signal);
  }

  /** Counts what a run of these lengths would do: launches, FLOPs, bytes, arena (see {@link Explanation}). */
  async explain(rows: readonly number[], options: RunOptions = {}): Promise<Explanation> {
    this.#alive();
    const source = this.host.shape.input.kind === "ids" ? "ids" : "audio";
    const batch: Batch = { source, rows, arrays: {}, tokens: null };
    const signature = this.#signature(batch, options);
    const routing = this.#routing;
    return this.#enqueue(async () => {
      this.#writeRouters(routing);
      const { plan, lengths } = await this.#plan(batch, signature);
      return explain(plan.steps, plan.memory, lengths.sizes);
    });
  }

  /** Tokens of texts as the model reads them; null where it has no tokenizer. */
  tokenize(text: string | [string, string]): readonly string[] | null {
    return this.#parts.tokenizer === null ? null : this.#parts.tokenizer().encode(text).tokens;
  }

  /** Waits for earlier calls, then frees every buffer. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#queue.catch(() => undefined);
    await this.#plans.dispose();
    this.#parts.parameters.dispose();
  }

  #alive(): void {
    if (this.#disposed) throw new EngineError("DISPOSED", "this model is disposed", { fix: "load it again" });
  }

  #enqueue<T>(call: () => T | Promise<T>): Promise<T> {
    const mine = this.#queue.then(call);
    this.#queue = mine.catch(() => undefined);
    return mine;
  }

  #known(name: string): number {
    const slot = this.#slots.get(name);
    if (slot !== undefined) return slot;
    const known = this.adapters.join(", ") || "none";
    throw new EngineError("UNKNOWN_NAME", `there is no adapter ${name}; resident: ${known}`, {
      where: name,
      fix: "add it with addAdapter",
    });
  }

  #slotOf(name: string | null): number {
    return name === null ? noSlot : this.#known(name);
  }

  #lightAdapter(): string | null {
    return this.#routing?.policy.adapter ?? this.#active;
  }

  #bankFor(bottleneck: number): AdapterBank {
    const wanted = { ...DEFAULT_SLOTS, width: Math.max(DEFAULT_SLOTS.width, bottleneck), ...this.#parts.slots };
    this.#bank ??= new AdapterBank(this.#parts.parameters, this.host.shape, wanted);
    return this.#bank;
  }

  #routerVectors(policy: CodaPolicy): Routing["vectors"] {
    const { width, layers } = this.host.shape;
    const routed = reductions(policy, layers).flatMap((reduction, layer) => (reduction === null ? [] : [layer]));
    const given = policy.weights;
    if (given !== null && (given.length !== routed.length || given.some((vector) => vector.length !== width))) {
      const message = `coda: weights holds ${given.length} vectors of ${given.map(({ length }) => length).join(", ")}, expected ${routed.length} of ${width}`;
      throw new EngineError("BAD_CONFIG", message, {
        where: "coda.weights",
        fix: "give one vector of the host's width per routed layer",
      });
    }
    if (given?.some((vector) => !vector.every(Number.isFinite)) === true) {
      throw new EngineError("BAD_CONFIG", "coda: weights holds a value that is not finite", { where: "coda.weights" });
    }
    const random = generator(policy.seed);
    const deviation = 1 / Math.sqrt(width);
    const draw = (): Float32Array => Float32Array.from({ length: width }, () => deviation * gaussian(random));
    return new Map(routed.map((layer, index) => [layer, given?.[index] ?? draw()]));
  }

  /** Puts the routers of a run on the GPU, unless they are there: runs that were called earlier had others. */
  #writeRouters(routing: Routing | null): void {
    if (routing === null || routing.vectors === this.#residentRouters) return;
    const { parameters } = this.#parts;
    // Should a write fail half-way, the next run writes all of them again.
    this.#residentRouters = null;
    for (const [layer, vector] of routing.vectors) {
      const name = routerName(layer);
      if (parameters.has(name)) parameters.write(name, vector);
      else parameters.set(name, { shape: [vector.length], element: "f32" }, vector);
    }
    this.#residentRouters = routing.vectors;
  }

  #signature(batch: Batch, { capture = [], outputs = DEFAULT_OUTPUTS }: RunOptions): Signature {
    const { head } = this.host;
    const known = ["hidden", "heads", "routing", ...(head === null ? [] : ["heads.default"])];
    for (const name of outputs) {
      if (known.includes(name)) continue;
      throw new EngineError("UNKNOWN_NAME", `there is no output ${name}; known: ${known.join(", ")}`, {
        where: "outputs",
      });
    }
    const runHead =
      head !== null && (outputs.includes("heads.default") || (outputs.includes("heads") && head.rows === "sequence"));
    const wanted = outputs.filter((name) => name === "hidden" || name === "routing");
    return {
      source: batch.source,
      adapters: { dense: this.#active !== null, light: this.#lightAdapter() !== null },
      routing: this.#routing?.policy ?? null,
      outputs: [...wanted, ...(runHead ? ["heads.default"] : [])].sort(),
      captures: [...new Set(capture)].sort(),
    };
  }

  #feed(batch: Batch): HostFeed {
    return this.host.feed?.(batch, this.#parts.tables) ?? { inputs: {}, sizes: {} };
  }

  async #plan(batch: Batch, signature: Signature): Promise<{ plan: Plan; lengths: Lengths }> {
    const { host, maxRows } = this.#parts;
    const key = signatureKey(signature);
    const graph = this.#plans.graphOf(key) ?? buildOptimized(host, this.#bank, signature);
    const lengths = lengthsFor(graph, host.shape, batch.rows, this.#feed(batch));
    const plan = await this.#plans.get(key, lengths.sizes, () => ({
      graph,
      capacities: capacitiesFor(lengths.sizes, maxRows),
    }));
    return { plan, lengths };
  }

  async #execute(
    batch: Batch,
    signature: Signature,
    slots: { readonly dense: number; readonly light: number },
    options: { readonly routing: Routing | null; readonly profile: boolean },
  ): Promise<RunOutput> {
    const start = performance.now();
    this.#writeRouters(options.routing);
    const { plan, lengths } = await this.#plan(batch, signature);
    const sequences = batch.rows.length;
    const inputs = {
      ...batch.arrays,
      ...lengths.inputs,
      [SLOT_INPUTS.dense]: new Uint32Array(sequences).fill(slots.dense),
      [SLOT_INPUTS.light]: new Uint32Array(sequences).fill(slots.light),
    };
    const result =
      sequences === 0
        ? emptyResult(plan, lengths)
        : await plan.run(inputs, lengths.sizes, { profile: options.profile });
    const wall = performance.now() - start;
    const trained = options.routing?.policy.weights !== null;
    return assemble(plan, result, { shape: this.host.shape, signature, lengths, trained, wall });
  }
}

/** Equal keys build equal graphs: router weights and the adapter's name are data, not part of the graph. */
function signatureKey({ routing, ...rest }: Signature): string {
  if (routing === null) return JSON.stringify(rest);
  const { weights: _, adapter: __, seed: ___, ...shape } = routing;
  return JSON.stringify({ ...rest, routing: shape });
}

function notYet(what: string, where: string): EngineError {
  return new EngineError("NOT_IMPLEMENTED", `${what} are not there yet`, { where });
}

/** Rejects with the signal's reason as soon as it is aborted; the work itself ends in its own time. */
async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener("abort", stop);
  }
}
