/** @file One resident model: a frozen host with adapters and routing, and a queue of calls. */

import { leavesOf } from "../adapters/composition.ts";
import type { Composition, CompositionInput } from "../adapters/composition.ts";
import type { BankSize, BankStatus } from "../adapters/bank.ts";
import type { Fusion } from "../adapters/fusion-sites.ts";
import { EngineError } from "../errors.ts";
import type { Folder } from "../formats/folder.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Explanation } from "../graph/explain.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Host } from "../hosts/host.ts";
import type { Tokenizer } from "../inputs/tokenizer.ts";
import type { CodaPolicy } from "../routing/coda.ts";
import { abortable } from "./abortable.ts";
import { AddedHeads } from "./added-heads.ts";
import { AdapterStore } from "./adapter-store.ts";
import type { AdapterReport } from "./adapter-store.ts";
import { packBatch, sources } from "./batch.ts";
import type { Batch } from "./batch.ts";
import type { Active } from "./composed.ts";
import { contentsOf } from "./contents.ts";
import type { ModelContents } from "./contents.ts";
import { readFusionInput, readHeadInput, readSetup } from "./folders.ts";
import type { AdapterInput, FusionInput, HeadInput, OpenFolder } from "./folders.ts";
import { layerList } from "./layer-list.ts";
import { makeFusion } from "./make-fusion.ts";
import { HostNorms } from "./norms.ts";
import { checkActive, isCompat, requestFor } from "./request.ts";
import type { RequestState } from "./request.ts";
import { RouterStore } from "./router-store.ts";
import { Runner } from "./runner.ts";
import type { RunRequest } from "./runner.ts";
import type { ModelOrigin } from "./save-host.ts";
import { Tasks, readAdapterAlone, readTask } from "./tasks.ts";
import type { ReadTask, TaskInput, TaskReport } from "./tasks.ts";
import type { Compat, LoadReport, RunInput, RunOptions, RunOutput } from "./types.ts";
import { warmupInput } from "./warmup.ts";

/** What a model is made from; {@link loadModel} puts it together. */
export interface ModelParts {
  readonly gpu: Gpu;
  readonly host: Host;
  readonly parameters: Parameters;
  readonly tables: ReadonlyMap<string, Uint32Array>;
  readonly tokenizer: (() => Tokenizer) | null;
  readonly report: LoadReport;
  /** Absent where there was no folder. */
  readonly origin?: ModelOrigin;
  readonly openFolder: OpenFolder;
  readonly maxRows?: number;
  readonly slots?: BankSize;
  readonly compat?: Compat;
  readonly onEvict?: (name: string) => void;
}

/** What a model is made of, for the rooms that are built on it. */
export interface Inside {
  readonly parts: ModelParts;
  readonly store: AdapterStore;
  readonly heads: AddedHeads;
  readonly runner: Runner;
  readonly routers: RouterStore;
  /** The host's layer norms. */
  readonly norms: HostNorms;
  /** A call over a batch, or over none, as the model stands: what is active, routed and dropped. */
  readonly request: (input: RunInput | null, options?: RunOptions) => RunRequest;
}

/**
 * A resident model. Calls are queued in order; `run` sees the adapters and the routing that were set when it was called.
 * @example
 * const model = await loadModel(gpu, "path/to/checkpoint");
 * const { hidden } = await model.run({ texts: ["CCO"] });
 */
export class Model {
  readonly report: LoadReport;
  readonly #parts: ModelParts;
  readonly #store: AdapterStore;
  readonly #heads: AddedHeads;
  readonly #tasks: Tasks;
  readonly #runner: Runner;
  readonly #routers: RouterStore;
  readonly #norms: HostNorms;
  #active: Active | null = null;
  #dropped: ReadonlySet<number> = new Set();
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  constructor(parts: ModelParts) {
    this.#parts = parts;
    this.report = parts.report;
    this.#store = new AdapterStore(parts, parts.onEvict);
    this.#heads = new AddedHeads(parts.parameters, parts.host.shape.width);
    this.#norms = new HostNorms(parts.gpu, parts.parameters, parts.host);
    this.#tasks = new Tasks(this.#norms);
    this.#routers = new RouterStore(parts.host.shape, this.#store);
    this.#runner = new Runner(parts, this.#store, this.#heads, this.#norms);
  }

