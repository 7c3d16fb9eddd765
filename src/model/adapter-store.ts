/** @file The adapters of one model by name: defined, packed, and put into the bank when a run wants them. */

import { AdapterBank } from "../adapters/bank.ts";
import type { BankSize, BankStatus, Resident } from "../adapters/bank.ts";
import { defineAdapter, needsFrozen, packDefinition } from "../adapters/define.ts";
import type { AdapterDefinition, AdapterSource } from "../adapters/define.ts";
import { composeLoras, hasLinear, onlyScales } from "../adapters/compat-lora.ts";
import { ejectPrefix } from "../adapters/eject.ts";
import { Fusions } from "../adapters/fusions.ts";
import type { Fusion } from "../adapters/fusion-sites.ts";
import { isBottleneck } from "../adapters/packed.ts";
import type { Unpacked } from "../adapters/unpack.ts";
import type { AdapterPart, FusionUse, NamedAdapter, ProgramNames } from "../adapters/program.ts";
import { EMPTY_LAYER, NO_EMBEDDING, dropLayers, standsIn } from "../adapters/structure.ts";
import type { AdapterStructure } from "../adapters/structure.ts";
import { EngineError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Parameters } from "../graph/parameters.ts";
import type { Host } from "../hosts/host.ts";
import { FrozenWeights } from "./frozen-weights.ts";

/** An adapter that is here. */
export interface AdapterEntry {
  readonly definition: AdapterDefinition;
  readonly resident: Resident;
  /** Its linear maps are part of the frozen weights now. */
  readonly merged: boolean;
}

/** What adding an adapter found. */
export interface AdapterReport {
  readonly name: string;
  readonly matched: number;
  readonly missing: number;
  readonly unexpected: number;
  /** Bytes of the weights file; 0 without one. */
  readonly bytes: number;
  /** Bytes that its values take on the GPU. */
  readonly gpuBytes: number;
  /** Places at which it stands, over all layers. */
  readonly sites: number;
  /** All of it in one line. */
  readonly summary: string;
}

/** The resident adapters and fusions. */
export class AdapterStore {
  readonly bank: AdapterBank;
  readonly fusions: Fusions;
  readonly frozen: FrozenWeights;
  readonly #host: Host;
  readonly #entries = new Map<string, AdapterEntry>();
  #composed: readonly { readonly of: readonly Resident[]; readonly resident: Resident }[] = [];
  /** Numbers of structures, by their text. */
  readonly #structures = new Map<string, number>();

