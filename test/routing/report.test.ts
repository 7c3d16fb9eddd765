/** @file Traces and their report: what is read back, what is refused, and what stands on the page. */

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contrast, shades, STEPS, stepOf } from "../../src/routing/report-palette.ts";
import { reportScript, reportScriptHash } from "../../src/routing/report-script.ts";
import { traceStatistics } from "../../src/routing/report-statistics.ts";
import { renderRoutingReport } from "../../src/routing/report.ts";
import { makeTrace, parseTrace, type RoutingTrace } from "../../src/routing/trace.ts";

const trace: RoutingTrace = makeTrace({
  model: "tiny <model>",
  device: "test & device",
  settings: { reduction: [null, 2, 2], attention: "k-to-all", softTopK: "exact", seed: 0 },
  tokens: [
    ["[CLS]", "C", "O"],
    ["<script>alert(1)</script>", "C"],
  ],
  texts: ["CO", '"><img src=x>'],
  routing: [
    null,
    {
      selected: Uint32Array.of(0, 2, 3),
      weights: Float32Array.of(1, 0.1, 0.5, 0.75, 0.25),
      scores: Float32Array.of(3, -1, 2, 5, 4),
    },
    {
      selected: Uint32Array.of(1, 2, 3),
      weights: Float32Array.of(0, 1, 0.5, 1, 0),
      scores: Float32Array.of(0, 1, 2, 3, 4),
    },
  ],
});

describe("makeTrace", () => {
  it("cuts packed rows into sequences with places of their own", () => {
    expect(trace.layers).toBe(3);
    expect(trace.sequences[0]?.layers).toEqual([
      null,
      { selected: [0, 2], weights: [1, 0.100000001, 0.5], scores: [3, -1, 2] },
      { selected: [1, 2], weights: [0, 1, 0.5], scores: [0, 1, 2] },
    ]);
    expect(trace.sequences[1]?.layers[2]).toEqual({ selected: [0], weights: [1, 0], scores: [3, 4] });
  });

  it("refuses tokens of another batch", () => {
    const layer = { selected: new Uint32Array(0), weights: new Float32Array(2), scores: new Float32Array(2) };
    const source = { model: "", device: "", settings: {}, tokens: [["a"]], routing: [layer] };
    expect(() => makeTrace(source)).toThrow(expect.objectContaining({ code: "SHAPE", where: "routing[0]" }));
  });
});

describe("parseTrace", () => {
  it("reads back what was written", () => {
    expect(parseTrace(JSON.stringify(trace))).toEqual(trace);
  });

  it("names the place of each fault", () => {
    const layer = ["sequences", 0, "layers", 1];
    const faults: [where: string, path: (string | number)[], value: unknown][] = [
      ["trace.format", ["format"], "other"],
      ["trace.version", ["version"], 2],
      ["trace.model", ["model"], undefined],
      ["trace.settings", ["settings"], []],
      ["trace.layers", ["layers"], -1],
      ["trace.sequences", ["sequences"], {}],
      ["trace.sequences[1].layers", ["sequences", 1, "layers"], [null, null]],
      ["trace.sequences[0].tokens[1]", ["sequences", 0, "tokens", 1], 5],
      ["trace.sequences[0].text", ["sequences", 0, "text"], null],
      ["trace.sequences[0].layers[1]", layer, 7],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [2, 0]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [1, 1]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [3]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [-1]],
      ["trace.sequences[0].layers[1].selected", [...layer, "selected"], [0.5]],
      ["trace.sequences[0].layers[1].weights", [...layer, "weights"], [1, 2]],
      ["trace.sequences[0].layers[1].scores", [...layer, "scores"], [1, null, 2]],
    ];
    for (const [where, path, value] of faults) {
      const copy: unknown = structuredClone(trace);
      const parent = path.slice(0, -1).reduce((at, key) => (at as Record<string, unknown>)[key], copy);
      (parent as Record<string, unknown>)[String(path.at(-1))] = value;
      expect(() => parseTrace(JSON.stringify(copy)), where).toThrow(
        expect.objectContaining({ code: "BAD_FILE", where }),
      );
    }
    expect(() => parseTrace("{")).toThrow(expect.objectContaining({ code: "BAD_FILE" }));
    expect(() => parseTrace("null")).toThrow(/is not an object/);
  });
});

describe("traceStatistics", () => {
  it("counts by layer, by number of layers and by token", () => {
    const numbers = traceStatistics(trace);
    expect(numbers).toMatchObject({ tokens: 5, routedLayers: 2, heavyShare: 0.6, histogram: [1, 2, 2] });
    expect(numbers.layers[0]).toMatchObject({ tokens: 0, selected: 0 });
    expect(numbers.layers[1]).toMatchObject({ tokens: 5, selected: 3, selectedWeight: 0.75 });
    expect(numbers.layers[1]?.otherWeight).toBeCloseTo(0.175, 7);
    expect(numbers.vocabulary.map(({ token, occurrences, share }) => [token, occurrences, share])).toEqual([
      ["O", 1, 1],
      ["<script>alert(1)</script>", 1, 1],
      ["[CLS]", 1, 0.5],
      ["C", 2, 0.25],
    ]);
  });
});

