/** @file From a checked configuration and its tensors to a structure and slot data: what an adapter is, once it is here. */

import { EngineError } from "../errors.ts";
import type { ActivationName } from "../ops/activation.ts";
import { methodsOf } from "./config/methods.ts";
import type { AdapterConfig, AdapterHost, BottleneckConfig, MethodConfig } from "./config/types.ts";
import type { FrozenMap, PartSettings } from "./linear-parts.ts";
import { librarySettings, linearParts } from "./linear-parts.ts";
import { bottleneckScope, bottleneckStructure, packBottleneck, placesOf } from "./pack-bottleneck.ts";
import { GROUPS, groupOf, linearStructure, packLinear } from "./pack-linear.ts";
import type { GroupShape, LinearPart } from "./pack-linear.ts";
import { packInvertible, packPrefix, packPrompt, prefixTable } from "./pack-rows.ts";
import type { BankEntry, PackedAdapter } from "./packed.ts";
import type { AdapterStructure, EmbeddingStructure, LayerStructure, MapGroup } from "./structure.ts";
import type { AdapterTensors } from "./tensors.ts";

/** What is collected while the methods of an adapter are packed. */
interface Draft {
  readonly host: AdapterHost;
  readonly tensors: AdapterTensors;
  readonly layers: {
    bottlenecks: LayerStructure["bottlenecks"];
    linear: LayerStructure["linear"];
    prefix: LayerStructure["prefix"];
  }[];
  embedding: EmbeddingStructure;
  readonly entries: BankEntry[];
  readonly written: Set<string>;
  readonly dropout: Map<string, number>;
  prefixRows: number;
  promptRows: number;
}

function twice(what: string): EngineError {
  return new EngineError("BAD_CONFIG", `adapter config: two methods stand ${what}`, {
    where: "configs",
    fix: "join only methods that stand at different sites",
  });
}

function add(draft: Draft, entries: readonly BankEntry[]): void {
  for (const entry of entries) {
    if (draft.written.has(entry.table.name)) continue;
    draft.written.add(entry.table.name);
    draft.entries.push(entry);
  }
}

/** Notes the rate of a table's dropout. */
function dropAt({ dropout }: Draft, table: string, rate: number): void {
  if (rate > 0) dropout.set(table, rate);
}

function bottlenecks(draft: Draft, config: BottleneckConfig): void {
  const { host, tensors, layers } = draft;
  layers.forEach((layer, index) => {
    if (config.leave_out.includes(index)) return;
    for (const place of placesOf(config)) {
      if (layer.bottlenecks[place] !== undefined) throw twice(`at the place ${place} of layer ${index}`);
      const { table, prefix } = bottleneckScope(config, place, index);
      const structure = bottleneckStructure(config, table);
      layer.bottlenecks = { ...layer.bottlenecks, [place]: structure };
      dropAt(draft, structure.table, config.dropout);
      if (!draft.written.has(structure.table))
        add(draft, packBottleneck(config, tensors, { prefix, structure, width: host.width }));
    }
  });
  if (config.inv_adapter === null || !tensors.has("invertible.F.0.weight")) return;
  draft.embedding = { ...draft.embedding, invertible: true };
  add(draft, packInvertible(tensors, config.non_linearity, host.width));
}

/** Widths of a group's matrix product on a host. */
export function groupShape(host: AdapterHost, group: MapGroup): GroupShape {
  const d = host.heads * host.headWidth;
  const shapes: Readonly<Record<MapGroup, GroupShape>> = {
    qkv: { inputs: host.width, columns: d },
    proj: { inputs: d, columns: host.width },
    up: { inputs: host.width, columns: host.ffnWidth },
    down: { inputs: host.ffnWidth, columns: host.width },
  };
  return shapes[group];
}

function linearMaps(draft: Draft, settings: PartSettings, frozen: FrozenMap | undefined, rate: number): void {
  const { host, tensors, layers } = draft;
  layers.forEach((layer, index) => {
    const parts = linearParts(tensors, index, settings, frozen);
    for (const group of Object.keys(GROUPS) as MapGroup[]) {
      const own = parts.filter(({ map }) => groupOf(map) === group);
      if (own.length === 0) continue;
      checkGroup(own, group, index);
      if (layer.linear[group] !== undefined) throw twice(`at the maps ${group} of layer ${index}`);
      const structure = linearStructure(`layers.${index}.${group}`, own);
      layer.linear = { ...layer.linear, [group]: structure };
      if (structure.lora) dropAt(draft, structure.table, rate);
      add(draft, packLinear(structure, group, own, groupShape(host, group)));
    }
  });
}

