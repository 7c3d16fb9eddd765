/** @file Measures against values worked out by hand. */

import { describe, expect, test } from "vitest";
import { accuracy, confusionOf, largest, macroF1, matthews } from "../../src/train/evaluate/classes.ts";
import { labelColumns, meanOver, pearson, ranksOf, rocAuc, spearman } from "../../src/train/evaluate/ranking.ts";
import { isBetter, scoresOf } from "../../src/train/evaluate/scores.ts";
import { evaluateSet } from "../../src/train/evaluate/evaluate.ts";

describe("classes", () => {
  // Rows are truth, columns what was said: [[3, 1, 0], [1, 2, 1], [0, 0, 2]].
  const truth = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2];
  const found = [0, 0, 0, 1, 0, 1, 1, 2, 2, 2];
  const confusion = confusionOf(truth, found, 3);

  test("the table of pairs", () => {
    expect(Array.from(confusion.counts)).toEqual([3, 1, 0, 1, 2, 1, 0, 0, 2]);
  });

  test("accuracy 7 of 10", () => {
    expect(accuracy(confusion)).toBe(0.7);
  });

  test("macro-F1: the mean of 6/8, 4/7 and 4/5", () => {
    expect(macroF1(confusion)).toBeCloseTo((6 / 8 + 4 / 7 + 4 / 5) / 3, 15);
  });

  test("a class that neither occurs nor is said does not count; one that is said wrongly counts 0", () => {
    expect(macroF1(confusionOf([0, 1], [0, 1], 3))).toBe(1);
    // Class 1 is never true and once said: F1 0; class 0: 2·1 / (2 + 1).
    expect(macroF1(confusionOf([0, 0], [0, 1], 2))).toBeCloseTo((2 / 3 + 0) / 2, 15);
  });

  test("Matthews of three classes: (7·10 − Σ pt) / √((100 − Σ p²)(100 − Σ t²))", () => {
    // t = (4, 4, 2), p = (4, 3, 3): Σ pt = 16 + 12 + 6 = 34, Σ p² = 34, Σ t² = 36.
    expect(matthews(confusion)).toBeCloseTo((70 - 34) / Math.sqrt((100 - 34) * (100 - 36)), 15);
  });

  test("Matthews of two classes is the correlation of two 0-1 variables; 0 where one side never varies", () => {
    const [a, b] = [
      [0, 1, 1, 0, 1, 0, 0, 1],
      [0, 1, 0, 0, 1, 1, 0, 1],
    ] as const;
    expect(matthews(confusionOf(a, b, 2))).toBeCloseTo(pearson(a, b), 14);
    expect(matthews(confusionOf([0, 1, 0], [0, 0, 0], 2))).toBe(0);
  });

  test("ties of logits go to the lower class", () => {
    expect(Array.from(largest([1, 1, 0, 0, 2, 2], 3))).toEqual([0, 1]);
  });
});

describe("order", () => {
  test("ranks share their mean among equals", () => {
    expect(Array.from(ranksOf([3, 1, 3, 2, 3]))).toEqual([4, 1, 4, 2, 4]);
  });

  test("ROC-AUC: of 2 × 3 pairs 4 in order and one equal", () => {
    // Positives 0.8 and 0.4; negatives 0.4, 0.5, 0.1: 0.8 beats three, 0.4 beats 0.1 and ties with 0.4.
    expect(rocAuc([0.8, 0.4, 0.4, 0.5, 0.1], [1, 1, 0, 0, 0])).toBeCloseTo(4.5 / 6, 15);
    expect(rocAuc([1, 2, 3], [0, 0, 1])).toBe(1);
    expect(rocAuc([3, 2, 1], [0, 0, 1])).toBe(0);
    expect(rocAuc([5, 5, 5, 5], [0, 1, 1, 0])).toBe(0.5);
  });

  test("ROC-AUC needs both classes", () => {
    expect(rocAuc([1, 2], [1, 1])).toBeNaN();
  });

  test("missing labels are left out label by label, and labels of one class do not count", () => {
    const scores = [1, 9, 5, 2, 8, 5, 3, 7, 5];
    const targets = [0, 1, 1, 1, Number.NaN, 1, Number.NaN, 0, 1];
    const columns = labelColumns(scores, targets, 3);
    expect(columns.map(({ targets: some }) => some.length)).toEqual([2, 2, 3]);
    // First label 1 (0 < 1), second 1 (1 at 9, 0 at 7), the third is always 1.
    expect(meanOver(columns, (column) => rocAuc(column.scores, column.targets))).toBe(1);
  });

  test("Pearson and Spearman", () => {
    // x − 2 = (−1, 0, 1), y − 7/3 = (−4/3, −1/3, 5/3): 3 / √(2 · 42/9).
    expect(pearson([1, 2, 3], [1, 2, 4])).toBeCloseTo(3 / Math.sqrt((2 * 42) / 9), 14);
    expect(spearman([1, 2, 3], [1, 2, 4])).toBeCloseTo(1, 14);
    // Ranks 2, 1, 3, 5, 4: Σ d² = 4 over five, 1 − 6 Σ d² / (n (n² − 1)).
    expect(spearman([1, 2, 3, 4, 5], [2, 1, 3, 6, 5])).toBeCloseTo(1 - (6 * 4) / (5 * 24), 14);
    expect(pearson([1, 1], [1, 2])).toBeNaN();
  });
});

