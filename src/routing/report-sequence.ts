/** @file One sequence of the report: its tokens in the colours of their layers, its sound or picture, and its map. */

import { escapeMarkup } from "../plot/escape.ts";
import { renderHeatmap } from "./report-heatmap.ts";
import { count, numeral, percent, scrolling, shorten, tokenHtml } from "./report-html.ts";
import { patchColumns, renderImage } from "./report-image.ts";
import { stepOf } from "./report-palette.ts";
import { sequenceStatistics } from "./report-statistics.ts";
import type { SequenceStatistics } from "./report-statistics.ts";
import { patchCount } from "./trace-media.ts";
import type { SequenceTrace } from "./trace-types.ts";

function layerList(layers: readonly number[]): string {
  if (layers.length === 0) return "no layer";
  return `${layers.length === 1 ? "layer" : "layers"} ${layers.join(", ")}`;
}

function renderToken(sequence: SequenceTrace, place: number, numbers: SequenceStatistics): string {
  const { routed, heavyLayers, meanWeights } = numbers;
  const token = sequence.tokens[place] ?? "";
  const heavy = heavyLayers[place] ?? [];
  const visited = `heavy in ${layerList(heavy)} (${heavy.length} of ${routed})`;
  const tip = `${place} · ${token} · ${visited} · mean λ ${(meanWeights[place] ?? 0).toFixed(3)}`;
  const step = stepOf(heavy.length / Math.max(1, routed));
  const { image } = sequence;
  // In a picture the place says it all: "patch 12" would not fit its square. What is no patch has a line of its own.
  const shown = image === undefined ? token : token.replace(/^patch (?=\d+$)/, "");
  const wide = image !== undefined && place < sequence.tokens.length - patchCount(image) ? " wide" : "";
  const focus = `tabindex="${place === 0 ? 0 : -1}"`;
  return `<li class="h${step}${wide}" ${focus} title="${escapeMarkup(tip)}">${tokenHtml(shown)}</li>`;
}

/** Patches per row from which their squares are too small for numbers. */
const FINE = 8;

/** Tokens as running text, as a strip of frames, or in the places of their patches beside the picture. */
function renderTokens(sequence: SequenceTrace, index: number, columns: number, numbers: SequenceStatistics): string {
  const items = Array.from({ length: columns }, (_, place) => renderToken(sequence, place, numbers)).join("");
  const { image, audio } = sequence;
  const label = `aria-label="Tokens of sequence ${index}"`;
  if (image === undefined) return `<ol class="tokens${audio === undefined ? "" : " strip"}" ${label}>${items}</ol>`;
  const across = patchColumns(image);
  const kind = `tokens patches${across > FINE ? " fine" : ""}`;
  const list = `<ol class="${kind}" style="--columns:${across}" ${label}>${items}</ol>`;
  const { whole, layers } = renderImage(sequence, image, index, numbers);
  return `<div class="seen">${whole}<figure>${list}<figcaption>layers per patch</figcaption></figure>${layers}</div>`;
}

/** The right answer and the model's, where they are known. */
function renderAnswer({ label, predicted }: SequenceTrace): string {
  const name = (text: string): string => `<bdi>${escapeMarkup(shorten(text, 60))}</bdi>`;
  if (label === undefined && predicted === undefined) return "";
  if (predicted === undefined) return `<span>label ${name(label ?? "")}</span>`;
  if (label === undefined) return `<span>predicted ${name(predicted)}</span>`;
  if (label === predicted) return `<span class="right"><i aria-hidden="true">✓</i> right: ${name(label)}</span>`;
  return `<span class="wrong"><i aria-hidden="true">✗</i> wrong: ${name(predicted)}, not ${name(label)}</span>`;
}

function renderKey(sequence: SequenceTrace, scale: number): string {
  const routed = sequence.layers.filter((layer) => layer !== null);
  const marks = [
    `<i class="ramp"></i>heavy path, λ from 0 to ${numeral(scale)}`,
    '<i class="speck"></i>light path only, stronger for a larger λ',
    ...(routed.some(({ keys }) => keys !== undefined) ? ['<i class="under"></i>chosen as a key'] : []),
    ...(routed.length < sequence.layers.length ? ['<i class="dash"></i>dense layer'] : []),
    ...(routed.some(({ part }) => part === "attention") ? ["<b>a</b> attention only"] : []),
    ...(routed.some(({ part }) => part === "ffn") ? ["<b>f</b> feed-forward only"] : []),
  ];
  return `<ul class="key">${marks.map((mark) => `<li>${mark}</li>`).join("")}</ul>`;
}

/** What the page draws of every sequence. */
export interface SequenceOptions {
  readonly maximumTokens: number;
  /** The λ that gets the strongest colour. */
  readonly scale: number;
}

/** Draws one sequence. */
export function renderSequence(sequence: SequenceTrace, index: number, options: SequenceOptions): string {
  const numbers = sequenceStatistics(sequence);
  // A picture is not cut: its patches stand in rows.
  const columns = Math.min(sequence.tokens.length, sequence.image === undefined ? options.maximumTokens : Infinity);
  const visits = numbers.heavyLayers.reduce((sum, layers) => sum + layers.length, 0);
  const { text } = sequence;
  const source = text === undefined ? "" : `<span class="text mono">${escapeMarkup(shorten(text, 400))}</span>`;
  const rest = sequence.tokens.length - columns;
  const share = percent(visits / (numbers.routed * sequence.tokens.length));
  const map = renderHeatmap(sequence, numbers, { columns, scale: options.scale });
  return [
    `<article aria-label="Sequence ${index}"><header><b>${index}</b><span>${count(sequence.tokens.length)} tokens</span>`,
    `<span>${share} heavy</span>${renderAnswer(sequence)}${source}</header>`,
    renderTokens(sequence, index, columns, numbers),
    rest > 0 ? `<p class="soft">… and ${count(rest)} more tokens, not drawn.</p>` : "",
    '<p class="readout" aria-hidden="true"></p>',
    scrolling(`Map of sequence ${index}`, map),
    renderKey(sequence, options.scale),
    "</article>",
  ]
    .filter((part) => part !== "")
    .join("\n");
}
