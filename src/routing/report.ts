/** @file The HTML routing report: one self-contained page that shows which tokens took the heavy path. */

import { renderHeatmap } from "./report-heatmap.ts";
import { count, escapeHtml, percent, shorten, tokenHtml } from "./report-html.ts";
import { stepOf } from "./report-palette.ts";
import { reportScript, reportScriptHash } from "./report-script.ts";
import {
  type LayerStatistics,
  sequenceStatistics,
  type TokenStatistics,
  type TraceStatistics,
  traceStatistics,
} from "./report-statistics.ts";
import { reportStyle } from "./report-style.ts";
import type { Json, RoutingTrace, SequenceTrace } from "./trace.ts";

/** How much of a trace is drawn; the statistics always cover all of it. */
export interface ReportOptions {
  /** Sequences drawn; default 64. */
  readonly maximumSequences?: number;
  /** Tokens drawn of each sequence; default 1,024. */
  readonly maximumTokens?: number;
}

/** Tokens in each of the tables of tokens that were most and least often heavy. */
const TABLE_ROWS = 8;

/** A setting in a few words: equal neighbours in a list are counted, and null in a list means dense. */
function settingText(value: Json): string {
  if (!Array.isArray(value)) return typeof value === "string" ? value : JSON.stringify(value);
  const runs: { text: string; times: number }[] = [];
  for (const item of value as readonly Json[]) {
    const text = item === null ? "dense" : settingText(item);
    const last = runs.at(-1);
    if (last?.text === text) last.times += 1;
    else runs.push({ text, times: 1 });
  }
  return runs.map(({ text, times }) => (times === 1 ? text : `${text} × ${times}`)).join(", ");
}

function renderHeader(trace: RoutingTrace, numbers: TraceStatistics): string {
  const settings = Object.entries(trace.settings).map(
    ([name, value]) =>
      `<div><dt>${escapeHtml(name)}</dt><dd class="mono">${escapeHtml(shorten(settingText(value), 160))}</dd></div>`,
  );
  const facts = [
    ["Sequences", count(trace.sequences.length)],
    ["Tokens", count(numbers.tokens)],
    ["Routed layers", `${numbers.routedLayers} <small>of ${trace.layers}</small>`],
    ["On the heavy path", percent(numbers.heavyShare)],
  ].map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return [
    '<p class="over">Routing report</p>',
    `<h1>${escapeHtml(trace.model)}</h1>`,
    `<p class="soft">${escapeHtml(trace.device)}</p>`,
    settings.length === 0 ? "" : `<dl class="settings">${settings.join("")}</dl>`,
    `<dl class="facts">${facts.join("")}</dl>`,
  ].join("\n");
}

/** Legend and histogram in one: what each colour means, and how many tokens have it. */
function renderLegend(numbers: TraceStatistics): string {
  const routed = numbers.histogram.length - 1;
  const most = Math.max(1, ...numbers.histogram);
  const bars = numbers.histogram.map((tokens, heavy) => {
    const step = stepOf(heavy / Math.max(1, routed));
    const height = tokens === 0 ? 0 : Math.max(2, Math.round((70 * tokens) / most));
    return [
      `<li title="${count(tokens)} tokens were heavy in ${heavy} of ${routed} layers">`,
      `<span class="bar"><i class="h${step}" style="height:${height}px"></i></span>`,
      `<span class="swatch h${step}">${heavy}</span>`,
      `<span class="share">${percent(tokens / Math.max(1, numbers.tokens))}</span></li>`,
    ].join("");
  });
  return [
    '<section aria-labelledby="legend"><h2 id="legend">Layers per token</h2>',
    '<p class="soft">How many routed layers gave a token the heavy path. These are the colours of the tokens below.</p>',
    `<ol class="legend" start="0">${bars.join("")}</ol></section>`,
  ].join("\n");
}

function meter(share: number): string {
  const width = Number.isFinite(share) ? (100 * Math.min(1, Math.max(0, share))).toFixed(1) : "0";
  return `<td class="wide"><span class="meter"><i style="width:${width}%"></i></span></td>`;
}

function weightText(weight: number): string {
  return Number.isFinite(weight) ? weight.toFixed(3) : "–";
}

