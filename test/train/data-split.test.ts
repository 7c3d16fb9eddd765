/** @file Which examples a set has, how a corpus is packed, and what masks hide. */

import { describe, expect, test } from "vitest";
import { parseVocabulary } from "../../src/inputs/vocabulary.ts";
import { wordpieceTokenizer } from "../../src/inputs/wordpiece.ts";
import { packTexts, spread } from "../../src/train/data/corpus.ts";
import { maskId, maskSequence } from "../../src/train/data/masking.ts";
import { partOf } from "../../src/train/data/part.ts";
import { limited, shareOf, splitRows } from "../../src/train/data/split.ts";
import type { Row } from "../../src/train/data/data.ts";
import { read, tokenizer, words } from "./data-fixture.ts";

describe("splits and limits", () => {
  const row = (text: string, label = "0"): Row => ({
    place: text,
    content: { kind: "text", text },
    labels: [label],
    set: null,
  });
  const rows = Array.from({ length: 2000 }, (_, index) => row(`text number ${index}`, String(index % 2)));
  const split = { by: "hash", evaluation: 0.2, test: 0.1, seed: 0 } as const;
  const names = (list: readonly Row[]): Set<string> => new Set(list.map(({ place }) => place));

  test("fall by the example, not by its place", () => {
    const sets = splitRows(rows, split);
    const reversed = splitRows(rows.toReversed(), split);
    for (const name of ["train", "evaluation", "test"] as const)
      expect(names(reversed[name])).toEqual(names(sets[name]));
    // Standard deviations of these counts: 18 and 13.
    expect(Math.abs(sets.evaluation.length - 400)).toBeLessThan(75);
    expect(Math.abs(sets.test.length - 200)).toBeLessThan(55);
    expect(sets.train.length + sets.evaluation.length + sets.test.length).toBe(2000);
  });

  test("more rows change nothing for those that were there, and another seed everything", () => {
    const some = names(splitRows(rows.slice(0, 500), split).evaluation);
    const all = names(splitRows(rows, split).evaluation);
    for (const name of some) expect(all.has(name)).toBe(true);
    const other = names(splitRows(rows, { ...split, seed: 1 }).evaluation);
    expect([...other].filter((name) => all.has(name)).length).toBeLessThan(0.5 * all.size);
  });

  test("shares are spread evenly, and equal examples fall together", () => {
    const shares = rows.map(({ content }) => shareOf(content, 3)).toSorted((a, b) => a - b);
    // Kolmogorov–Smirnov at 0.1 %: 1.95 / √n.
    const worst = Math.max(...shares.map((share, index) => Math.abs(share - index / rows.length)));
    expect(worst).toBeLessThan(1.95 / Math.sqrt(rows.length));
    expect(shareOf({ kind: "text", text: ["a", "b"] }, 0)).not.toBe(shareOf({ kind: "text", text: "ab" }, 0));
    expect(shareOf({ kind: "text", text: "ab" }, 0)).toBe(shareOf({ kind: "text", text: "ab" }, 0));
  });

  test("a limit takes the same rows whatever their order, of all classes of a sorted file", () => {
    const sorted = rows.toSorted((a, b) => Number(a.labels[0]) - Number(b.labels[0]));
    const some = limited(sorted, 100);
    expect(some).toHaveLength(100);
    expect(names(limited(rows, 100))).toEqual(names(some));
    expect(new Set(some.map(({ labels }) => labels[0]))).toEqual(new Set(["0", "1"]));
    expect(limited(rows, undefined)).toBe(rows);
  });

  test("a split that leaves a set empty is refused; files and a split may share the sets", async () => {
    const data = { kind: "table", train: { table: "f" }, split: { evaluation: 0.001 } };
    await expect(read({ f: "text,label\na,0\nb,1\n" }, data)).rejects.toThrow(
      "the split leaves no example for data.evaluation",
    );
    const many = [
      "text,label",
      ...rows.slice(0, 100).map((_, index) => `${words[index % 26]} ${words[index % 7]},${index % 2}`),
    ].join("\n");
    const both = { ...data, split: { evaluation: 0.3 }, test: { table: "t" } };
    const { sets } = await read({ f: many, t: "text,label\nz,1\n" }, both);
    expect(sets.test.map(({ place }) => place)).toEqual(["t:2"]);
    expect(sets.evaluation.length).toBeGreaterThan(0);
  });
});

