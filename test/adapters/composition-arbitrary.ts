/** @file Random compositions of every kind, allowed or not. */

import fc from "fast-check";
import {
  adapterLeaf,
  average,
  batchSplit,
  fuse,
  none,
  parallel,
  split,
  stack,
} from "../../src/adapters/composition.ts";
import type { Composition } from "../../src/adapters/composition.ts";

const SPECIAL = [
  "none",
  "fuse",
  "a b",
  'say "hi"',
  "it's",
  "a,b",
  "x(y)",
  "back\\slash",
  "ünï-code",
  "1e5",
  "\ud800",
  "é\n",
];

/** Names: mostly plain ones, so that twins occur; some with special characters. */
const name: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "c", "sentiment/sst-2@ukp", "3") },
  { weight: 1, arbitrary: fc.constantFrom(...SPECIAL) },
  { weight: 1, arbitrary: fc.string({ minLength: 1, unit: "binary" }) },
);

/** `counted`: as many numbers as children; else any. */
export function anyComposition({ counted = false }: { counted?: boolean } = {}): fc.Arbitrary<Composition> {
  const numbers = <T>(of: fc.Arbitrary<T>, children: number): fc.Arbitrary<T[]> =>
    counted ? fc.array(of, { minLength: children, maxLength: children }) : fc.array(of, { maxLength: 4 });
  const weight = fc.double({ noNaN: true, noDefaultInfinity: true });
  const { tree } = fc.letrec<{ leaf: Composition; block: Composition; tree: Composition }>((tie) => ({
    leaf: fc.oneof({ weight: 9, arbitrary: name.map(adapterLeaf) }, { weight: 1, arbitrary: fc.constant(none) }),
    tree: fc.oneof({ maxDepth: 3, withCrossShrink: true }, tie("leaf"), tie("block")),
    block: fc.array(tie("tree"), { minLength: counted ? 1 : 0, maxLength: 3 }).chain((children) =>
      fc.oneof(
        fc.constant(stack(...children)),
        fc.constant(fuse(...children)),
        name.map((own) => fuse(...children, { name: own })),
        fc.constant(parallel(...children)),
        numbers(fc.nat(), children.length).map((splits) => split(...children, { splits })),
        numbers(fc.nat(), children.length).map((batchSizes) => batchSplit(...children, { batchSizes })),
        numbers(weight, children.length).map((weights) => average(...children, { weights, normalize: false })),
      ),
    ),
  }));
  return tree;
}