describe("scores", () => {
  test("of classes: the cross-entropy in float64, and the curve of two classes", () => {
    const logits = [2, 0, 0, 1, 1000, -1000];
    const scores = scoresOf("cross-entropy", { logits, targets: [0, 1, 1], labels: 2 });
    const loss = (Math.log(1 + Math.exp(-2)) + Math.log(1 + Math.exp(-1)) + 2000) / 3;
    expect(scores.loss).toBeCloseTo(loss, 10);
    expect(scores.accuracy).toBeCloseTo(2 / 3, 15);
    // Odds −2, 1, −2000: of two pairs one in order.
    expect(scores["roc-auc"]).toBe(0.5);
    expect(scoresOf("cross-entropy", { logits: [1, 2, 3], targets: [2], labels: 3 })).not.toHaveProperty("roc-auc");
  });

  test("of labels: missing ones have no loss, a label that was never measured counts nowhere", () => {
    const none = Number.NaN;
    const scores = scoresOf("binary-cross-entropy", {
      logits: [2, 0.5, -1, -3, 1, 4],
      targets: [1, none, none, 0, none, none],
      labels: 3,
    });
    expect(scores.loss).toBeCloseTo((Math.log(1 + Math.exp(-2)) + Math.log(1 + Math.exp(-3))) / 2, 12);
    expect(scores).toMatchObject({ accuracy: 1, "roc-auc": 1 });
  });

  test("of values: the mean square, and null where nothing varies", () => {
    const scores = scoresOf("squared-error", { logits: [1, 2, 4], targets: [1, 1, 1], labels: 1 });
    expect(scores).toEqual({ loss: 10 / 3, spearman: null, pearson: null });
  });

  test("a loss is better when lower, everything else when higher; equal is not better", () => {
    expect([isBetter("loss", 1, 2), isBetter("accuracy", 1, 2), isBetter("accuracy", 2, 2)]).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("parts make one set; a number that is not finite is named", async () => {
    const logits = [Float32Array.of(1, 0, 0, 1), Float32Array.of(1, 0)];
    const set = {
      objective: "cross-entropy",
      labels: 2,
      count: 2,
      part: (index: number) => ({ input: {}, targets: index === 0 ? [0, 1] : [1] }),
    } as const;
    let calls = 0;
    const trainer = {
      evaluate: async () => ({ loss: 0, count: 1, logits: logits[calls++] as Float32Array, rows: null }),
    };
    expect((await evaluateSet(trainer, set)).accuracy).toBeCloseTo(2 / 3, 15);
    logits.push(Float32Array.of(0, 0, 0, 0), Float32Array.of(0, Number.NaN));
    await expect(evaluateSet(trainer, set)).rejects.toMatchObject({
      code: "DIVERGED",
      message: /logit 1 of row 2 is NaN/,
    });
  });

  test("the loss of parts is weighted by their targets", async () => {
    const found = [
      { loss: 1, count: 1 },
      { loss: 4, count: 2 },
    ];
    let calls = 0;
    const trainer = {
      evaluate: async () => ({
        ...(found[calls++] as (typeof found)[number]),
        logits: new Float32Array(0),
        rows: null,
      }),
    };
    const set = {
      objective: "masked-language-modelling",
      labels: 0,
      count: 2,
      part: () => ({ input: {}, targets: [] }),
    } as const;
    expect(await evaluateSet(trainer, set)).toEqual({ loss: 3 });
  });
});
