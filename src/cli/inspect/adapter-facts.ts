/** @file Everything that `inspect adapter` says about a folder, and the part of it that needs no host. */

import type { AdapterHost } from "../../adapters/config/types.ts";
import { defineAdapter, needsFrozen, packDefinition } from "../../adapters/define.ts";
import { isBottleneck } from "../../adapters/packed.ts";
import { EngineError } from "../../errors.ts";
import type { StoredAdapter } from "../../formats/adapter-hub/types.ts";
import { countParameters } from "./adapter-folder.ts";
import type { Company } from "./adapter-folder.ts";
import { guessHost } from "./adapter-host.ts";
import type { FullModel } from "./adapter-host.ts";
import { describeMethods } from "./adapter-methods.ts";

/** Bytes of an f32 number. */
export const F32 = 4;

/** What a token costs. */
export interface AdapterCost {
  readonly flopsPerToken: number;
  /** Counted in the launches of the host with and without the adapter, or two per parameter. */
  readonly from: "launches" | "2 x parameters";
  /** Of a pass over one sequence, where a host is given. */
  readonly pass: {
    readonly rows: number;
    readonly without: { readonly flops: number; readonly launches: number };
    readonly with: { readonly flops: number; readonly launches: number };
  } | null;
}

/** Everything that is said about an adapter. */
export interface AdapterFacts extends Company {
  readonly folder: string;
  readonly stored: StoredAdapter;
  readonly shape: AdapterHost | null;
  readonly methods: readonly string[];
  readonly presets: readonly string[];
  readonly parameters: number;
  /** Bytes as packed into a slot; null where that needs a host. */
  readonly gpuBytes: number | null;
  /** Widest bottleneck at a sub-layer; 0 where there is none or it is not known. */
  readonly slotWidth: number;
  readonly full: FullModel | null;
  readonly cost: AdapterCost;
  /** The host's folder that it fits; null where none was given. */
  readonly host: string | null;
  readonly notes: readonly string[];
}

/** Bytes that the tensors take in a slot, and the widest bottleneck among them, without a host at hand. */
function packed(stored: StoredAdapter, shape: AdapterHost): { bytes: number; width: number } {
  const { format, config, tensors, unexpected } = stored;
  const { preset } = config;
  const source = {
    format,
    config: typeof preset === "string" ? preset : config,
    tensors,
    unexpected,
    where: stored.file,
  };
  if (needsFrozen(source)) {
    throw new EngineError("UNSUPPORTED", "DoRA is packed with the weights of its host", { where: stored.file });
  }
  const { entries } = packDefinition(defineAdapter(source, shape), shape);
  const words = entries.map((entry) =>
    isBottleneck(entry)
      ? entry.down.length + entry.up.length + entry.downBias.length + entry.upBias.length
      : entry.data.length,
  );
  const widths = entries.filter(isBottleneck).flatMap(({ table, width }) => (isResidual(table.name) ? [width] : []));
  return { bytes: F32 * words.reduce((sum, count) => sum + count, 0), width: Math.max(0, ...widths) };
}

/** Slots at linear maps are as wide as their ranks ask for; those at sub-layers as the model says. */
function isResidual(table: string): boolean {
  return /(^|\.)(attention|ffn|layer)$/.test(table);
}

/**
 * What can be said without a host.
 * @throws EngineError BAD_CONFIG, UNSUPPORTED for a configuration that cannot be
 */
export function factsAlone(folder: string, stored: StoredAdapter, company: Company): AdapterFacts {
  const guess = guessHost(stored);
  const parameters = countParameters(stored.tensors);
  const notes: string[] = [];
  let found: ReturnType<typeof packed> | null = null;
  let described: ReturnType<typeof describeMethods> = { methods: [], presets: [] };
  if (guess === null) notes.push("the width of its host is not known: give --host");
  else {
    described = describeMethods(stored, guess.shape);
    try {
      found = packed(stored, guess.shape);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      notes.push(`bytes on the GPU are known with --host only: ${error.message}`);
    }
  }
  return {
    ...company,
    ...described,
    folder,
    stored,
    shape: guess?.shape ?? null,
    parameters,
    gpuBytes: found?.bytes ?? null,
    slotWidth: found?.width ?? 0,
    full: guess?.like ?? null,
    cost: { flopsPerToken: 2 * parameters, from: "2 x parameters", pass: null },
    host: null,
    notes,
  };
}