describe("a corpus", () => {
  test("is packed into sequences of one length, with the frame around each", () => {
    const examples = packTexts(["a b c", "d e f g h", "i j k l m n o p"], tokenizer, 6, "set");
    const ids = examples.map(({ input }) => Array.from((input as { ids: Uint32Array }).ids));
    expect(ids).toEqual([
      [2, 5, 6, 7, 8, 3],
      [2, 9, 10, 11, 12, 3],
      [2, 13, 14, 15, 16, 3],
      [2, 17, 18, 19, 20, 3],
    ]);
  });

  test("a limit is spread over all of it", () => {
    expect(spread([0, 1, 2, 3, 4, 5, 6, 7], 3)).toEqual([0, 2, 5]);
    expect(spread([0, 1], 3)).toEqual([0, 1]);
  });

  test("is read, split by its paragraphs, and masked part by part", async () => {
    const files = {
      c: Array.from(
        { length: 40 },
        (_, index) => `${words[index % 26]} ${words[(3 * index) % 26]} ${words[(7 * index) % 26]}`,
      ).join("\n\n"),
    };
    const data = { kind: "corpus", train: { text: "c" }, split: { evaluation: 0.2 }, length: 8, limit: { train: 9 } };
    const { sets } = await read(files, data, "masked-language-modelling");
    expect(sets.train).toHaveLength(9);
    expect(sets.evaluation.length).toBeGreaterThan(0);
    const masking = { share: 0.5, mask: maskId(tokenizer), vocabulary: 31, seed: 1 };
    const part = partOf(sets.train, [4, 0], "masked-language-modelling", masking, 3);
    expect(part.targets).toHaveLength(16);
    expect((part.targets as number[]).filter((target) => target >= 0)).toHaveLength(6);
  });
});

describe("masks", () => {
  const masking = { share: 0.15, mask: 4, vocabulary: 31, seed: 9 };
  const ids = Uint32Array.from({ length: 102 }, (_, index) => 5 + (index % 26));

  test("follow from seed, epoch and sequence alone", () => {
    const at = (epoch: number, sequence: number, seed = 9) =>
      maskSequence(ids, { ...masking, seed }, { epoch, sequence });
    expect(at(0, 0)).toEqual(at(0, 0));
    for (const other of [at(1, 0), at(0, 1), at(0, 0, 8)]) expect(other).not.toEqual(at(0, 0));
  });

  test("hide 80 %, change 10 %, leave 10 % of the tokens that are to be found out, and nothing else", () => {
    let [hidden, changed, left, all] = [0, 0, 0, 0];
    const places = new Float64Array(102);
    for (let sequence = 0; sequence < 600; sequence += 1) {
      const { ids: shown, targets: found } = maskSequence(ids, masking, { epoch: 0, sequence });
      expect(found.filter((target) => target >= 0)).toHaveLength(15);
      found.forEach((target, place) => {
        if (target < 0) {
          expect(shown[place]).toBe(ids[place]);
          return;
        }
        expect(target).toBe(ids[place]);
        places[place] = (places[place] as number) + 1;
        all += 1;
        if (shown[place] === 4) hidden += 1;
        else if (shown[place] === ids[place]) left += 1;
        else changed += 1;
      });
    }
    // 9,000 draws; a random token is the mask or the token itself in 2 of 31 cases. Five standard deviations are 2.1 and 1.6 points.
    expect(Math.abs(hidden / all - (0.8 + 0.1 / 31))).toBeLessThan(0.021);
    expect(Math.abs(changed / all - (0.1 * 29) / 31)).toBeLessThan(0.016);
    expect(Math.abs(left / all - (0.1 + 0.1 / 31))).toBeLessThan(0.016);
    expect([places[0], places[101]]).toEqual([0, 0]);
    // 600 · 0.15 = 90 per place, standard deviation 8.7.
    for (const count of places.slice(1, 101)) expect(Math.abs(count - 90)).toBeLessThan(45);
  });

  test("of a short sequence there is one at least; an empty one has none", () => {
    const one = maskSequence(Uint32Array.of(2, 7, 3), masking, { epoch: 0, sequence: 0 });
    expect(Array.from(one.targets)).toEqual([-1, 7, -1]);
    expect(Array.from(maskSequence(Uint32Array.of(2, 3), masking, { epoch: 0, sequence: 0 }).targets)).toEqual([
      -1, -1,
    ]);
  });

  test("need a token that stands for a hidden one", () => {
    const plain = wordpieceTokenizer(parseVocabulary("[UNK]\n[CLS]\n[SEP]\na\n"));
    expect(() => maskId(plain)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
    expect(maskId(tokenizer)).toBe(4);
  });
});
