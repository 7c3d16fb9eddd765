/** @file Points as files: whole or refused; and when two disagree. */

import { describe, expect, test } from "vitest";
import { asManifest, joinedManifest, missingPoints } from "../../src/sweep/manifest.ts";
import { conflicts, expectSame, parseRecord, recordText } from "../../src/sweep/record.ts";
import type { PointRecord } from "../../src/sweep/record.ts";
import { densePoint } from "../../src/sweep/settings.ts";
import { fingerprint, manifestOf, recordOf, recordsOf } from "./records.ts";

const record = recordOf(densePoint, 0.5);

describe("a point's file", () => {
  test("is read back as it was written", () => {
    expect(parseRecord(recordText(record), "x")).toEqual(record);
    const untimed = { ...record, milliseconds: null };
    expect(parseRecord(recordText(untimed), "x")).toEqual(untimed);
  });

  const spoil = (change: (copy: Record<string, unknown>) => void): string => {
    const copy = JSON.parse(recordText(record)) as Record<string, unknown>;
    change(copy);
    return JSON.stringify(copy);
  };

  test.each([
    ["half of it", recordText(record).slice(0, 100)],
    ["nothing", ""],
    ["null", "null"],
    ["a list", "[]"],
    ["another version", spoil((copy) => (copy.version = 2))],
    ["another id", spoil((copy) => (copy.id = "0123456789ab"))],
    ["a metric that is no number", spoil((copy) => (copy.metrics = { accuracy: null }))],
    ["an unknown router", spoil((copy) => (copy.settings = { ...densePoint, router: "best" }))],
    ["a setting too many", spoil((copy) => (copy.settings = { ...densePoint, more: 1 }))],
    ["no times", spoil((copy) => delete copy.milliseconds)],
  ])("%s is refused", (_, text) => {
    expect(() => parseRecord(text, "points/x.json")).toThrow(/^points\/x.json is not a point of a sweep/);
  });
});

describe("two records of a point", () => {
  test("agree whatever their times and devices", () => {
    const other = recordOf(densePoint, 0.5, { milliseconds: null, device: { name: "another" } });
    expect(conflicts(record, other)).toEqual([]);
  });

  test.each<[Partial<PointRecord>, string[]]>([
    [{ metrics: { accuracy: 0.25, "hidden-error": 0.5 } }, ["metrics.accuracy is 0.5 and 0.25"]],
    [{ metrics: { accuracy: 0.5 } }, ["metrics.hidden-error is 0.5 and undefined"]],
    [{ heavyShare: 0.5 }, ["heavyShare is 1 and 0.5"]],
    [{ trained: true, tokens: 41 }, ["trained is false and true", "tokens is 40 and 41"]],
  ])("disagree by name: %j", (change, expected) => {
    expect(conflicts(record, { ...record, ...change })).toEqual(expected);
  });

  test.each([
    [{ ...fingerprint, model: "other" }, /out is of another model: its model has the hash other, this sweep's m/],
    [{ ...fingerprint, data: "other" }, /another data set: its data has the hash other, this sweep's d/],
    [{ ...fingerprint, config: "other" }, /another configuration: its config has the hash other, this sweep's c/],
  ])("of different sweeps are told apart", (other, message) => {
    expect(() => expectSame(other, fingerprint, "out")).toThrow(message);
    expect(() => expectSame(fingerprint, fingerprint, "out")).not.toThrow();
  });
});

describe("a folder's manifest", () => {
  const manifest = manifestOf({ reduction: [2, 3] });

  test("is read back, and refused when it is none", () => {
    expect(asManifest(JSON.parse(JSON.stringify(manifest)), "x")).toEqual(manifest);
    for (const bad of [null, {}, { ...manifest, points: [{ id: "x" }] }, { ...manifest, fingerprint: {} }])
      expect(() => asManifest(bad, "sweep.json")).toThrow(/^sweep.json does not describe a sweep/);
  });

  test("joins with others of the same sweep", () => {
    const more = manifestOf({ reduction: [3, 5] });
    const joined = joinedManifest([
      ["a", manifest],
      ["b", more],
    ]);
    expect(joined.points.map(({ settings }) => settings.reduction)).toEqual([null, 2, 3, 5]);
    expect(() =>
      joinedManifest([
        ["a", manifest],
        ["b", { ...more, fingerprint: { ...fingerprint, model: "x" } }],
      ]),
    ).toThrow(/^b is of another model/);
    expect(() => joinedManifest([])).toThrow(/no sweep/);
  });

  test("knows which points are missing", () => {
    const records = recordsOf(manifest, () => 1);
    records.delete(manifest.points[1]?.id as string);
    expect(missingPoints(manifest, records).map(({ settings }) => settings.reduction)).toEqual([2]);
  });
});