describe("renderRoutingReport", () => {
  const page = renderRoutingReport(trace);

  it("shows the model, the device, the settings and the totals", () => {
    expect(page).toContain("<h1>tiny &lt;model&gt;</h1>");
    expect(page).toContain("test &amp; device");
    expect(page).toContain('<dt>reduction</dt><dd class="mono">dense, 2 × 2</dd>');
    expect(page).toContain("<dt>Routed layers</dt><dd>2 <small>of 3</small></dd>");
    expect(page).toContain("<dt>On the heavy path</dt><dd>60.0 %</dd>");
  });

  it("colours each token by its layers and names them", () => {
    expect(page).toContain(
      `<li class="h${STEPS / 2}" tabindex="0" title="0 · [CLS] · heavy in layer 1 (1 of 2) · mean λ 0.500">[CLS]</li>`,
    );
    expect(page).toContain(
      `<li class="h${STEPS}" tabindex="-1" title="2 · O · heavy in layers 1, 2 (2 of 2) · mean λ 0.500">O</li>`,
    );
    expect(page).toContain(
      '<li class="h0" tabindex="-1" title="1 · C · heavy in no layer (0 of 2) · mean λ 0.125">C</li>',
    );
    expect(page.match(/<ol class="tokens"/g)?.length).toBe(2);
    expect(page).toContain("Tokens on the heavy path by layer: layer 0 dense, layer 1 2 of 3, layer 2 2 of 3.");
  });

  it("needs no network and lets only its own script run", () => {
    expect(reportScriptHash).toBe(createHash("sha256").update(reportScript).digest("base64"));
    expect(page).toContain(`script-src 'sha256-${reportScriptHash}'`);
    expect(page).toContain("default-src 'none'");
    expect(page).not.toMatch(/<[^<>]*\s(?:src|href)=|url\(|@import|https?:/);
    expect(page).toContain("prefers-color-scheme:dark");
    expect(page.match(/<script>/g)?.length).toBe(1);
  });

  it("escapes whatever a token, text, name or setting holds", () => {
    expect(page).toContain("&lt;script&gt;alert(1)&lt;/script&gt;</li>");
    expect(page).toContain("&quot;&gt;&lt;img src=x&gt;</span>");
    const tags = (html: string): number => html.match(/<[a-z!/]/gi)?.length ?? 0;
    const hostile = fc.string({
      unit: fc.constantFrom("<", ">", '"', "'", "&", "</li>", "<!--", "\0", "\uD800", "\u202E", "`"),
    });
    const build = (value: string): string =>
      renderRoutingReport({
        ...trace,
        model: value,
        device: value,
        settings: { [`k${value}`]: value },
        sequences: [
          {
            text: value,
            tokens: [`t${value}`, "u"],
            layers: [null, null, { selected: [0], weights: [1, 0], scores: [1, 0] }],
          },
        ],
      });
    const plain = tags(build("plain"));
    fc.assert(
      fc.property(hostile, (value) => {
        const html = build(value);
        expect(tags(html)).toBe(plain);
        expect(html).not.toMatch(/\p{Cs}/u);
        expect(html).not.toContain("\0");
      }),
      { numRuns: 200 },
    );
  });

  it("makes empty tokens and spaces visible", () => {
    const layers = [null, null, null];
    const html = renderRoutingReport({ ...trace, sequences: [{ tokens: ["", "  ", "\n"], layers }] });
    expect(html).toContain(">∅</li>");
    expect(html).toContain(">␣␣</li>");
    expect(html).toContain(">␊</li>");
    expect(html).toContain("heavy in no layer (0 of 0)");
  });

  it("draws at most so many sequences and tokens, and says so", () => {
    const cut = renderRoutingReport(trace, { maximumSequences: 1, maximumTokens: 2 });
    expect(cut.match(/<article/g)?.length).toBe(1);
    expect(cut.match(/<li class="h\d+" tabindex/g)?.length).toBe(2);
    expect(cut).toContain("The first 1 of 2 sequences are drawn");
    expect(cut).toContain("and 1 more tokens, not drawn");
    expect(page).not.toContain("are drawn");
  });

  it("takes a trace without sequences, and one without layers", () => {
    expect(renderRoutingReport({ ...trace, sequences: [] })).toContain("The run had no sequences.");
    const bare = renderRoutingReport({ ...trace, layers: 0, sequences: [{ tokens: ["a"], layers: [] }] });
    expect(bare).toContain("<dt>On the heavy path</dt><dd>–</dd>");
    for (const html of [bare, renderRoutingReport({ ...trace, sequences: [] })]) {
      expect(html.slice(html.indexOf("<main>"), html.indexOf("<script>"))).not.toMatch(/NaN|undefined|Infinity/);
    }
  });
});

describe("the ramp", () => {
  it("keeps 0 and all to themselves", () => {
    expect([0, 1e-9, 0.5, 1 - 1e-9, 1, 1.5, -1, Number.NaN].map(stepOf)).toEqual([0, 1, 6, 11, 12, 12, 0, 0]);
  });

  it("is readable at every step in both themes (WCAG AA)", () => {
    for (const theme of ["light", "dark"] as const) {
      const steps = shades(theme);
      expect(steps.length).toBe(STEPS + 1);
      for (const { paper, ink } of steps) expect(contrast(paper, ink), `${theme} ${paper}`).toBeGreaterThanOrEqual(4.5);
    }
    expect(contrast("#000000", "#ffffff")).toBeCloseTo(21, 5);
  });
});
