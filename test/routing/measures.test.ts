/** @file Load, overlap, token types and accuracy, counted by hand; sounds and pictures in a trace. */

import { inflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pngUri } from "../../src/routing/report-png.ts";
import { accuracy, layerLoad, overlap, overlapByChance, typeLoads } from "../../src/routing/trace-measures.ts";
import { audioTrace, fromBase64, imageTrace, toBase64 } from "../../src/routing/trace-media.ts";
import { tokenType } from "../../src/routing/trace-token-types.ts";
import { traceOf } from "../../src/routing/trace.ts";
import type { LayerTrace, RoutingTrace } from "../../src/routing/trace.ts";

/** A layer that selected these places of `length`, with λ of 1 for them and ¼ for the others. */
function chose(length: number, ...selected: number[]): LayerTrace {
  return { selected, weights: Array.from({ length }, (_, i) => (selected.includes(i) ? 1 : 0.25)), scores: null };
}

const head = { model: "m", device: "d", settings: {} };

const trace: RoutingTrace = traceOf(head, 4, [
  { tokens: ["[CLS]", "C", "1", "("], layers: [null, chose(4, 0, 1), chose(4, 1, 2), chose(4)] },
  { tokens: ["C", "(", "[nH]"], layers: [null, chose(3, 0), null, { ...chose(3), keys: chose(3, 1, 2) }] },
  { tokens: [], layers: [null, chose(0), chose(0), chose(0)] },
]);

describe("layerLoad", () => {
  it("counts what every layer routed", () => {
    const loads = layerLoad(trace);
    expect(loads[0]).toBeNull();
    expect(loads[1]).toEqual({
      tokens: 7,
      selected: 3,
      share: 3 / 7,
      least: 1 / 3,
      most: 1 / 2,
      selectedWeight: 1,
      otherWeight: 0.25,
      keys: null,
    });
    expect(loads[2]).toMatchObject({ tokens: 4, selected: 2, least: 0.5, most: 0.5 });
    expect(loads[3]).toMatchObject({ tokens: 7, selected: 0, share: 0, selectedWeight: NaN, keys: 2 });
  });

  it("takes layers that routed empty sequences only", () => {
    const empty = traceOf(head, 1, [{ tokens: [], layers: [chose(0)] }]);
    expect(layerLoad(empty)).toMatchObject([{ tokens: 0, selected: 0, share: NaN, least: NaN, most: NaN }]);
  });
});

describe("overlap", () => {
  it("is the mean Jaccard index over the sequences that both layers routed", () => {
    const values = overlap(trace);
    // Sequence 0: {0, 1} and {1, 2} share 1 of 3; sequence 1 is dense in layer 2, and sequence 2 is empty.
    expect(values[1]?.[2]).toBeCloseTo(1 / 3, 15);
    // Nothing against {0, 1} and against {0}: no token in common.
    expect(values[1]?.[3]).toBe(0);
    // Layer 3 selects nothing: equal to itself.
    expect(values.map((row, i) => row[i])).toEqual([null, 1, 1, 1]);
    expect(values[0]).toEqual([null, null, null, null]);
    expect(values.map((_, j) => values.map((row) => row[j]))).toEqual(values);
  });

  it("equals the definition on sets", () => {
    const subset = fc.uniqueArray(fc.nat(11), { maxLength: 12 }).map((places) => [...places].sort((a, b) => a - b));
    fc.assert(
      fc.property(subset, subset, (a, b) => {
        const tokens = Array.from({ length: 12 }, String);
        const [[, value]] = overlap(traceOf(head, 2, [{ tokens, layers: [chose(12, ...a), chose(12, ...b)] }])) as [
          [number, number],
        ];
        const either = new Set([...a, ...b]).size;
        expect(value).toBe(either === 0 ? 1 : a.filter((place) => b.includes(place)).length / either);
      }),
      { numRuns: 100 },
    );
  });

  it("knows what chance would give", () => {
    // 4 tokens, 2 and 2 of them: one in common in the mean, of three.
    const two = traceOf(head, 2, [{ tokens: ["a", "b", "c", "d"], layers: [chose(4, 0, 1), chose(4, 2, 3)] }]);
    expect(overlapByChance(two)).toBeCloseTo(1 / 3, 15);
    expect(overlapByChance(traceOf(head, 1, two.sequences))).toBeNull();
  });
});

