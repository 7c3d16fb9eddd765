/**
 * @file Atoms of reactions in SMILES, and what an attention head says about them: to which reactant atom it maps a product atom, and
 * how sure it is (Schwaller et al. 2021; the recipe that RXNMapper's published confidences come from).
 */

import { badFile } from "../formats/bad-file.ts";

/** An atom among the tokens of a reaction. */
export interface AtomToken {
  /** Its token. */
  readonly place: number;
  /** The element: aromatic atoms have that of the others. */
  readonly symbol: string;
}

/** The atoms on both sides of a reaction's arrow, in the order of their tokens. */
export interface ReactionAtoms {
  readonly reactants: readonly AtomToken[];
  readonly products: readonly AtomToken[];
}

/** Attention of one head: the weight that token `query` gives to token `key`. */
export type Attention = (query: number, key: number) => number;

const PLAIN_ATOM = /^(?:Br?|Cl?|[NOSPFI]|[bcnosp])$/;
const BRACKET_ATOM = /^\[\d*([A-Z][a-z]?|se|as|[a-z])/;

/** @returns the element of a token, null for bonds, branches, rings and special tokens. */
function symbolOf(token: string): string | null {
  const symbol = PLAIN_ATOM.test(token) ? token : BRACKET_ATOM.exec(token)?.[1];
  return symbol === undefined || /^\[[A-Z]{3}/.test(token)
    ? null
    : (symbol[0] as string).toUpperCase() + symbol.slice(1);
}

/** @returns the atoms of a reaction: what stands behind the last arrow are products, agents count as reactants. */
export function reactionAtoms(tokens: readonly string[]): ReactionAtoms {
  const arrow = tokens.findLastIndex((token) => token === ">>" || token === ">");
  const atoms = tokens.flatMap((token, place): AtomToken[] => {
    const symbol = symbolOf(token);
    return symbol === null ? [] : [{ place, symbol }];
  });
  return {
    reactants: atoms.filter(({ place }) => place < arrow),
    products: arrow < 0 ? [] : atoms.filter(({ place }) => place > arrow),
  };
}

/** M[p][r] = A[p][r] + A[r][p], 0 where the elements differ. */
function affinities({ reactants, products }: ReactionAtoms, attention: Attention): number[][] {
  return products.map((product) =>
    reactants.map((reactant) =>
      product.symbol === reactant.symbol
        ? attention(product.place, reactant.place) + attention(reactant.place, product.place)
        : 0,
    ),
  );
}

/**
 * Maps every product atom to the reactant atom of the same element with the largest A[p][r] + A[r][p], ties to the first.
 * @returns the token of that atom for every product atom; −1 where no reactant atom has its element
 */
export function mapAtoms(atoms: ReactionAtoms, attention: Attention): number[] {
  const weights = affinities(atoms, attention);
  return atoms.products.map(({ symbol }, p) => {
    let best = -1;
    atoms.reactants.forEach((reactant, r) => {
      const row = weights[p] as number[];
      if (reactant.symbol === symbol && (best < 0 || (row[r] as number) > (row[best] as number))) best = r;
    });
    return atoms.reactants[best]?.place ?? -1;
  });
}

/** A reaction whose confidence somebody published. */
export interface PublishedReaction {
  readonly name: string;
  readonly ids: readonly number[];
  readonly atoms: ReactionAtoms;
  /** Bonded atoms, numbered in the order of their tokens, those of the reactants first. */
  readonly bonds: readonly (readonly [number, number])[];
  readonly confidence: number;
}

/** What a found pair multiplies the weights of its neighbours by. */
const NEIGHBOUR_FACTOR = 90;
/** Below this nothing is left to be mapped. */
const NOTHING = 1e-8;

/** The largest entry of the scaled rows, each divided by its sum. */
function strongest(
  weights: readonly number[][],
  factors: readonly number[][],
): { value: number; p: number; r: number } {
  let best = { value: 0, p: -1, r: -1 };
  weights.forEach((row, p) => {
    const scaled = row.map((weight, r) => weight * ((factors[p] as number[])[r] as number));
    const sum = scaled.reduce((total, weight) => total + weight, 0);
    scaled.forEach((weight, r) => {
      if (sum > 0 && weight / sum > best.value) best = { value: weight / sum, p, r };
    });
  });
  return best;
}

/**
 * The confidence of a mapping: product atoms are mapped one after the other, the surest first, each pair making those of its bonded
 * neighbours surer; the product of how sure each was.
 */
export function mappingConfidence(
  { atoms, bonds }: Pick<PublishedReaction, "atoms" | "bonds">,
  attention: Attention,
): number {
  const weights = affinities(atoms, attention);
  const factors = weights.map((row) => row.map(() => 1));
  const first = atoms.reactants.length;
  const neighbours = (atom: number): number[] => bonds.flatMap(([a, b]) => (a === atom ? [b] : b === atom ? [a] : []));
  let confidence = 1;
  for (let step = 0; step < atoms.products.length; step += 1) {
    const { value, p, r } = strongest(weights, factors);
    if (value < NOTHING) break;
    confidence *= value;
    for (const product of neighbours(first + p)) {
      for (const reactant of neighbours(r)) {
        const row = factors[product - first];
        if (row !== undefined && reactant < first) row[reactant] = (row[reactant] as number) * NEIGHBOUR_FACTOR;
      }
    }
    factors[p] = (factors[p] as number[]).map(() => 0);
    for (const row of factors) row[r] = 0;
  }
  return confidence;
}

const isNumbers = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((item) => Number.isInteger(item));
const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");
const isPairs = (value: unknown): value is [number, number][] =>
  Array.isArray(value) && value.every((pair) => isNumbers(pair) && pair.length === 2);

function atomsAt(places: unknown, symbols: unknown, tokens: number): AtomToken[] | null {
  if (!isNumbers(places) || !isTexts(symbols) || places.length !== symbols.length) return null;
  if (places.some((place) => place < 0 || place >= tokens)) return null;
  return places.map((place, index) => ({ place, symbol: symbols[index] as string }));
}

/**
 * Reads reactions with published confidences: `{ cases: [{ name, input_ids, reactant_atom_token_positions, … }] }`.
 * @throws EngineError BAD_FILE naming the case
 */
export function readPublished(value: Readonly<Record<string, unknown>>, where: string): readonly PublishedReaction[] {
  const { cases } = value;
  if (!Array.isArray(cases) || cases.length === 0) throw badFile(where, "it has no list cases.");
  return cases.map((entry: unknown, index) => {
    const fields = (typeof entry === "object" && entry !== null ? entry : {}) as Readonly<Record<string, unknown>>;
    const { name, input_ids: ids, bonds_between_atoms: bonds, published_confidence: confidence } = fields;
    const length = isNumbers(ids) ? ids.length : 0;
    const reactants = atomsAt(fields.reactant_atom_token_positions, fields.reactant_atom_symbols, length);
    const products = atomsAt(fields.product_atom_token_positions, fields.product_atom_symbols, length);
    const whole = isNumbers(ids) && isPairs(bonds) && typeof confidence === "number" && typeof name === "string";
    if (!whole || reactants === null || products === null)
      throw badFile(where, `cases[${index}] is no reaction with a confidence.`);
    return { name, ids, atoms: { reactants, products }, bonds, confidence };
  });
}
