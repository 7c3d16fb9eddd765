/** @file The report of a trace as text: its numbers, what stands on the page, and that nothing of a trace becomes markup. */

import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cards, contrast, SERIES, series, shades, STEPS, stepOf } from "../../src/routing/report-palette.ts";
import { reportScript, reportScriptHash } from "../../src/routing/report-script.ts";
import { traceStatistics } from "../../src/routing/report-statistics.ts";
import { renderRoutingReport } from "../../src/routing/report.ts";
import { makeTrace } from "../../src/routing/trace.ts";
import type { RoutingTrace } from "../../src/routing/trace.ts";
import { audioSample, imageSample, textTrace } from "./sample-traces.ts";

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

describe("traceStatistics", () => {
  it("counts by layer, by number of layers and by token", () => {
    const numbers = traceStatistics(trace);
    expect(numbers).toMatchObject({ tokens: 5, routedLayers: 2, heavyShare: 0.6, histogram: [1, 2, 2] });
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
            types: [`t${value}`, "u"],
            label: value,
            predicted: `p${value}`,
            layers: [null, null, { selected: [0], weights: [1, 0], scores: [1, 0] }],
          },
        ],
        curve: ["a", `r${value}`].map((router) => ({
          router,
          attention: value,
          metric: value,
          reduction: 2,
          value: 0.5,
          milliseconds: 1,
          speedUp: null,
        })),
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

  it("draws λ and selection of every token, and the keys of a second router", () => {
    const layer = { selected: [0, 2], weights: [1, 0.5, 0.2], scores: null, part: "attention" as const };
    const keys = { selected: [1, 2], weights: [0, 1, 1] };
    const sequence = { tokens: ["a", "b", "c"], layers: [{ ...layer, keys }, null, null] };
    const html = renderRoutingReport({ ...trace, sequences: [sequence] });
    const map = /<svg class="map"[\s\S]*?<\/svg>/.exec(html)?.[0] ?? "";
    const cells = (kind: string): number => {
      const group = new RegExp(`<g class="${kind}"[\\s\\S]*?</g>`).exec(map)?.[0] ?? "";
      return group.match(/ d="[^"]*"/g)?.reduce((sum, path) => sum + (path.match(/h\d+/g)?.length ?? 0), 0) ?? 0;
    };
    expect([cells("heavy"), cells("light"), cells("keys")]).toEqual([2, 1, 2]);
    // λ = 1 has the strongest colour; 0.2 is drawn in the palest that still reads as selected.
    expect(map).toContain(`class="s${STEPS}"`);
    expect(map).toContain('class="s4"');
    expect(map).toContain(">0a</text>");
    expect(html).toContain("chosen as a key");
    expect(html).toContain("<td>attention</td>");
    expect(html).not.toContain("Scores by layer");
  });

  it("scales the colours of a router whose λ is not bounded", () => {
    const layers = [{ selected: [0], weights: [8, 2], scores: [8, 2] }, null, null];
    const html = renderRoutingReport({ ...trace, sequences: [{ tokens: ["a", "b"], layers }] });
    expect(html).toContain("λ from 0 to 8");
    expect(html).toContain(`<g class="heavy" stroke-width="16"><path class="s${STEPS}" d="M34 12h19"/></g>`);
    expect(html).toContain('<path opacity="0.28"');
  });

  it("draws histograms, overlaps and types with their numbers", () => {
    expect(page.match(/<svg class="scores"/g)).toHaveLength(2);
    // Sequence 0 selects scores 3 and 2 in layer 1, sequence 1 selects 5: the k-th are 2 and 5.
    expect(page).toContain(
      "Layer 1: scores of 3 selected and 2 other tokens from −1 to 5. The median k-th score is 3.5.",
    );
    // {0, 2} and {1, 2}: 1 of 3; {0} and {0}: 1 of 1.
    expect(page).toContain('title="layers 1 and 2: 66.7 %">67</td>');
    expect(page).toContain('<th scope="row"><bdi>letters</bdi></th><td>3</td>');
    expect(page).toContain('title="letters, layer 2: 66.7 %"');
  });

  it("has no line where selection does not follow the scores", () => {
    const layers = [{ selected: [0], weights: [1, 1], scores: [0, 1] }, null, null];
    const html = renderRoutingReport({ ...trace, sequences: [{ tokens: ["a", "b"], layers }] });
    expect(html).toContain('<svg class="scores"');
    expect(html).not.toContain("k-th");
  });

  it("says which sequences were right", () => {
    expect(page).not.toContain("Right answers");
    const html = renderRoutingReport(textTrace());
    expect(html).toContain("<dt>Right answers</dt><dd>75.0 % <small>of 4</small></dd>");
    expect(html).toContain("wrong: <bdi>nitro</bdi>, not <bdi>acetyl</bdi>");
  });

  it("draws a curve with a point per run, and a sweep's trace that holds nothing else", () => {
    const { curve = [] } = textTrace();
    const html = renderRoutingReport({ ...trace, layers: 0, sequences: [], curve });
    expect(html.match(/<svg class="chart"/g)).toHaveLength(2);
    // One circle per point in each chart, and one per router and attention in the key.
    expect(html.match(/<circle/g)).toHaveLength(2 * curve.length + 8);
    expect(html).toContain("<title>learned · k-to-all, r = 3: 0.949</title>");
    expect(html).toContain("<dt>Measured points</dt><dd>40</dd>");
    expect(html).not.toContain("The run had no sequences");
    const slow = curve.map((point) => ({ ...point, milliseconds: null }));
    expect(renderRoutingReport({ ...trace, curve: slow })).toContain("speed-up over dense");
    const bare = slow.map((point) => ({ ...point, speedUp: null }));
    expect(renderRoutingReport({ ...trace, curve: bare })).toContain("Quality against r");
    expect(renderRoutingReport({ ...trace, curve: bare.slice(0, 1) })).not.toMatch(/NaN|Infinity/);
    const far = curve.map((point, i) => ({ ...point, value: (i % 2 === 0 ? 1 : -1) * 1.5e308 }));
    expect(renderRoutingReport({ ...trace, curve: far })).not.toMatch(/NaN|Infinity/);
    const rising = curve.map((point, i) => ({ ...point, metric: "loss", value: i < 2 ? 1e-30 : -4 }));
    expect(renderRoutingReport({ ...trace, curve: rising })).not.toMatch(/NaN|Infinity/);
  });

  it("draws sound above its frames, and pictures under their patches", () => {
    const sound = renderRoutingReport(audioSample());
    expect(sound.match(/class="wave"/g)).toHaveLength(2);
    expect(sound).toContain(">0.2 s</text>");
    expect(sound).not.toContain("img-src");
    const [clip] = audioSample().sequences as [RoutingTrace["sequences"][number]];
    for (const seconds of [5e-324, 1.5e308]) {
      const audio = { ...(clip.audio as NonNullable<typeof clip.audio>), seconds };
      expect(renderRoutingReport({ ...audioSample(), sequences: [{ ...clip, audio }] })).not.toMatch(/NaN|Infinity/);
    }
    const pictures = renderRoutingReport(imageSample());
    expect(pictures).toContain("img-src data:;");
    // Each picture lies in the page once and is drawn once for all layers and once per layer.
    expect(pictures.match(/href="data:image\/png;base64,[A-Za-z0-9+/=]+"/g)).toHaveLength(3);
    expect(pictures.match(/<use href="#image-\d"/g)).toHaveLength(3 * (1 + 4));
    expect(pictures).toContain("Layer 0 kept 8 of 16 patches");
    expect(pictures.replace(/(?:data:image\/png|#image-)[^"]*/g, "")).not.toMatch(/(?:src|href)="[^"]|url\(|https?:/);
  });

  it("draws 64 of a thousand sequences in a page of moderate size", () => {
    const few = textTrace();
    const sequences = Array.from({ length: 1000 }, (_, i) => few.sequences[i % 4] as (typeof few.sequences)[number]);
    const many = renderRoutingReport({ ...few, sequences });
    expect(many.match(/<article/g)).toHaveLength(64);
    expect(many).toContain("The first 64 of 1\u202F000 sequences are drawn");
    expect(many.length).toBeLessThan(2_000_000);
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

  it("has lines that are seen on cards in both themes (WCAG graphics)", () => {
    for (const theme of ["light", "dark"] as const) {
      expect(new Set(series[theme]).size).toBe(SERIES);
      for (const color of series[theme]) expect(contrast(color, cards[theme]), color).toBeGreaterThanOrEqual(3);
    }
  });
});
