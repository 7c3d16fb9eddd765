/** @file A plan: everything a graph needs on one device, made once; a warm run only writes inputs and submits. */

import { EngineError } from "../errors.ts";
import type { BufferSlice, Gpu, GpuTimer, Pipeline } from "../gpu/gpu.ts";
import { bufferUsage } from "../gpu/usage.ts";
import { byteLength, formatShape } from "../ops/op.ts";
import type { SizeOf, TensorType } from "../ops/op.ts";
import type { Arena } from "./arena.ts";
import { bindLaunches } from "./bindings.ts";
import type { Home } from "./homes.ts";
import { IndirectGrids } from "./indirect-grids.ts";
import { countOfRows, deviceCounts, followCounts } from "./indirect.ts";
import { planMemory } from "./memory.ts";
import type { MemoryPlan, Place } from "./memory.ts";
import type { Parameters } from "./parameters.ts";
import { schedule, sizeLookup } from "./schedule.ts";
import type { ScheduledLaunch, Sizes, Step, VariantChoice } from "./schedule.ts";
import { UniformBlock } from "./uniforms.ts";
import type { Graph, Value } from "./value.ts";

/** A result on the host. */
export interface HostTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint32Array;
}

/** What a run gives back. */
export interface RunResult {
  readonly outputs: Record<string, HostTensor>;
  /** Milliseconds of the whole run on the GPU's clock; null where it has none. */
  readonly gpuMilliseconds: number | null;
  /** Milliseconds of every launch, in order, when the run was profiled. */
  readonly launchMilliseconds: readonly number[] | null;
}

/** How a run is made, beside its inputs. */
export interface RunOptions {
  /** Measures every launch by itself. */
  readonly profile?: boolean;
  /** Outputs that stay on the GPU: they are copied to these places, unless they were written there, instead of being read back. */
  readonly into?: Readonly<Record<string, { readonly buffer: GPUBuffer; readonly offset: number }>>;
  /** Outputs that are read back; all but those of `into` when absent. The others are computed and stay where they are. */
  readonly read?: readonly string[];
}

/** What a plan is made from. */
export interface PlanOptions {
  readonly gpu: Gpu;
  readonly graph: Graph;
  readonly parameters: Parameters;
  readonly arena: Arena;
  /** Largest run-time length of every symbol. */
  readonly capacities: Sizes;
  readonly choose?: VariantChoice;
  /** Where outputs are to be written on the GPU, by name, if they can be: see {@link homesOf}. */
  readonly homes?: ReadonlyMap<string, Home>;
}

const INPUT_USAGE = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;

/** A graph bound to a device, at a capacity of rows. */
export class Plan {
  readonly graph: Graph;
  readonly capacities: Sizes;
  readonly steps: readonly Step[];
  readonly memory: MemoryPlan;
  readonly #options: PlanOptions;
  readonly #launches: readonly { step: number; scheduled: ScheduledLaunch; pipeline: Pipeline }[];
  readonly #inputs: ReadonlyMap<string, { buffer: GPUBuffer; type: TensorType }>;
  readonly #uniforms: UniformBlock;
  readonly #grids: IndirectGrids;
  /** Lengths that the device finds, by symbol. */
  readonly #counts: ReadonlyMap<string, Value>;
  readonly #timer: GpuTimer | null;
  #profiler: GpuTimer | null = null;
  #bindGroups: GPUBindGroup[] = [];
  #generation = -1;
  #disposed = false;

