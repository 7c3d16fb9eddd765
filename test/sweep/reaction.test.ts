/** @file Atoms of reactions, their mapping and its confidence. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { splitSmiles } from "../../src/inputs/smiles.ts";
import { mapAtoms, mappingConfidence, reactionAtoms, readPublished } from "../../src/sweep/reaction.ts";
import type { Attention, ReactionAtoms } from "../../src/sweep/reaction.ts";
import { dataPath, missing } from "../data.ts";

function tokensOf(reaction: string): string[] {
  return ["[CLS]", ...splitSmiles(reaction, "[UNK]"), "[SEP]"];
}

const symbols = ({ reactants, products }: ReactionAtoms): string =>
  `${reactants.map(({ symbol }) => symbol).join(" ")} > ${products.map(({ symbol }) => symbol).join(" ")}`;

describe("atoms", () => {
  test.each([
    ["CCO>>CC=O", "C C O > C C O"],
    ["c1ccccc1Br.[nH]>>[C@@H](Cl)[N+]", "C C C C C C Br N > C Cl N"],
    ["[2H]C.[Na+].[se]>[Pd]>[OH-]", "H C Na Se Pd > O"],
    ["C%12CC%12>>C", "C C C > C"],
    ["CCO", " > "],
    ["C>>", "C > "],
  ])("of %s", (reaction, expected) => {
    expect(symbols(reactionAtoms(tokensOf(reaction)))).toBe(expected);
  });

  test("know their tokens; special ones are none", () => {
    const { reactants, products } = reactionAtoms(["[CLS]", "C", "(", "O", ")", ">>", "N", "[UNK]", "[SEP]"]);
    expect(reactants.map(({ place }) => place)).toEqual([1, 3]);
    expect(products.map(({ place }) => place)).toEqual([6]);
  });
});

describe("a mapping", () => {
  const atoms = reactionAtoms(["C", "O", "C", ">>", "C", "N", "O"]);
  const table =
    (entries: Record<string, number>): Attention =>
    (query, key) =>
      entries[`${query},${key}`] ?? 0;

  test("takes both directions of the attention, and equal elements only", () => {
    // Product C (4): 0.3 towards the oxygen counts for nothing, 0.1 + 0.15 beats 0.2.
    expect(mapAtoms(atoms, table({ "4,1": 0.3, "4,0": 0.2, "4,2": 0.1, "2,4": 0.15 }))).toEqual([2, -1, 1]);
  });

  test("takes the first of equals, also where there is no attention at all", () => {
    expect(mapAtoms(atoms, () => 0)).toEqual([0, -1, 1]);
    expect(mapAtoms(atoms, () => 0.5)).toEqual([0, -1, 1]);
  });

  test("has a confidence: the surest pair first, its neighbours raised", () => {
    // Two carbons on both sides, bonded to each other. The first pair is sure by 0.75; then one reactant is left.
    const two = {
      atoms: reactionAtoms(["C", "C", ">>", "C", "C"]),
      bonds: [
        [0, 1],
        [2, 3],
      ] as const,
    };
    const attention = table({ "3,0": 0.3, "3,1": 0.1, "4,0": 0.1, "4,1": 0.1 });
    expect(mappingConfidence(two, attention)).toBeCloseTo(0.75, 12);
  });
});

const NAME = "rxnmapper-albert";

describe.skipIf(missing(NAME))("the published reactions", () => {
  const value = (): Record<string, unknown> =>
    JSON.parse(readFileSync(`${dataPath(NAME)}/reference.json`, "utf8")) as Record<string, unknown>;

  test("have the atoms that their authors list", () => {
    const cases = value().cases as { name: string; tokens: string[] }[];
    const published = readPublished(value(), "reference.json");
    expect(published).toHaveLength(5);
    published.forEach(({ atoms }, index) => expect(reactionAtoms(cases[index]?.tokens ?? [])).toEqual(atoms));
  });
});

test.each([
  [{}, /it has no list cases/],
  [{ cases: [] }, /it has no list cases/],
  [{ cases: [{ name: "x" }] }, /cases\[0\] is no reaction/],
  [
    {
      cases: [
        {
          name: "x",
          input_ids: [1, 2],
          bonds_between_atoms: [],
          published_confidence: 1,
          reactant_atom_token_positions: [2],
          reactant_atom_symbols: ["C"],
          product_atom_token_positions: [],
          product_atom_symbols: [],
        },
      ],
    },
    /cases\[0\] is no reaction/,
  ],
])("published reactions that are none are refused (%#)", (value, message) => {
  expect(() => readPublished(value, "file.json")).toThrow(message);
});