  /** The frozen host: its shape, weights and heads. */
  get host(): Host {
    return this.#parts.host;
  }

  /** Names of the adapters. */
  get adapters(): readonly string[] {
    return this.#store.names;
  }

  /** Names of the added heads. */
  get heads(): readonly string[] {
    return this.#heads.names;
  }

  /** Names of the fusions: those of their adapters, joined by commas. */
  get fusions(): readonly string[] {
    return this.#store.fusions.names;
  }

  /** Names of the deployed tasks: adapters with layer norms and heads of their own. */
  get tasks(): readonly string[] {
    return this.#tasks.names;
  }

  /** Definitions of what was added, for saving and inspecting. */
  get contents(): ModelContents {
    return contentsOf({ ...this.#state, active: this.#active });
  }

  /** The composition that runs, or null. */
  get active(): Composition | null {
    return this.#active?.composition ?? null;
  }

  /** What the bank of adapter slots holds. */
  get bank(): BankStatus {
    return this.#store.status;
  }

  /**
   * Adds an adapter: a preset, a folder of AdapterHub or PEFT, or a configuration with or without tensors. Without tensors
   * the weights are drawn from `init_weights_seed`. A head in the same folder comes along under the adapter's name.
   * @returns what was found, with a summary of one line
   * @throws EngineError BAD_CONFIG, BAD_WEIGHTS (all problems listed), NO_CAPACITY, UNSUPPORTED, BAD_FILE, NOT_FOUND
   */
  async addAdapter(name: string, input: AdapterInput): Promise<AdapterReport> {
    this.#alive();
    return this.#add(name, readAdapterAlone(name, input, this.host.shape, this.#parts.openFolder));
  }

  /**
   * Adds a task: an adapter with layer norms and a head of its own under one name, swapped together by `setActive(name)`. Given in
   * parts, or as one folder with all of them.
   * @throws EngineError as addAdapter and addHead do; BAD_WEIGHTS listing norms that the host does not have
   */
  async deploy(name: string, input: TaskInput): Promise<TaskReport> {
    this.#alive();
    return this.#add(name, readTask(name, input, this.host.shape, this.#parts.openFolder), true);
  }

  async #add(name: string, reading: Promise<ReadTask>, task = false): Promise<TaskReport> {
    return this.#after(reading, async ({ source, bytes, head, norms: tensors }) => {
      const along = head === null || (!task && this.#heads.has(name)) ? null : head;
      if (along !== null) this.#heads.check(name, along);
      const norms = await this.#tasks.define(name, tensors);
      const report = await this.#store.add(name, source, bytes);
      try {
        if (along !== null) this.#heads.add(name, along);
      } catch (error) {
        this.#store.release(this.#store.remove(name));
        throw error;
      }
      if (task) this.#tasks.add(name, norms);
      const type = along === null ? null : this.#heads.configOf(name).head_type;
      return { ...report, norms: norms?.tensors.size ?? 0, head: type };
    });
  }