  constructor(
    parts: {
      readonly gpu: Gpu;
      readonly parameters: Parameters;
      readonly host: Host;
      readonly slots?: BankSize | undefined;
    },
    onEvict?: (name: string) => void,
  ) {
    this.#host = parts.host;
    this.bank = new AdapterBank(parts.parameters, parts.slots ?? {}, onEvict);
    this.fusions = new Fusions(parts.gpu, parts.parameters, parts.host.shape.width);
    this.frozen = new FrozenWeights(parts.gpu, parts.parameters, parts.host);
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  get status(): BankStatus {
    return this.bank.status;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** @throws EngineError UNKNOWN_NAME listing the adapters that are here */
  get(name: string): AdapterEntry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    const known = this.names.join(", ") || "none";
    throw new EngineError("UNKNOWN_NAME", `there is no adapter ${name}; resident: ${known}`, {
      where: name,
      fix: "add it with addAdapter",
    });
  }

  /** Checks, packs and adds an adapter. Whatever fails, nothing has changed. */
  async add(name: string, source: AdapterSource, bytes = 0): Promise<AdapterReport> {
    checkName(name, this.has(name));
    const { shape } = this.#host;
    const frozen = needsFrozen(source) ? await this.frozen.load() : undefined;
    const definition = defineAdapter(source, shape, frozen);
    const resident = { name, packed: packDefinition(definition, shape, frozen) };
    this.bank.admit(resident);
    this.#entries.set(name, { definition, resident, merged: false });
    return reportOf(resident, definition, bytes);
  }

  /** Forgets an adapter. Its slot is freed by {@link release}, once the runs that may read it are over. */
  remove(name: string): Resident {
    const { resident, merged } = this.get(name);
    if (merged) {
      const message = `adapter ${name} is merged into the frozen weights`;
      throw new EngineError("UNSUPPORTED", message, { where: name, fix: "unmerge it first" });
    }
    this.#entries.delete(name);
    return resident;
  }

  /** Frees the slot of an adapter that was removed, and those of the compositions that it was part of. */
  release(resident: Resident): void {
    this.bank.release(resident);
    this.#forgetComposed(resident);
  }

  #forgetComposed(part: Resident): void {
    for (const { of, resident } of this.#composed) if (of.includes(part)) this.bank.release(resident);
    this.#composed = this.#composed.filter(({ of }) => !of.includes(part));
  }

  /** Takes what an adapter was trained to, which its slot holds already. */
  learned(name: string, { tensors, packed }: Unpacked): void {
    const entry = this.get(name);
    const resident = { name, packed };
    this.bank.replace(entry.resident, resident);
    this.#forgetComposed(entry.resident);
    this.#entries.set(name, { ...entry, definition: { ...entry.definition, tensors }, resident });
  }

  /** Adds linear changes of an adapter to the frozen weights. */
  async merge(name: string, compat: boolean): Promise<void> {
    const entry = this.get(name);
    await this.frozen.merge(name, entry.resident.packed, compat);
    this.#entries.set(name, { ...entry, merged: true });
  }

  /** Restores the frozen weights to the last bit. */
  async unmerge(name: string): Promise<void> {
    const entry = this.get(name);
    this.frozen.unmerge(name);
    this.#entries.set(name, { ...entry, merged: false });
  }

  /** Stores the prefix of an adapter flat; what runs is flat already. */
  eject(name: string): void {
    const entry = this.get(name);
    this.#entries.set(name, { ...entry, definition: ejectPrefix(entry.definition) });
  }

  /** Where a composition looks its names up, with layers dropped. */
  namesFor(dropped: ReadonlySet<number>): ProgramNames {
    return {
      adapter: (name, without = []) => {
        const { resident, merged } = this.get(name);
        const whole = dropLayers(resident.packed.structure, dropped);
        return this.#named(resident, partOf(whole, merged ? [...without, "linear"] : without));
      },
      composedLora: (names) => {
        const parts = names
          .map((name) => this.get(name))
          .filter(({ resident, merged }) => !merged && hasLinear(resident.packed));
        if (parts.length < 2 || parts.every(({ resident }) => onlyScales(resident.packed))) return null;
        const resident = this.#composedLora(parts.map((part) => part.resident));
        return this.#named(resident, dropLayers(resident.packed.structure, dropped));
      },
      fusion: (name): FusionUse => {
        const fusion: Fusion = this.fusions.get(name);
        return { name, structure: `${name}#${fusion.names.length}` };
      },
    };
  }

  #named(resident: Resident, structure: AdapterStructure): NamedAdapter {
    return { resident, structure, id: this.#intern(structure) };
  }

  /** The composition of LoRAs as functions, made once per list of adapters. */
  #composedLora(parts: readonly Resident[]): Resident {
    const known = this.#composed.find(
      ({ of }) => of.length === parts.length && of.every((one, index) => one === parts[index]),
    );
    if (known !== undefined) return known.resident;
    const packed = composeLoras(
      parts.map((part) => part.packed),
      this.#host.shape.family === "gpt2",
    );
    const resident = { name: parts.map(({ name }) => name).join("∘"), packed };
    this.#composed = [...this.#composed, { of: parts, resident }];
    return resident;
  }

  #intern(structure: AdapterStructure): number {
    const text = JSON.stringify(structure);
    const known = this.#structures.get(text);
    if (known !== undefined) return known;
    this.#structures.set(text, this.#structures.size);
    return this.#structures.size - 1;
  }
}

/** @throws EngineError BAD_CONFIG for a name that is empty or taken */
function checkName(name: string, taken: boolean): void {
  if (typeof name !== "string" || name === "")
    throw new EngineError("BAD_CONFIG", "an adapter needs a name", { where: "addAdapter" });
  if (!taken) return;
  throw new EngineError("UNKNOWN_NAME", `there is an adapter ${name} already`, {
    where: name,
    fix: "remove it first or choose another name",
  });
}

function partOf(structure: AdapterStructure, without: readonly AdapterPart[]): AdapterStructure {
  if (without.length === 0) return structure;
  const layers = structure.layers.map((layer) => {
    if (without.includes("layers")) return EMPTY_LAYER;
    return without.includes("linear") ? { ...layer, linear: {} } : layer;
  });
  const embedding = without.includes("embedding") ? NO_EMBEDDING : structure.embedding;
  return { layers, embedding };
}

function reportOf(resident: Resident, definition: AdapterDefinition, bytes: number): AdapterReport {
  const { name, packed } = resident;
  const words = packed.entries.reduce((sum, entry) => {
    if (!isBottleneck(entry)) return sum + entry.data.length;
    return sum + entry.down.length + entry.up.length + entry.downBias.length + entry.upBias.length;
  }, 0);
  const places = packed.structure.layers.reduce((sum, layer) => {
    const { bottlenecks, linear, prefix } = layer;
    return standsIn(layer)
      ? sum + Object.keys(bottlenecks).length + Object.keys(linear).length + (prefix === null ? 0 : 1)
      : sum;
  }, 0);
  const { prompt, invertible } = packed.structure.embedding;
  const sites = places + (prompt === null ? 0 : 1) + (invertible ? 1 : 0);
  const matched = definition.tensors.size;
  const gpuBytes = 4 * words;
  const summary = `adapter ${name}: ${matched} tensors matched, 0 missing, 0 unexpected, ${bytes} bytes on disk, ${gpuBytes} bytes on the GPU, ${sites} sites`;
  return { name, matched, missing: 0, unexpected: 0, bytes, gpuBytes, sites, summary };
}
