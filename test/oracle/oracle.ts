/**
 * @file The oracle: what a frozen host with adapters gives, in float64, from the files that the `adapters` library writes. It
 * shares nothing with the engine but the readers of files, and follows MATHS §2 and §3 line by line.
 */

import type { Files } from "./adapter-files.ts";
import { readHead } from "./adapter-files.ts";
import { Composition } from "./composition.ts";
import { bare, forward, readHost } from "./host.ts";
import { headLogits } from "./methods.ts";
import { need } from "./rows.ts";
import { childFor, copiesOf, lastName, parseSetup } from "./setup-tree.ts";
import type { Place, SetupNode, Tree } from "./setup-tree.ts";

/** One question to the oracle. */
export interface OracleRequest {
  /** `config.json` and `model.safetensors` of a BERT or GPT-2. */
  readonly host: Files;
  /** Adapter folders by the name under which the composition knows them. */
  readonly adapters?: Readonly<Record<string, Files>>;
  /** Fusion folders by their comma-joined names. */
  readonly fusions?: Readonly<Record<string, Files>>;
  /** Head files by adapter; given, the answer is the logits of the head that follows the composition. */
  readonly heads?: Readonly<Record<string, Files>>;
  /** A saved setup, or one name; absent or null: the bare host. */
  readonly active?: SetupNode | string | null;
  /** Layers without any adapter. */
  readonly skipLayers?: readonly number[] | null;
  /** The library's behaviour with its quirks; otherwise the sane one. */
  readonly compat?: boolean;
  /** An adapter to merge into the host first. */
  readonly merged?: string | null;
  /** An adapter whose prefix is turned flat first. */
  readonly ejected?: string | null;
  /** Passes that the library's model had run before; only a fusion with `temperature` under `compat` looks. */
  readonly fusionCalls?: number;
  /** Token ids, one list per sequence; no padding. */
  readonly inputs: readonly (readonly number[])[];
}

/**
 * @returns per sequence its last hidden state, row-major `[tokens (+ prompt), width]`, or its logits. A parallel block gives
 * copies × sequences, copy-major.
 * @throws Error where a setup has no meaning, under `compat` also where the library fails.
 */
export function oracle(request: OracleRequest): Float64Array[] {
  const host = readHost(request.host);
  const count = request.inputs.length;
  const tree = request.active === undefined || request.active === null ? undefined : parseSetup(request.active);
  const composition =
    tree &&
    new Composition(host, tree, {
      adapters: request.adapters ?? {},
      fusions: request.fusions ?? {},
      skipLayers: request.skipLayers ?? [],
      compat: request.compat ?? false,
      merged: request.merged ?? undefined,
      ejected: request.ejected ?? undefined,
      fusionCalls: request.fusionCalls ?? 0,
    });
  const results: Float64Array[] = [];
  for (let copy = 0; copy < (tree === undefined ? 1 : copiesOf(tree)); copy++) {
    for (const [index, ids] of request.inputs.entries()) {
      const place = { copy, index, count };
      let rows = forward(host, ids, composition?.hooks(place) ?? bare);
      if (request.heads !== undefined) {
        const name = headOf(need(tree, "the composition that names a head"), place);
        rows = headLogits(host, readHead(need(request.heads[name], `the head ${name}`)), rows);
      }
      results.push(Float64Array.from(rows.flatMap((row) => [...row])));
    }
  }
  return results;
}

/** The head follows the last block of a stack; parallel and batch split have one per child. */
function headOf(tree: Tree, place: Place): string {
  const last = tree.kind === "stack" ? need(tree.children.at(-1), "a child") : tree;
  if (last.kind !== "parallel" && last.kind !== "batchSplit") return lastName(last);
  return lastName(childFor(last, place).child);
}