function layerRow(layer: LayerStatistics): string {
  if (layer.tokens === 0)
    return `<tr><th scope="row">${layer.layer}</th><td class="dense" colspan="5">dense: every token</td></tr>`;
  const share = layer.selected / layer.tokens;
  const cells = [
    percent(share),
    count(layer.selected),
    weightText(layer.selectedWeight),
    weightText(layer.otherWeight),
  ];
  return `<tr><th scope="row">${layer.layer}</th>${meter(share)}${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function renderLayers(numbers: TraceStatistics): string {
  const heads = ["Layer", "", "Share", "Tokens", "λ heavy", "λ light"];
  return [
    '<section aria-labelledby="layers"><h2 id="layers">By layer</h2>',
    '<p class="soft">Tokens on the heavy path, and the mean routing weight λ of those and of the others.</p>',
    '<div class="scroll" tabindex="0" role="region" aria-label="Table of layers"><table class="layers">',
    `<thead><tr>${heads.map((head) => `<th scope="col">${head}</th>`).join("")}</tr></thead>`,
    `<tbody>${numbers.layers.map(layerRow).join("\n")}</tbody></table></div></section>`,
  ].join("\n");
}

function tokenTable(caption: string, rows: readonly TokenStatistics[]): string {
  const body = rows.map(({ token, occurrences, share }) => {
    const name = `<th scope="row" class="mono"><bdi>${tokenHtml(shorten(token, 18))}</bdi></th>`;
    return `<tr>${name}${meter(share)}<td>${percent(share)}</td><td>${count(occurrences)}</td></tr>`;
  });
  const heads = ["Token", "", "Heavy", "Times"].map((head) => `<th scope="col">${head}</th>`).join("");
  return `<table><caption>${caption}</caption><thead><tr>${heads}</tr></thead><tbody>${body.join("\n")}</tbody></table>`;
}

/** The tokens at both ends of the order; only those that stand in the trace often enough to mean something. */
function renderVocabulary(numbers: TraceStatistics): string {
  const enough = Math.max(2, Math.ceil(numbers.tokens / 1000));
  const common = numbers.vocabulary.filter((entry) => entry.occurrences >= enough);
  if (common.length < 2) return "";
  const half = Math.min(TABLE_ROWS, Math.floor(common.length / 2));
  return [
    '<section aria-labelledby="vocabulary"><h2 id="vocabulary">By token</h2>',
    `<p class="soft">Share of routed layers in which a token was heavy; tokens that occur at least ${enough} times.</p>`,
    `<div class="tables">${tokenTable("Most often heavy", common.slice(0, half))}`,
    `${tokenTable("Least often heavy", common.slice(-half).reverse())}</div></section>`,
  ].join("\n");
}

function layerList(layers: readonly number[]): string {
  if (layers.length === 0) return "no layer";
  return `${layers.length === 1 ? "layer" : "layers"} ${layers.join(", ")}`;
}

function renderSequence(sequence: SequenceTrace, index: number, maximumTokens: number): string {
  const { routed, heavyLayers, meanWeights } = sequenceStatistics(sequence);
  const columns = Math.min(sequence.tokens.length, maximumTokens);
  const visits = heavyLayers.reduce((sum, layers) => sum + layers.length, 0);
  const tokens = sequence.tokens.slice(0, columns).map((token, place) => {
    const heavy = heavyLayers[place] ?? [];
    const visited = `heavy in ${layerList(heavy)} (${heavy.length} of ${routed})`;
    const tip = `${place} · ${token} · ${visited} · mean λ ${(meanWeights[place] ?? 0).toFixed(3)}`;
    const step = stepOf(heavy.length / Math.max(1, routed));
    return `<li class="h${step}" tabindex="${place === 0 ? 0 : -1}" title="${escapeHtml(tip)}">${tokenHtml(token)}</li>`;
  });
  const { text } = sequence;
  const source = text === undefined ? "" : `<span class="text mono">${escapeHtml(shorten(text, 400))}</span>`;
  const rest = sequence.tokens.length - columns;
  const share = percent(visits / (routed * sequence.tokens.length));
  return [
    `<article aria-label="Sequence ${index}"><header><b>${index}</b><span>${count(sequence.tokens.length)} tokens</span>`,
    `<span>${share} heavy</span>${source}</header>`,
    `<ol class="tokens" aria-label="Tokens of sequence ${index}">${tokens.join("")}</ol>`,
    rest > 0 ? `<p class="soft">… and ${count(rest)} more tokens, not drawn.</p>` : "",
    '<p class="readout" aria-hidden="true">Point at a token, or walk along them with the arrow keys.</p>',
    "<details><summary>Layers × tokens</summary>",
    `<div class="scroll" tabindex="0" role="region" aria-label="Map of sequence ${index}">`,
    `${renderHeatmap(sequence, columns)}</div>`,
    '<ul class="key"><li><i class="square"></i>heavy path, stronger for a larger λ</li>',
    '<li><i class="speck"></i>light path only, stronger for a larger λ</li><li><i class="dash"></i>dense layer</li></ul>',
    "</details></article>",
  ].join("\n");
}

function renderSequences(trace: RoutingTrace, options: ReportOptions): string {
  const { maximumSequences = 64, maximumTokens = 1024 } = options;
  const drawn = trace.sequences.slice(0, maximumSequences);
  const all = trace.sequences.length;
  const cut = `The first ${count(drawn.length)} of ${count(all)} sequences are drawn; the numbers above cover all.`;
  return [
    '<section aria-labelledby="sequences"><h2 id="sequences">Sequences</h2>',
    all === 0 ? '<p class="soft">The run had no sequences.</p>' : "",
    drawn.length === all ? "" : `<p class="note">${cut}</p>`,
    ...drawn.map((sequence, index) => renderSequence(sequence, index, maximumTokens)),
    "</section>",
  ].join("\n");
}

/**
 * Renders a trace as one HTML page: no network, a content security policy that allows only the page's own script, light
 * and dark by the reader's preference. Every string of the trace is escaped.
 * @example
 * await writeFile("report.html", renderRoutingReport(trace));
 */
export function renderRoutingReport(trace: RoutingTrace, options: ReportOptions = {}): string {
  const numbers = traceStatistics(trace);
  const script = `script-src 'sha256-${reportScriptHash}'`;
  const policy = `default-src 'none'; style-src 'unsafe-inline'; ${script}; base-uri 'none'; form-action 'none'`;
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Routing · ${escapeHtml(trace.model)}</title>`,
    `<style>${reportStyle}</style>\n</head>\n<body>\n<main>`,
    renderHeader(trace, numbers),
    renderLegend(numbers),
    renderLayers(numbers),
    renderVocabulary(numbers),
    renderSequences(trace, options),
    "<footer>Written by adapters-webgpu. λ is the router's soft top-k weight; dense layers run every token.</footer>",
    `</main>\n<script>${reportScript}</script>\n</body>\n</html>\n`,
  ].join("\n");
}
