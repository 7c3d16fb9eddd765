/**
 * @file The layer norms of the host: resident parameters whose contents a task may bring its own values for. A swap writes a few
 * vectors into buffers that plans have bound already.
 */

import type { AdapterTensor, AdapterTensors } from "../adapters/tensors.ts";
import { EngineError } from "../errors.ts";
import { families, familyOf } from "../formats/adapter-hub/families.ts";
import { sameBits } from "../formats/adapter-hub/weights-file.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Host } from "../hosts/host.ts";

/** The norms of a task that differ from the host's. Identity counts: tasks with equal norms share one. */
export interface TaskNorms {
  /** By the checkpoint's own names. */
  readonly tensors: AdapterTensors;
  /** By resident parameter. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

/** A norm vector of the host. */
interface NormVector {
  readonly tensor: string;
  readonly parameter: string;
  readonly shape: readonly number[];
}

/** Reads and rewrites the norms of one host. */
export class HostNorms {
  readonly #gpu: Gpu;
  readonly #parameters: Parameters;
  readonly #family: string;
  /** By the checkpoint's name without the prefix of the base model. */
  readonly #vectors: ReadonlyMap<string, NormVector>;
  readonly #prefix: string;
  /** What the checkpoint holds, by parameter; read back when the first task brings norms. */
  #base: ReadonlyMap<string, Float32Array> | null = null;
  /** The host's own are being trained. */
  #held = false;
  /** What is on the GPU now; undefined while it is being written. */
  #resident: TaskNorms | null | undefined = null;
  /** Parameters whose contents may differ from the checkpoint's. */
  #changed: ReadonlySet<string> = new Set();

  constructor(gpu: Gpu, parameters: Parameters, host: Host) {
    this.#gpu = gpu;
    this.#parameters = parameters;
    this.#family = host.shape.family;
    const known = familyOf(host.shape.family);
    this.#prefix = known === undefined ? "" : families[known].prefix;
    const norms = host.weights.filter(({ norm }) => norm === true);
    this.#vectors = new Map(
      norms.flatMap(({ name, parts }) =>
        parts.map(({ tensor, shape }) => [this.#bare(tensor), { tensor, parameter: name, shape }]),
      ),
    );
  }

  /** Whether a task has norms of its own: the host's were read then, to be restored. */
  get shared(): boolean {
    return this.#base !== null;
  }

  /** Keeps the host's norms on the GPU until they are let go: they are being trained, and no task may bring others. */
  hold(held: boolean): void {
    this.#held = held;
  }

  /**
   * Checks norms against the host.
   * @param tensors by the checkpoint's names, with or without the prefix of the base model
   * @returns those that differ from the host's own; null where none does
   * @throws EngineError BAD_WEIGHTS listing every tensor that is no norm of the host, is there twice, has another shape or is not finite;
   * UNSUPPORTED while the host's are trained
   */
  async define(where: string, tensors: AdapterTensors): Promise<TaskNorms | null> {
    const found = this.#check(where, tensors);
    if (this.#held)
      throw new EngineError("UNSUPPORTED", `${where} brings layer norms while those of the host are trained`, {
        where,
        fix: "end the training first",
      });
    const base = (this.#base ??= await this.#read());
    const differing = found.filter(
      ([{ parameter, shape }, { data }]) =>
        !sameBits({ shape, data }, { shape, data: base.get(parameter) as Float32Array }),
    );
    if (differing.length === 0) return null;
    const own = differing.map(([vector, { data }]) => ({ ...vector, data: data.slice() }));
    return {
      tensors: new Map(own.map(({ tensor, shape, data }) => [tensor, { shape, data }])),
      values: new Map(own.map(({ parameter, data }) => [parameter, data])),
    };
  }

  /** Puts the norms of a run on the GPU, unless they are there; null for the host's own. */
  write(norms: TaskNorms | null): void {
    if (norms === this.#resident) return;
    const names = new Set([...this.#changed, ...(norms?.values.keys() ?? [])]);
    // Should a write fail half-way, the next run writes all of them again.
    this.#changed = names;
    this.#resident = undefined;
    for (const name of names) {
      const data = norms?.values.get(name) ?? this.#base?.get(name);
      this.#parameters.write(name, data as Float32Array);
    }
    this.#changed = new Set(norms?.values.keys() ?? []);
    this.#resident = norms;
  }

  #check(where: string, tensors: AdapterTensors): [NormVector, AdapterTensor][] {
    const problems: string[] = [];
    const found = new Map<NormVector, AdapterTensor>();
    for (const [name, tensor] of tensors) {
      const vector = this.#vectors.get(this.#bare(name));
      if (vector === undefined)
        problems.push(`unexpected: ${name} [${tensor.shape.join(", ")}] is no layer norm of the host`);
      else if (found.has(vector)) problems.push(`twice: ${name} stands there with and without its prefix`);
      else if (tensor.shape.join() !== vector.shape.join() || tensor.data.length !== vector.shape[0])
        problems.push(`wrong shape: ${name} is [${tensor.shape.join(", ")}], expected [${vector.shape.join(", ")}]`);
      else if (!tensor.data.every(Number.isFinite)) problems.push(`not finite: ${name}`);
      else found.set(vector, tensor);
    }
    if (problems.length === 0) return [...found];
    const count = `${problems.length} problem${problems.length > 1 ? "s" : ""}`;
    const message = `the layer norms of ${where} do not fit the ${this.#family} host: ${count}\n  ${problems.join("\n  ")}`;
    const [example] = this.#vectors.values();
    const fix =
      example === undefined
        ? "leave them out"
        : `use the checkpoint's names, such as ${example.tensor} [${example.shape.join(", ")}]`;
    throw new EngineError("BAD_WEIGHTS", message, { where, fix });
  }

  async #read(): Promise<Map<string, Float32Array>> {
    const vectors = [...this.#vectors.values()];
    const readback = this.#gpu.createReadback();
    try {
      const slices = vectors.map(({ parameter, shape }) => {
        const length = shape.reduce((product, dim) => product * dim, 1);
        return { ...this.#parameters.slice(parameter), size: 4 * length };
      });
      const bytes = await readback.read(slices);
      return new Map(vectors.map(({ parameter }, index) => [parameter, new Float32Array(bytes[index] as ArrayBuffer)]));
    } finally {
      await readback.dispose();
    }
  }

  #bare(tensor: string): string {
    return tensor.startsWith(this.#prefix) ? tensor.slice(this.#prefix.length) : tensor;
  }
}