  private constructor(options: PlanOptions, steps: Step[], memory: MemoryPlan, pipelines: readonly Pipeline[]) {
    this.#options = options;
    this.graph = options.graph;
    this.capacities = options.capacities;
    this.steps = steps;
    this.memory = memory;
    let next = 0;
    this.#launches = steps.flatMap((step, index) =>
      step.launches.map((scheduled) => ({ step: index, scheduled, pipeline: pipelines[next++] as Pipeline })),
    );
    this.#inputs = createInputs(options);
    const scheduled = this.#launches.map((launch) => launch.scheduled);
    this.#uniforms = new UniformBlock(options.gpu, scheduled);
    this.#grids = new IndirectGrids(options.gpu, scheduled);
    this.#counts = deviceCounts(steps);
    // A copy ends a pass: a run has at most one pass more than copies.
    this.#timer = options.gpu.createTimer(1 + memory.copies.length);
  }

  /** Schedules, plans memory and compiles every pipeline. Throws LIMIT before anything is allocated. */
  static async create(options: PlanOptions): Promise<Plan> {
    const { gpu, graph, capacities } = options;
    const steps = followCounts(schedule(graph, gpu.traits, capacities, options.choose), capacities);
    const memory = planMemory(graph, steps, sizeLookup(capacities), options.homes);
    checkBindings(options, memory);
    const sources = steps.flatMap((step) => step.launches.map(({ source }) => source));
    const pipelines = await Promise.all(sources.map((source) => gpu.pipeline(source)));
    options.arena.reserve(memory.slots);
    return new Plan(options, steps, memory, pipelines);
  }

  /** @returns true when a run of these lengths fits. */
  fits(sizes: Sizes): boolean {
    return Object.entries(this.capacities).every(([symbol, capacity]) => (sizes[symbol] ?? Infinity) <= capacity);
  }

  /**
   * Runs the plan. `inputs` holds every run-time input by name, `sizes` the length of every symbol; of one that the device
   * finds, the most it can be.
   * @returns the outputs that are wanted, all but those of `into` unless some are named, read back once at the end; those that have a row for each of the
   * rows which the device has found are cut to so many.
   */
  async run(
    inputs: Readonly<Record<string, Float32Array | Uint32Array>>,
    sizes: Sizes,
    options: RunOptions = {},
  ): Promise<RunResult> {
    const { gpu } = this.#options;
    gpu.check();
    if (this.#disposed) throw new EngineError("DISPOSED", "this plan is disposed");
    if (!this.fits(sizes)) {
      throw new EngineError(
        "NO_CAPACITY",
        `${JSON.stringify(sizes)} does not fit the plan's ${JSON.stringify(this.capacities)}`,
      );
    }
    const size = sizeLookup(sizes);
    this.#writeInputs(inputs, size);
    this.#uniforms.write(sizes, size);
    this.#grids.write(sizes);
    this.bind();
    const timer = options.profile === true ? this.#profile() : this.#timer;
    const encoder = gpu.device.createCommandEncoder({ label: "run" });
    const timed = this.#encode(encoder, size, timer, options.profile === true);
    timer?.resolve(encoder, timed);
    this.#keep(encoder, size, options.into ?? {});
    const stamps = timer === null ? [] : [timer.slice(timed)];
    const { outputs, rest } = await this.#read(encoder, sizes, options, stamps);
    const stamped = rest[0];
    const gpuMilliseconds = timer === null || stamped === undefined ? null : timer.span(stamped) / 1e6;
    if (options.profile !== true || timer === null || stamped === undefined)
      return { outputs, gpuMilliseconds, launchMilliseconds: null };
    return {
      outputs,
      gpuMilliseconds,
      launchMilliseconds: Array.from(timer.decode(stamped), (nanoseconds) => nanoseconds / 1e6),
    };
  }

  /** Frees the buffers of this plan; the arena and the parameters belong to others. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const { buffer } of this.#inputs.values()) this.#options.gpu.destroyBuffer(buffer);
    this.#uniforms.dispose();
    this.#grids.dispose();
    this.#timer?.destroy();
    this.#profiler?.destroy();
  }

  #writeInputs(inputs: Readonly<Record<string, Float32Array | Uint32Array>>, size: SizeOf): void {
    for (const [name, { buffer, type }] of this.#inputs) {
      const data = inputs[name];
      // Halves are packed in pairs, so an input is counted in words.
      const expected = byteLength(type, size) / 4;
      if (data === undefined || data.length !== expected) {
        const found = data === undefined ? "nothing" : `${data.length} words`;
        throw new EngineError(
          "SHAPE",
          `input ${name} ${formatShape(type.shape)}: ${found} given, expected ${expected}`,
          { where: name },
        );
      }
      if (data.length > 0) this.#options.gpu.write(buffer, 0, data);
    }
  }

  /** Binds buffers anew where the arena has grown, so that the next run need not. */
  bind(): void {
    const { gpu, arena } = this.#options;
    if (this.#generation === arena.generation) return;
    this.#bindGroups = bindLaunches(gpu, this.#launches, this.steps, this.#uniforms, {
      slice: (value) => this.#slice(value, byteLength(value.type, sizeLookup(this.capacities))),
      scratch: (step, name) => ({ buffer: arena.buffer(this.memory.scratchSlot(step, name)), offset: 0 }),
      unused: (writable) => arena.unused(writable),
      grids: (symbol, name) => this.#grids.slice(symbol, name),
    });
    this.#generation = arena.generation;
  }

  #profile(): GpuTimer | null {
    this.#profiler ??= this.#options.gpu.createTimer(Math.max(this.#launches.length, 1));
    return this.#profiler;
  }

  /** @returns the number of timed passes. */
  #encode(encoder: GPUCommandEncoder, size: SizeOf, timer: GpuTimer | null, profile: boolean): number {
    const copies = this.memory.copies;
    let pass: GPUComputePassEncoder | null = null;
    let passes = 0;
    const open = (): GPUComputePassEncoder => {
      pass ??= encoder.beginComputePass(timer === null ? {} : { timestampWrites: timer.writes(passes++) });
      return pass;
    };
    const close = (): void => {
      pass?.end();
      pass = null;
    };
    let copied = 0;
    this.#launches.forEach(({ step, scheduled, pipeline }, index) => {
      while (copied < copies.length && (copies[copied] as (typeof copies)[number]).step <= step) {
        close();
        this.#copy(encoder, copied, size);
        copied += 1;
      }
      const [x, y, z] = scheduled.launch.grid(size);
      if (profile) close();
      if (x === 0 || y === 0 || z === 0) {
        if (profile && timer !== null) open();
        return;
      }
      const current = open();
      current.setPipeline(pipeline.pipeline);
      current.setBindGroup(0, this.#bindGroups[index] as GPUBindGroup);
      const indirect = this.#grids.gridOf(index);
      if (indirect === null) current.dispatchWorkgroups(x, y, z);
      else current.dispatchWorkgroupsIndirect(indirect.buffer, indirect.offset);
    });
    if (passes === 0 && timer !== null) open();
    close();
    return passes;
  }

  /** Submits and reads back the outputs that are wanted and, behind them, other slices. */
  async #read(
    encoder: GPUCommandEncoder,
    sizes: Sizes,
    { into = {}, read }: RunOptions,
    others: readonly BufferSlice[],
  ): Promise<{ outputs: Record<string, HostTensor>; rest: readonly ArrayBuffer[] }> {
    const size = sizeLookup(sizes);
    const wanted = [...this.graph.outputs].filter(([name]) => read?.includes(name) ?? into[name] === undefined);
    const results = wanted.filter(([, value]) => byteLength(value.type, size) > 0);
    const slices = results.map(([, value]) => this.#slice(value, byteLength(value.type, size)));
    const counts = [...this.#counts].filter(([, count]) =>
      results.some(([, value]) => countOfRows(value, this.#counts) === count),
    );
    const counters = counts.map(([, count]) => this.#slice(count, 4));
    const bytes = await this.#options.arena.readback.read([...slices, ...counters, ...others], encoder);
    const found = counts.map(([symbol], index) => [
      symbol,
      new Uint32Array(bytes[slices.length + index] as ArrayBuffer)[0],
    ]);
    const cut = sizeLookup({ ...sizes, ...Object.fromEntries(found) });
    const outputs = Object.fromEntries(wanted.map(([name, value]) => [name, emptyTensor(value.type, size)]));
    results.forEach(([name, value], index) => {
      const sizeOf = countOfRows(value, this.#counts) === undefined ? size : cut;
      outputs[name] = hostTensor(value.type, sizeOf, bytes[index] as ArrayBuffer);
    });
    return { outputs, rest: bytes.slice(slices.length + counters.length) };
  }

  #copy(encoder: GPUCommandEncoder, index: number, size: SizeOf): void {
    const copy = this.memory.copies[index];
    if (copy === undefined) return;
    const bytes = byteLength(copy.value.type, size);
    if (bytes === 0) return;
    const [from, to] = [this.#at(copy.from, bytes), this.#at(copy.to, bytes)];
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, bytes);
  }

  /** Copies outputs to places of the caller's. */
  #keep(encoder: GPUCommandEncoder, size: SizeOf, into: NonNullable<RunOptions["into"]>): void {
    for (const [name, { buffer, offset }] of Object.entries(into)) {
      const value = this.graph.outputs.get(name);
      if (value === undefined)
        throw new EngineError("UNKNOWN_NAME", `the graph has no output ${name}`, { where: name });
      const from = this.#slice(value, byteLength(value.type, size));
      if (from.buffer === buffer && from.offset === offset) continue;
      if (from.size > 0) encoder.copyBufferToBuffer(from.buffer, from.offset, buffer, offset, from.size);
    }
  }

  #slice(value: Value, bytes: number): Required<BufferSlice> {
    return this.#at(this.memory.placeOf(value), bytes);
  }

  /** The first `size` bytes of a place. */
  #at(place: Place, size: number): Required<BufferSlice> {
    if (place.kind === "slot") return { buffer: this.#options.arena.buffer(place.slot), offset: 0, size };
    if (place.kind === "parameter") {
      const { buffer, offset } = this.#options.parameters.slice(place.name);
      return { buffer, offset: offset + 4 * (place.at ?? 0), size };
    }
    return { buffer: (this.#inputs.get(place.name) as { buffer: GPUBuffer }).buffer, offset: 0, size };
  }
}

function createInputs({ gpu, graph, capacities }: PlanOptions): Map<string, { buffer: GPUBuffer; type: TensorType }> {
  const inputs = new Map<string, { buffer: GPUBuffer; type: TensorType }>();
  for (const node of graph.nodes) {
    if (node.kind !== "input") continue;
    const { type } = node.outputs.value as Value;
    const size = Math.ceil(byteLength(type, sizeLookup(capacities)) / 16) * 16;
    inputs.set(node.label, {
      buffer: gpu.createBuffer({ label: `input ${node.label}`, size, usage: INPUT_USAGE }),
      type,
    });
  }
  return inputs;
}

/** Refuses a plan whose values pass the device's limits, naming limit, value and remedy. */
function checkBindings({ gpu, graph, capacities }: PlanOptions, memory: MemoryPlan): void {
  const limit = gpu.info.limits.maxStorageBufferBindingSize ?? Infinity;
  const size = sizeLookup(capacities);
  for (const node of graph.nodes) {
    for (const value of Object.values(node.outputs)) {
      const bytes = byteLength(value.type, size);
      if (bytes <= limit) continue;
      const message = `${node.label} ${formatShape(value.type.shape)} needs a binding of ${bytes} bytes; maxStorageBufferBindingSize is ${limit}`;
      throw new EngineError("LIMIT", message, { where: node.scope, fix: "run fewer or shorter sequences at once" });
    }
  }
  const largest = Math.max(0, ...memory.slots);
  const whole = gpu.info.limits.maxBufferSize ?? Infinity;
  if (largest > whole) {
    const message = `a value of ${largest} bytes passes maxBufferSize ${whole}`;
    throw new EngineError("LIMIT", message, { fix: "run fewer or shorter sequences at once" });
  }
}

/** A value without elements. */
export function emptyTensor(type: TensorType, size: SizeOf): HostTensor {
  const data = type.element === "u32" ? new Uint32Array(0) : new Float32Array(0);
  return { shape: type.shape.map(size), data };
}

/** The value in `bytes`, which may hold rows past the value's last one. */
function hostTensor(type: TensorType, size: SizeOf, bytes: ArrayBuffer): HostTensor {
  const own = bytes.byteLength > byteLength(type, size) ? bytes.slice(0, byteLength(type, size)) : bytes;
  const data = type.element === "u32" ? new Uint32Array(own) : new Float32Array(own);
  return { shape: type.shape.map(size), data };
}
