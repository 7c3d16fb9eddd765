/** @file What a suite of trainings is. */

/** One training. */
export interface Run {
  /** Name of its folder. */
  readonly id: string;
  readonly about: string;
  /** What it may take on a software adapter with two cores; null: it is for a GPU, and nothing is stated. */
  readonly minutes: number | null;
  /** As docs/training.md has it; `{work}` stands for the folder of all runs, `{root}` for this checkout. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Trainings that belong together, in the order in which they can be run. */
export interface Suite {
  readonly title: string;
  /** The measure of the table. */
  readonly measure: string;
  readonly runs: readonly Run[];
}

/** @returns a run per seed. */
export function perSeed(seeds: readonly number[], run: (seed: number) => Run): Run[] {
  return seeds.map((seed) => ({ ...run(seed), id: `${run(seed).id}-seed${seed}` }));
}
