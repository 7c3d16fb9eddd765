/** @file The HTML routing report: one self-contained page that shows which tokens took the heavy path. */

import { escapeMarkup } from "../plot/escape.ts";
import { renderCurve } from "./report-curve.ts";
import { renderHeader, renderLegend } from "./report-header.ts";
import { count } from "./report-html.ts";
import { renderLayers, renderOverlap } from "./report-layers.ts";
import { renderScores } from "./report-scores.ts";
import { reportScript, reportScriptHash } from "./report-script.ts";
import { renderSequence } from "./report-sequence.ts";
import { traceStatistics } from "./report-statistics.ts";
import type { TraceStatistics } from "./report-statistics.ts";
import { reportStyle } from "./report-style.ts";
import { renderTypes, renderVocabulary } from "./report-tokens.ts";
import type { RoutingTrace } from "./trace-types.ts";

/** How much of a trace is drawn; the statistics always cover all of it. */
export interface ReportOptions {
  /** Sequences drawn; default 64. */
  readonly maximumSequences?: number;
  /** Tokens drawn of each sequence; default 1,024. */
  readonly maximumTokens?: number;
}

function renderSequences(trace: RoutingTrace, numbers: TraceStatistics, options: ReportOptions): string {
  const { maximumSequences = 64, maximumTokens = 1024 } = options;
  const drawn = trace.sequences.slice(0, maximumSequences);
  const all = trace.sequences.length;
  const cut = `The first ${count(drawn.length)} of ${count(all)} sequences are drawn; the numbers above cover all.`;
  const shown = { maximumTokens, scale: numbers.weightScale };
  return [
    '<section aria-labelledby="sequences"><h2 id="sequences">Sequences</h2>',
    all === 0 ? '<p class="soft">The run had no sequences.</p>' : "",
    drawn.length === all ? "" : `<p class="note">${cut}</p>`,
    ...drawn.map((sequence, index) => renderSequence(sequence, index, shown)),
    "</section>",
  ].join("\n");
}

/** What the page may load: its own script and, where there are pictures, those that lie inside it. */
function contentPolicy(trace: RoutingTrace): string {
  const pictures = trace.sequences.some(({ image }) => image !== undefined) ? " img-src data:;" : "";
  const script = `script-src 'sha256-${reportScriptHash}'`;
  return `default-src 'none'; style-src 'unsafe-inline';${pictures} ${script}; base-uri 'none'; form-action 'none'`;
}

/**
 * Renders a trace as one HTML page: no network, a content security policy that allows only the page's own script, light
 * and dark by the reader's preference or choice. It reads the same without the script. Every string of the trace is escaped.
 * @example
 * await writeFile("report.html", renderRoutingReport(trace));
 */
export function renderRoutingReport(trace: RoutingTrace, options: ReportOptions = {}): string {
  const numbers = traceStatistics(trace);
  // A sweep's trace may hold nothing but its curve.
  const measured = trace.sequences.length > 0 || trace.curve === undefined;
  const run = measured
    ? [
        renderLegend(numbers),
        renderLayers(trace, numbers),
        renderScores(numbers),
        renderOverlap(trace),
        renderTypes(trace),
        renderVocabulary(numbers),
        renderSequences(trace, numbers, options),
      ]
    : [];
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${contentPolicy(trace)}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>Routing · ${escapeMarkup(trace.model)}</title>`,
    `<style>${reportStyle}</style>\n</head>\n<body>\n<main>`,
    renderHeader(trace, numbers),
    renderCurve(trace.curve ?? []),
    ...run,
    "<footer>Written by adapters-webgpu. λ is the router's weight of a token; dense layers run every token.</footer>",
    `</main>\n<script>${reportScript}</script>\n</body>\n</html>\n`,
  ]
    .filter((part) => part !== "")
    .join("\n");
}
