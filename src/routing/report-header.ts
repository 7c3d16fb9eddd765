/** @file The head of the report: model, device, settings, totals, the choice of a theme, and the colours' legend. */

import { escapeMarkup } from "../plot/escape.ts";
import { count, percent, section, shorten } from "./report-html.ts";
import { stepOf } from "./report-palette.ts";
import type { TraceStatistics } from "./report-statistics.ts";
import { accuracy } from "./trace-measures.ts";
import type { Json, RoutingTrace } from "./trace-types.ts";

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

/** Radio buttons that the style sheet reads: the choice works without a script. */
function renderThemes(): string {
  const choices = ["auto", "light", "dark"].map((theme) => {
    const checked = theme === "auto" ? " checked" : "";
    const name = `${theme.charAt(0).toUpperCase()}${theme.slice(1)}`;
    return `<label><input type="radio" name="theme" id="theme-${theme}"${checked}><span>${name}</span></label>`;
  });
  return `<fieldset class="themes"><legend class="unseen">Colours of the page</legend>${choices.join("")}</fieldset>`;
}

function facts(trace: RoutingTrace, numbers: TraceStatistics): [name: string, value: string][] {
  if (trace.sequences.length === 0 && trace.curve !== undefined)
    return [["Measured points", count(trace.curve.length)]];
  const answered = accuracy(trace);
  const rate = answered === null ? "" : percent(answered.right / answered.of);
  return [
    ["Sequences", count(trace.sequences.length)],
    ["Tokens", count(numbers.tokens)],
    ["Routed layers", `${numbers.routedLayers} <small>of ${trace.layers}</small>`],
    ["On the heavy path", percent(numbers.heavyShare)],
    ...(answered === null
      ? []
      : [["Right answers", `${rate} <small>of ${count(answered.of)}</small>`] as [string, string]]),
  ];
}

/** Everything above the first section. */
export function renderHeader(trace: RoutingTrace, numbers: TraceStatistics): string {
  const settings = Object.entries(trace.settings).map(
    ([name, value]) =>
      `<div><dt>${escapeMarkup(name)}</dt><dd class="mono">${escapeMarkup(shorten(settingText(value), 160))}</dd></div>`,
  );
  const totals = facts(trace, numbers).map(([name, value]) => `<div><dt>${name}</dt><dd>${value}</dd></div>`);
  return [
    `<div class="top"><p class="over">Routing report</p>${renderThemes()}</div>`,
    `<h1>${escapeMarkup(trace.model)}</h1>`,
    `<p class="soft device">${escapeMarkup(trace.device)}</p>`,
    settings.length === 0 ? "" : `<dl class="settings">${settings.join("")}</dl>`,
    `<dl class="facts">${totals.join("")}</dl>`,
  ].join("\n");
}

/** Legend and histogram in one: what each colour means, and how many tokens have it. */
export function renderLegend(numbers: TraceStatistics): string {
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
  const lead = "How many routed layers gave a token the heavy path. These are the colours of the tokens below.";
  return section(
    "legend",
    "Layers per token",
    lead,
    `<ol class="legend" start="0" tabindex="0" aria-label="Tokens by number of layers">${bars.join("")}</ol>`,
  );
}
