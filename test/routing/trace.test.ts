/** @file Traces: what is cut from a batch, what is read back, and what is refused. */

import { describe, expect, it } from "vitest";
import { expectTraceOf, makeTrace, parseTrace, traceOf } from "../../src/routing/trace.ts";
import type { RoutingTrace } from "../../src/routing/trace.ts";
import { audioSample, imageSample, textTrace } from "./sample-traces.ts";

const second = { selected: Uint32Array.of(1, 2), weights: Float32Array.of(0, 1, 1, 0, 0) };

const trace: RoutingTrace = makeTrace({
  model: "tiny",
  device: "test",
  settings: { reduction: [null, 2, 2], seed: 0 },
  tokens: [
    ["a", "b", "c"],
    ["d", "e"],
  ],
  texts: ["abc", "de"],
  facts: [{ label: "x", predicted: "y" }, { types: ["u", "v"] }],
  routing: [
    null,
    {
      selected: Uint32Array.of(0, 2, 3),
      weights: Float32Array.of(1, 0.1, 0.5, 0.75, 0.25),
      scores: Float32Array.of(3, -1, 2, 5, 4),
    },
    { selected: Uint32Array.of(1, 2, 3), weights: Float32Array.of(0, 1, 0.5, 1, 0), part: "ffn", keys: second },
  ],
});

describe("makeTrace", () => {
  it("cuts packed rows into sequences with places of their own", () => {
    expect(trace.layers).toBe(3);
    expect(trace.sequences[0]).toEqual({
      text: "abc",
      label: "x",
      predicted: "y",
      tokens: ["a", "b", "c"],
      layers: [
        null,
        { selected: [0, 2], weights: [1, 0.100000001, 0.5], scores: [3, -1, 2] },
        {
          selected: [1, 2],
          weights: [0, 1, 0.5],
          scores: null,
          part: "ffn",
          keys: { selected: [1, 2], weights: [0, 1, 1] },
        },
      ],
    });
    expect(trace.sequences[1]?.layers[2]).toEqual({
      selected: [0],
      weights: [1, 0],
      scores: null,
      part: "ffn",
      keys: { selected: [], weights: [0, 0] },
    });
  });

  it("refuses tokens of another batch", () => {
    const layer = { selected: new Uint32Array(0), weights: new Float32Array(1), scores: new Float32Array(1) };
    const source = { model: "", device: "", settings: {}, tokens: [["a"]], routing: [layer] };
    expect(makeTrace(source).sequences).toHaveLength(1);
    const two = new Float32Array(2);
    const refused = (wrong: object, where: string): void =>
      expect(() => makeTrace({ ...source, routing: [{ ...layer, ...wrong }] })).toThrow(
        expect.objectContaining({ code: "SHAPE", where }),
      );
    refused({ weights: two }, "routing[0]");
    refused({ scores: two }, "routing[0].scores");
    refused({ keys: { selected: new Uint32Array(0), weights: two } }, "routing[0].keys");
  });

  it("writes infinite scores as the largest f32, and no NaN at all", () => {
    const make = (...scores: number[]): RoutingTrace =>
      makeTrace({
        model: "",
        device: "",
        settings: {},
        tokens: [scores.map(String)],
        routing: [
          { selected: Uint32Array.of(0), weights: new Float32Array(scores.length), scores: Float32Array.from(scores) },
        ],
      });
    const { sequences } = parseTrace(JSON.stringify(make(Infinity, -Infinity, 0)));
    expect(sequences[0]?.layers[0]?.scores).toEqual([3.40282347e38, -3.40282347e38, 0]);
    expect(() => make(0, NaN)).toThrow(/routing\[0\]\.scores of row 1 is not a number/);
  });
});