  /**
   * Adds AdapterFusion weights for adapters: a preset, a folder, or a configuration. The name of a fusion is that of its
   * adapters, joined by commas.
   * @throws EngineError UNKNOWN_NAME for adapters that are not here; BAD_CONFIG, BAD_WEIGHTS
   */
  async addFusion(names: readonly string[], input: FusionInput): Promise<void> {
    this.#alive();
    const read = readFusionInput(input, this.host.shape, this.#parts.openFolder);
    await this.#after(read, (given) => makeFusion(this.#store, this.host.shape, names, given));
  }

  /**
   * Adds a prediction head: a folder, or a configuration with or without tensors.
   * @throws EngineError BAD_CONFIG, BAD_WEIGHTS, UNSUPPORTED
   */
  async addHead(name: string, input: HeadInput): Promise<void> {
    this.#alive();
    const read = readHeadInput(input, this.#parts.openFolder);
    await this.#after(read, (given) => this.#heads.add(name, given));
  }

  /** Removes an adapter and frees its slot, with a head that came along; an active composition that names it is deactivated. */
  removeAdapter(name: string): void {
    this.#alive();
    const resident = this.#store.remove(name);
    this.#tasks.forget(name);
    if (this.#active !== null && leavesOf(this.#active.composition).includes(name)) this.#active = null;
    this.#heads.leaveAlong(name);
    // The slot is free for others only when the runs that may still read it are over.
    void this.#enqueue(() => {
      this.#store.release(resident);
      this.#heads.removeAlong(name);
    });
  }

  /**
   * Removes a task: its adapter, its norms and its head.
   * @throws EngineError UNKNOWN_NAME
   */
  removeTask(name: string): void {
    this.#alive();
    this.#tasks.get(name);
    this.removeAdapter(name);
  }

  /** Changes what is done to a fusion, before the runs that are called from now on (see fusion-tools.ts). */
  async changeFusion(name: string, change: (fusion: Fusion) => Fusion): Promise<void> {
    this.#alive();
    const { fusions } = this.#store;
    await this.#enqueue(() => fusions.set(name, change(fusions.get(name))));
  }

  /** Removes an added head. */
  removeHead(name: string): void {
    this.#alive();
    this.#heads.leave(name);
    void this.#enqueue(() => this.#heads.remove(name));
  }

  /**
   * Puts an adapter or a composition on the following runs, or none.
   * @throws EngineError BAD_CONFIG for compositions that may not nest; UNKNOWN_NAME for adapters and fusions that are not here
   */
  setActive(input: CompositionInput, options: { readonly compat?: Compat | null } = {}): void {
    this.#alive();
    this.#active = input === null ? null : checkActive(this.#state, input, options.compat);
  }

  /**
   * Makes the composition of a folder's `adapter_setup.json` active; its adapters and fusions must be here.
   * @throws EngineError as setActive does; NOT_FOUND, BAD_FILE
   */
  async loadSetup(folder: string | URL | Folder, options: { readonly compat?: Compat | null } = {}): Promise<void> {
    this.#alive();
    this.setActive(await readSetup(folder, this.#parts.openFolder), options);
  }

  /**
   * Leaves adapters out of the lowest layers, or of those named, from the next run on (AdapterDrop, MATHS §2.6).
   * @example model.dropAdapters({ layers: 5 })
   */
  dropAdapters(options: { readonly layers: number | readonly number[] } | null): void {
    this.#alive();
    const layers = options === null ? [] : options.layers;
    this.#dropped = new Set(layerList(layers, this.host.shape.layers, "dropAdapters"));
  }

  /**
   * Routes the following runs, or makes them dense. Untrained routers are drawn from N(0, 1/width) with the seed; what they are trained
   * to later is what routers of the same kind and seed have from then on.
   */
  setRouting(policy: CodaPolicy | null): void {
    this.#alive();
    this.#routers.set(policy);
  }

  /**
   * Adds what an adapter does at linear maps to the frozen weights; its modules there no longer run.
   * @throws EngineError UNSUPPORTED for what is no change of a matrix, such as gates
   */
  async mergeAdapter(name: string, options: { readonly compat?: Compat | null } = {}): Promise<void> {
    this.#alive();
    const compat = isCompat(options.compat === undefined ? this.#parts.compat : options.compat);
    await this.#enqueue(() => this.#store.merge(name, compat));
  }

  /** Restores the frozen weights to the last bit. */
  async unmergeAdapter(name: string): Promise<void> {
    this.#alive();
    await this.#enqueue(() => this.#store.unmerge(name));
  }

  /**
   * Turns a reparametrised prefix into a flat one, which computes the same and is what is saved from then on (MATHS §2.8).
   * @throws EngineError UNSUPPORTED for adapters without one
   */
  async ejectPrefix(name: string): Promise<void> {
    this.#alive();
    await this.#enqueue(() => this.#store.eject(name));
  }

  /** Compiles what compositions need, ahead of the first run that is to be fast. */
  async warmup(
    compositions: readonly CompositionInput[],
    options: RunOptions & { readonly rows?: readonly number[] } = {},
  ): Promise<void> {
    this.#alive();
    const { rows, ...rest } = options;
    let generation: string;
    do {
      generation = this.#runner.generation;
      for (const input of compositions) {
        const active = input === null ? null : checkActive(this.#state, input, rest.compat);
        const lengths = rows ?? warmupInput.lengths(active?.composition ?? null, this.host.shape);
        const request = this.#request(warmupInput.batch(this.host.shape, lengths), rest, active);
        await this.#enqueue(() => this.#runner.run(request));
      }
      // A composition that made the bank grow has voided the plans of those before it.
    } while (generation !== this.#runner.generation);
    await this.#enqueue(() => this.#runner.settle());
  }

  /**
   * Runs a batch.
   * @throws EngineError BAD_INPUT, UNKNOWN_NAME, LIMIT, DISPOSED; the signal's reason when aborted
   */
  async run(input: RunInput, options: RunOptions = {}): Promise<RunOutput> {
    this.#alive();
    const { signal } = options;
    signal?.throwIfAborted();
    const batch = packBatch(this.host.shape, this.#parts.tokenizer, input);
    const request = this.#request(batch, options, this.#active);
    const work = this.#enqueue(() => {
      signal?.throwIfAborted();
      return this.#runner.run(request);
    });
    return signal === undefined ? work : abortable(work, signal);
  }

  /** Does work in this model's turn, with what it is made of; calls wait until it is done. Training stands on it. */
  async exclusive<T>(work: (inside: Inside) => T | Promise<T>): Promise<T> {
    this.#alive();
    const { host, tokenizer } = this.#parts;
    const none: Batch = { source: sources[host.shape.input.kind], rows: [], arrays: {}, tokens: null };
    const request = (input: RunInput | null, options: RunOptions = {}): RunRequest =>
      this.#request(input === null ? none : packBatch(host.shape, tokenizer, input), options, this.#active);
    const [parts, store, heads, runner] = [this.#parts, this.#store, this.#heads, this.#runner];
    const [routers, norms] = [this.#routers, this.#norms];
    return this.#enqueue(() => work({ parts, store, heads, runner, routers, norms, request }));
  }

  /** Counts what a run of these lengths would do: launches, FLOPs, bytes, arena (see {@link Explanation}). */
  async explain(rows: readonly number[], options: RunOptions = {}): Promise<Explanation> {
    this.#alive();
    const source = sources[this.host.shape.input.kind];
    const request = this.#request({ source, rows, arrays: {}, tokens: null }, options, this.#active);
    return this.#enqueue(() => this.#runner.explain(request));
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
    await this.#runner.dispose();
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

  /** Goes on with what is being read when it is this call's turn. */
  async #after<R, T>(reading: Promise<R>, call: (read: R) => T | Promise<T>): Promise<T> {
    // The turn may be long in coming: a failure until then is no unhandled one.
    reading.catch(() => undefined);
    return this.#enqueue(async () => call(await reading));
  }

  #request(batch: Batch, options: RunOptions, active: Active | null): RunRequest {
    return requestFor(this.#state, batch, options, active);
  }

  get #state(): RequestState {
    const { host, compat } = this.#parts;
    const [store, heads, tasks] = [this.#store, this.#heads, this.#tasks];
    return { host, store, heads, tasks, dropped: this.#dropped, routing: this.#routers.current, compat };
  }
}
