/** @file Measures of order: the area under the ROC curve, Spearman's and Pearson's correlation. Float64 on the host. */

/** @returns ranks from 1; equal values share the mean of their ranks. */
export function ranksOf(values: ArrayLike<number>): Float64Array {
  const order = Array.from(values, (_, index) => index).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from + 1;
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to += 1;
    // Ranks from + 1 to `to`, whose mean is this.
    for (let place = from; place < to; place += 1) ranks[order[place] as number] = (from + 1 + to) / 2;
    from = to;
  }
  return ranks;
}

/**
 * The probability that a positive scores above a negative, ties counting half (Mann–Whitney).
 * @param positive 1 or 0 of every score
 * @returns NaN where one of the classes is absent
 */
export function rocAuc(scores: ArrayLike<number>, positive: ArrayLike<number>): number {
  const ranks = ranksOf(scores);
  let [count, sum] = [0, 0];
  for (let row = 0; row < ranks.length; row += 1) {
    if (positive[row] !== 1) continue;
    count += 1;
    sum += ranks[row] as number;
  }
  const others = ranks.length - count;
  return count === 0 || others === 0 ? Number.NaN : (sum - (count * (count + 1)) / 2) / (count * others);
}

/** Values of one label: those of rows where the label is not missing. */
export interface LabelColumn {
  readonly scores: readonly number[];
  readonly targets: readonly number[];
}

/** @returns the columns of [rows, labels] without rows whose target is NaN. */
export function labelColumns(scores: ArrayLike<number>, targets: ArrayLike<number>, labels: number): LabelColumn[] {
  const rows = targets.length / labels;
  return Array.from({ length: labels }, (_, label) => {
    const kept = Array.from({ length: rows }, (__, row) => row * labels + label).filter(
      (at) => !Number.isNaN(targets[at]),
    );
    return { scores: kept.map((at) => scores[at] as number), targets: kept.map((at) => targets[at] as number) };
  });
}

/** The mean over columns of what is a number there; NaN where there is none. */
export function meanOver(columns: readonly LabelColumn[], measure: (column: LabelColumn) => number): number {
  const found = columns.map(measure).filter((value) => !Number.isNaN(value));
  return found.reduce((sum, value) => sum + value, 0) / found.length;
}

/** Pearson's correlation; NaN where one side does not vary. */
export function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const count = a.length;
  const mean = (values: ArrayLike<number>): number => {
    let sum = 0;
    for (let row = 0; row < count; row += 1) sum += values[row] as number;
    return sum / count;
  };
  const [centreA, centreB] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let row = 0; row < count; row += 1) {
    const [x, y] = [(a[row] as number) - centreA, (b[row] as number) - centreB];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa === 0 || bb === 0 ? Number.NaN : ab / Math.sqrt(aa * bb);
}

/** Spearman's correlation: Pearson's of the ranks. */
export function spearman(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return pearson(ranksOf(a), ranksOf(b));
}