describe("parseTrace", () => {
  it("reads back what was written: text, sound, pictures and curves", () => {
    for (const written of [trace, textTrace(), audioSample(), imageSample(), traceOf(trace, 0, [], textTrace().curve)])
      expect(parseTrace(JSON.stringify(written))).toEqual(written);
  });

  it("reads version 1 as version 2 without what it did not have", () => {
    const sequences = [{ tokens: ["a"], layers: [{ selected: [0], weights: [1], scores: [2] }] }];
    const old = { ...traceOf(trace, 1, sequences), version: 1 };
    expect(parseTrace(JSON.stringify(old))).toEqual({ ...old, version: 2 });
  });

  it("names the place of each fault", () => {
    const layer = ["sequences", 0, "layers", 1];
    const last = ["sequences", 1, "layers", 2];
    const faults: [where: string, path: (string | number)[], value: unknown][] = [
      ["trace.format", ["format"], "other"],
      ["trace.version", ["version"], 3],
      ["trace.model", ["model"], undefined],
      ["trace.settings", ["settings"], []],
      ["trace.layers", ["layers"], -1],
      ["trace.layers", ["layers"], 1025],
      ["trace.sequences", ["sequences"], {}],
      ["trace.sequences[1].layers", ["sequences", 1, "layers"], [null, null]],
      ["trace.sequences[0].tokens[1]", ["sequences", 0, "tokens", 1], 5],
      ["trace.sequences[0].text", ["sequences", 0, "text"], null],
      ["trace.sequences[0].label", ["sequences", 0, "label"], true],
      ["trace.sequences[0].predicted", ["sequences", 0, "predicted"], []],
      ["trace.sequences[1].types", ["sequences", 1, "types"], ["u"]],
      ["trace.sequences[1].types[1]", ["sequences", 1, "types", 1], 2],
      ["trace.sequences[0].layers[1]", layer, 7],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [2, 0]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [1, 1]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [3]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [-1]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [0.5]],
      ["trace.sequences[0].layers[1].weights", [...layer, "weights"], [1, 2]],
      ["trace.sequences[0].layers[1].scores", [...layer, "scores"], [1, null, 2]],
      ["trace.sequences[0].layers[1].scores", [...layer, "scores"], undefined],
      ["trace.sequences[1].layers[2].part", [...last, "part"], "head"],
      ["trace.sequences[1].layers[2].keys", [...last, "keys"], null],
      ["trace.sequences[1].layers[2].keys.selected", [...last, "keys", "selected"], [2]],
      ["trace.curve", ["curve"], {}],
    ];
    expectFaults(trace, faults);
    expect(() => parseTrace("{")).toThrow(expect.objectContaining({ code: "BAD_FILE" }));
    expect(() => parseTrace("null")).toThrow(/is not an object/);
  });

  it("names the place of each fault in sounds, pictures and curves", () => {
    const audio = (...rest: (string | number)[]): (string | number)[] => ["sequences", 0, "audio", ...rest];
    const image = (...rest: (string | number)[]): (string | number)[] => ["sequences", 0, "image", ...rest];
    expectFaults(audioSample(), [
      ["trace.sequences[0].audio.seconds", audio("seconds"), 0],
      ["trace.sequences[0].audio.frames", audio("frames"), 100],
      ["trace.sequences[0].audio.frames", audio("frames"), 0],
      ["trace.sequences[0].audio.envelope[3]", audio("envelope", 3), [0.5, -0.5]],
      ["trace.sequences[0].audio.envelope[3]", audio("envelope", 3), [0]],
      ["trace.sequences[0].audio.envelope[3]", audio("envelope", 3), [0, "1"]],
    ]);
    expectFaults(imageSample(), [
      ["trace.sequences[0].image.width", image("width"), 27.5],
      ["trace.sequences[0].image.channels", image("channels"), 2],
      ["trace.sequences[0].image.patch", image("patch"), 8],
      ["trace.sequences[0].image.patch", image("patch"), 4],
      ["trace.sequences[0].image.pixels", image("pixels"), "AAAA"],
      // 784 bytes by their number, but no base64.
      ["trace.sequences[0].image.pixels", image("pixels"), `${"?".repeat(1046)}==`],
      ["trace.sequences[0].image.height", image("height"), 1e300],
    ]);
    expectFaults(textTrace(), [
      ["trace.curve[2].reduction", ["curve", 2, "reduction"], 0.5],
      ["trace.curve[2].router", ["curve", 2, "router"], 1],
      ["trace.curve[2].value", ["curve", 2, "value"], null],
      ["trace.curve[2].milliseconds", ["curve", 2, "milliseconds"], "1"],
    ]);
  });
});

function expectFaults(
  good: RoutingTrace,
  faults: readonly [where: string, path: (string | number)[], value: unknown][],
): void {
  for (const [where, path, value] of faults) {
    const copy: unknown = structuredClone(good);
    const parent = path.slice(0, -1).reduce((at, key) => (at as Record<string, unknown>)[key], copy);
    (parent as Record<string, unknown>)[String(path.at(-1))] = value;
    expect(() => parseTrace(JSON.stringify(copy)), where).toThrow(expect.objectContaining({ code: "BAD_FILE", where }));
  }
}

describe("a trace of another model", () => {
  it("is refused where it is read, before its sequences are", () => {
    const text = JSON.stringify({ ...trace, sequences: "unread" });
    const refused = expect.objectContaining({
      code: "BAD_INPUT",
      where: "trace.model",
      message: 'the trace is of "tiny" (3 layers), not of "small" (3 layers)',
    });
    expect(() => parseTrace(text, { model: "small", layers: 3 })).toThrow(refused);
    expect(() => parseTrace(text, { model: "tiny", layers: 3 })).toThrow(/trace\.sequences is not a list/);
    expect(parseTrace(JSON.stringify(trace), { model: "tiny", layers: 3 })).toEqual(parseTrace(JSON.stringify(trace)));
  });

  it("is refused in memory, and both are named", () => {
    expect(() => expectTraceOf(trace, { model: "tiny", layers: 3 })).not.toThrow();
    expect(() => expectTraceOf(trace, { model: "other", layers: 1 })).toThrow(
      expect.objectContaining({
        code: "BAD_INPUT",
        message: 'the trace is of "tiny" (3 layers), not of "other" (1 layer)',
      }),
    );
    expect(() => expectTraceOf(trace, { model: "tiny", layers: 2 })).toThrow(
      /"tiny" \(3 layers\).*"tiny" \(2 layers\)/,
    );
  });
});
