/** @file Rows named from outside: to ask what the best possible choice would give, or to replay one. */

import { EngineError } from "../../errors.ts";
import type { Value } from "../../graph/value.ts";
import type { Dim } from "../../ops/op.ts";
import type { ChosenRows, Router, SelectionSite } from "../router.ts";
import { selectionDim, selectionTable } from "../selection.ts";
import { ones } from "./values.ts";

/** Places in a sequence, from 0, in any order: one list per sequence, or a function of sequence, layer and length. */
export type OracleIndices =
  | readonly (readonly number[])[]
  | ((sequence: number, layer: number, length: number) => readonly number[]);

function choose({ b, segments, prefix, rule }: SelectionSite): ChosenRows {
  const name = { prefix, rule };
  const count = selectionDim(name);
  const input = (table: "rows" | "positions"): Value => b.input(selectionTable(name, table), [count], "u32");
  return {
    rows: input("rows"),
    positions: input("positions"),
    segments: b.input(selectionTable(name, "segments"), [segments.type.shape[0] as Dim], "u32"),
    invalid: null,
  };
}

/**
 * Takes the rows that it is told; λ and scores are 1. A sequence may name fewer rows than ceil(n / r), but no more: that is its
 * capacity. The lists are data: others compile nothing.
 * @throws EngineError BAD_INPUT as a run starts, for a sequence without a list, a place out of range or named twice, and for more places
 * than the capacity
 */
export function oracle({ indices }: { readonly indices: OracleIndices }): Router {
  return {
    name: "oracle",
    settings: {},
    vectors: [],
    score: (site) => ({ scores: ones(site), weights: ones(site) }),
    choose,
    rule: ({ layer }) => ({ kind: "given", layer }),
    given: typeof indices === "function" ? indices : (sequence) => indices[sequence] ?? noList(indices, sequence),
  };
}

function noList({ length }: readonly unknown[], sequence: number): never {
  const message = `coda.router: indices holds ${length} lists, and the batch has a sequence ${sequence}`;
  const fix = "give one list of places per sequence, empty where none is to be selected";
  throw new EngineError("BAD_INPUT", message, { where: "coda.router.indices", fix });
}