describe("typeLoads", () => {
  it("shares visits out among types, over all and by layer", () => {
    expect(typeLoads(trace)).toEqual([
      // Two letters: kept by layer 1 both times, by layer 2 once out of once, never by layer 3.
      { type: "letters", tokens: 2, share: 3 / 5, layers: [null, 1, 1, 0] },
      { type: "punctuation", tokens: 2, share: 0, layers: [null, 0, 0, 0] },
      { type: "bracket atoms", tokens: 1, share: 0, layers: [null, 0, null, 0] },
      { type: "digits", tokens: 1, share: 1 / 3, layers: [null, 0, 1, 0] },
      { type: "special", tokens: 1, share: 1 / 3, layers: [null, 1, 0, 0] },
    ]);
    const named = traceOf(head, 1, [{ tokens: ["C", "1"], types: ["x", "x"], layers: [chose(2, 0)] }]);
    expect(typeLoads(named)).toEqual([{ type: "x", tokens: 2, share: 0.5, layers: [0.5] }]);
  });

  it("tells a type from the text of a token", () => {
    const types: [type: string, ...tokens: string[]][] = [
      ["special", "[CLS]", "[sep]", "[unused12]", "[class]", "<s>", "</s>", "<|endoftext|>"],
      ["frame", "frame 12"],
      ["patch", "patch 0"],
      ["row", "row 3"],
      ["space", "", " ", "\n", "Ġ", "Ċ", "▁"],
      ["bracket atoms", "[nH]", "[C@@H]", "[Na+]", "[13C]"],
      ["digits", "1", "%12", "##42", "Ġ7", "٣"],
      ["letters", "C", "Cl", "the", "##ing", "Ġthe", "▁the", "é", "漢字", "frame"],
      ["punctuation", "(", "=", "#", "##", ">>", "…", "$", "["],
      ["other", "a1", "x y", "it's"],
    ];
    for (const [type, ...tokens] of types)
      for (const token of tokens) expect([token, tokenType(token)]).toEqual([token, type]);
  });
});

describe("accuracy", () => {
  it("counts sequences with a label and a prediction", () => {
    expect(accuracy(trace)).toBeNull();
    const of = (label?: string, predicted?: string): RoutingTrace["sequences"][number] => ({
      tokens: [],
      layers: [],
      ...(label === undefined ? {} : { label }),
      ...(predicted === undefined ? {} : { predicted }),
    });
    expect(accuracy(traceOf(head, 0, [of("1", "1"), of("1", "2"), of("1"), of(undefined, "1")]))).toEqual({
      right: 1,
      of: 2,
    });
  });
});

describe("sounds", () => {
  it("become the lowest and highest sample of every stretch", () => {
    const samples = Float32Array.of(0.1, -0.5, 0.25, 0, 1.5, -0.0004);
    expect(audioTrace(samples, { sampleRate: 2, frames: 3, stretches: 3 })).toEqual({
      seconds: 3,
      frames: 3,
      envelope: [
        [-0.5, 0.1],
        [0, 0.25],
        [-0, 1],
      ],
    });
    expect(audioTrace(samples, { sampleRate: 2, frames: 3 }).envelope).toHaveLength(6);
    expect(() => audioTrace(new Float32Array(0), { sampleRate: 2, frames: 3 })).toThrow(/needs samples/);
  });
});

describe("pictures", () => {
  it("become bytes with the channels side by side", () => {
    const image = imageTrace({ data: Float32Array.of(0, 0.5, 1, 2, 0.2, -1), shape: [3, 1, 2] }, 1);
    expect([...(fromBase64(image.pixels) ?? [])]).toEqual([0, 255, 51, 128, 255, 0]);
    const refused = (shape: number[], patch: number): void =>
      expect(() => imageTrace({ data: new Uint8Array(16), shape }, patch)).toThrow(
        expect.objectContaining({ code: "BAD_INPUT" }),
      );
    refused([1, 4, 4], 3);
    refused([2, 2, 4], 1);
    refused([1, 4, 5], 1);
    refused([16], 1);
  });

  it("go through base64 whole", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
    expect(toBase64(new Uint8Array(20_000))).toHaveLength(26_668);
    for (const bad of ["A", "A===", "AA=A", "AAA?", "AAAA\n"]) expect(fromBase64(bad)).toBeNull();
  });

  it("become a PNG that any decoder takes, and large ones a small one", () => {
    const decode = (uri: string): { size: number[]; lines: number[] } => {
      const file = Buffer.from(uri.slice("data:image/png;base64,".length), "base64");
      const data = file.indexOf("IDAT");
      const lines = [...inflateSync(file.subarray(data + 4, data + 4 + file.readUInt32BE(data - 4)))];
      return { size: [file.readUInt32BE(16), file.readUInt32BE(20)], lines };
    };
    const grey = imageTrace({ data: Uint8Array.of(1, 2, 3, 4, 5, 6), shape: [1, 2, 3] }, 1);
    expect(decode(pngUri(grey))).toEqual({ size: [3, 2], lines: [0, 1, 2, 3, 0, 4, 5, 6] });
    // 225 pixels are averaged in squares of 3: 75 a side, each the mean of equal columns.
    const data = Uint8Array.from({ length: 225 * 225 }, (_, i) => i % 225);
    const large = decode(pngUri(imageTrace({ data, shape: [1, 225, 225] }, 225)));
    expect(large.size).toEqual([75, 75]);
    expect(large.lines.slice(0, 4)).toEqual([0, 1, 4, 7]);
  });
});