/** Queries, keys and values read the same rows in one product: their inputs cannot be scaled apart. */
function checkGroup(parts: readonly LinearPart[], group: MapGroup, layer: number): void {
  if (group !== "qkv" || parts.every(({ kind }) => kind !== "input")) return;
  throw new EngineError("UNSUPPORTED", `IA³ on the input of queries, keys or values (layer ${layer})`, {
    where: "feedforward_modules",
    fix: "scale their outputs instead",
  });
}

interface PrefixParts {
  readonly leaveOut: readonly number[];
  readonly rows: number;
  readonly gates: 0 | 1 | 2;
  readonly activation: ActivationName;
  readonly rate: number;
}

/** A tuned prefix: layers that carry it, its rows and its gates. */
function addPrefix(draft: Draft, { leaveOut, rows, gates, activation, rate }: PrefixParts): void {
  const carrying = draft.layers.flatMap((_, index) => (leaveOut.includes(index) ? [] : [index]));
  for (const index of carrying) {
    const layer = draft.layers[index] as Draft["layers"][number];
    if (layer.prefix !== null) throw twice(`on the keys and values of layer ${index}`);
    layer.prefix = { table: prefixTable(index), gates };
    dropAt(draft, prefixTable(index), rate);
  }
  draft.prefixRows = rows;
  const width = draft.host.heads * draft.host.headWidth;
  add(draft, packPrefix(draft.tensors, carrying, { rows, width, activation }));
}

function addPrompt(draft: Draft, place: NonNullable<EmbeddingStructure["prompt"]>, rows: number): void {
  if (draft.embedding.prompt !== null) throw twice("before the tokens");
  draft.embedding = { ...draft.embedding, prompt: place };
  draft.promptRows = rows;
  add(draft, packPrompt(draft.tensors));
}

function method(draft: Draft, config: MethodConfig, frozen: FrozenMap | undefined): void {
  if (config.architecture === null) bottlenecks(draft, config);
  else if (config.architecture === "lora") linearMaps(draft, librarySettings(config), frozen, config.dropout);
  else if (config.architecture === "prompt_tuning") addPrompt(draft, config.combine, config.prompt_length);
  else {
    const { leave_out: leaveOut, prefix_length: rows, non_linearity, dropout } = config;
    const gates = config.use_gating ? (config.shared_gating ? 1 : 2) : 0;
    addPrefix(draft, { leaveOut, rows, gates, activation: non_linearity, rate: dropout });
  }
}

function newDraft(host: AdapterHost, tensors: AdapterTensors): Draft {
  return {
    host,
    tensors,
    layers: Array.from({ length: host.layers }, () => ({ bottlenecks: {}, linear: {}, prefix: null })),
    embedding: { prompt: null, invertible: false },
    entries: [],
    written: new Set(),
    dropout: new Map(),
    prefixRows: 0,
    promptRows: 0,
  };
}

function finish({ layers, embedding, entries, dropout, prefixRows, promptRows }: Draft): PackedAdapter {
  const structure: AdapterStructure = { layers, embedding };
  return { structure, entries, prefixRows, promptRows, ...(dropout.size > 0 ? { dropout } : {}) };
}

/**
 * Packs an adapter whose tensors were checked against its configuration.
 * @param frozen weights of the host, for DoRA
 * @throws EngineError BAD_CONFIG when two methods of a union stand at one site
 */
export function packAdapter(
  config: AdapterConfig,
  tensors: AdapterTensors,
  host: AdapterHost,
  frozen?: FrozenMap,
): PackedAdapter {
  const draft = newDraft(host, tensors);
  for (const part of methodsOf(config)) method(draft, part, frozen);
  return finish(draft);
}

/** What a PEFT folder holds, as far as packing asks. */
export type PeftParts =
  | { readonly kind: "linear"; readonly settings: PartSettings; readonly dropout: number }
  | { readonly kind: "prefix"; readonly rows: number }
  | { readonly kind: "prompt"; readonly rows: number };

/** Packs an adapter of PEFT (MATHS §3.2). */
export function packPeft(
  parts: PeftParts,
  tensors: AdapterTensors,
  host: AdapterHost,
  frozen?: FrozenMap,
): PackedAdapter {
  const draft = newDraft(host, tensors);
  if (parts.kind === "linear") linearMaps(draft, parts.settings, frozen, parts.dropout);
  else if (parts.kind === "prefix")
    addPrefix(draft, { leaveOut: [], rows: parts.rows, gates: 0, activation: "tanh", rate: 0 });
  else addPrompt(draft, "words", parts.rows);
  return finish(draft);
}
