/** @file Distances and their buckets against a second implementation that knows no logarithm. */

import { describe, expect, test } from "vitest";
import { bucketOf, bucketTable, distanceBuckets } from "../../src/hosts/relative-bias.ts";
import { plainBucket } from "./t5-plain.ts";

const published = { count: 32, maxDistance: 128 };

describe("buckets of distances", () => {
  test.each([published, { count: 8, maxDistance: 12 }, { count: 320, maxDistance: 800 }, { count: 4, maxDistance: 2 }])(
    "of $count up to $maxDistance agree at every distance to beyond the last",
    (buckets) => {
      for (let far = 0; far <= buckets.maxDistance + 2; far += 1) {
        for (const distance of [far, -far]) {
          const expected = plainBucket(distance, buckets.count, buckets.maxDistance);
          expect(bucketOf(distance, buckets), `distance ${distance}`).toBe(expected);
        }
      }
    },
  );

  // Numbers of the published function, either side of every border.
  test.each([
    [0, 0],
    [1, 17],
    [-1, 1],
    [-7, 7],
    [-8, 8],
    [-11, 8],
    [-12, 9],
    [-15, 9],
    [-16, 10],
    [-22, 10],
    [-23, 11],
    [-31, 11],
    [-32, 12],
    [-45, 12],
    [-46, 13],
    [-63, 13],
    [-64, 14],
    [-90, 14],
    [-91, 15],
    [-128, 15],
    [-1000, 15],
    [64, 30],
    [91, 31],
    [130, 31],
  ])("distance %d is in bucket %d", (distance, bucket) => expect(bucketOf(distance, published)).toBe(bucket));

  test("the table ends where both directions have reached their last bucket", () => {
    const table = bucketTable(published);
    expect(table).toHaveLength(2 * 91 + 1);
    table.forEach((bucket, index) => expect(bucket).toBe(bucketOf(index - 91, published)));
    expect([table[0], table[1], table[181], table[182]]).toEqual([15, 14, 30, 31]);
    expect(bucketTable({ count: 4, maxDistance: 2 })).toHaveLength(3);
  });
});

test.each<[string, Record<string, number>]>([
  ["relative_attention_num_buckets", { relative_attention_num_buckets: 3 }],
  ["relative_attention_max_distance", { relative_attention_max_distance: 8 }],
  ["relative_attention_max_distance", { relative_attention_max_distance: 2 ** 20 }],
])("refuses a %s that leaves no buckets, or too many", (where, config) => {
  expect(() => distanceBuckets(config)).toThrow(expect.objectContaining({ where }));
});
