/** @file Measures of classes: accuracy, macro-F1, Matthews' correlation. Float64 on the host. */

/** How often class t was taken for class p: entry t · classes + p. */
export interface Confusion {
  readonly classes: number;
  readonly counts: Float64Array;
}

/** @returns the class with the largest logit of every row; ties go to the lower class. */
export function largest(logits: ArrayLike<number>, classes: number): Int32Array {
  return Int32Array.from({ length: logits.length / classes }, (_, row) => {
    let best = 0;
    for (let label = 1; label < classes; label += 1)
      if ((logits[row * classes + label] as number) > (logits[row * classes + best] as number)) best = label;
    return best;
  });
}

/** Counts pairs of classes. */
export function confusionOf(truth: ArrayLike<number>, found: ArrayLike<number>, classes: number): Confusion {
  const counts = new Float64Array(classes * classes);
  for (let row = 0; row < truth.length; row += 1) {
    const at = (truth[row] as number) * classes + (found[row] as number);
    counts[at] = (counts[at] as number) + 1;
  }
  return { classes, counts };
}

interface Marginals {
  readonly total: number;
  readonly right: number;
  /** Of every class: how often it was right to say it, said, and both. */
  readonly truth: readonly number[];
  readonly found: readonly number[];
  readonly both: readonly number[];
}

function marginals({ classes, counts }: Confusion): Marginals {
  const all = Array.from({ length: classes }, (_, label) => label);
  const at = (truth: number, found: number): number => counts[truth * classes + found] as number;
  const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
  const truth = all.map((label) => sum(all.map((other) => at(label, other))));
  const both = all.map((label) => at(label, label));
  return {
    total: sum(truth),
    right: sum(both),
    truth,
    found: all.map((label) => sum(all.map((other) => at(other, label)))),
    both,
  };
}

/** The share of rows whose class was found. NaN without rows. */
export function accuracy(confusion: Confusion): number {
  const { right, total } = marginals(confusion);
  return right / total;
}

/** The mean over classes of 2 TP / (2 TP + FP + FN); classes that neither occur nor were said are left out. */
export function macroF1(confusion: Confusion): number {
  const { truth, found, both } = marginals(confusion);
  const scores = both.flatMap((hits, label) => {
    const all = (truth[label] as number) + (found[label] as number);
    return all === 0 ? [] : [(2 * hits) / all];
  });
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

/**
 * Matthews' correlation of several classes (Gorodkin 2004): (c·s − Σ p t) / √((s² − Σ p²)(s² − Σ t²)); 0 where one side knows one class
 * only.
 */
export function matthews(confusion: Confusion): number {
  const { total, right, truth, found } = marginals(confusion);
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, value, index) => sum + value * (b[index] as number), 0);
  const spread = (total ** 2 - dot(found, found)) * (total ** 2 - dot(truth, truth));
  return spread === 0 ? 0 : (right * total - dot(found, truth)) / Math.sqrt(spread);
}
