/** @file The map of one sequence: layers down, tokens across, as one small SVG. */

import { escapeHtml, shorten } from "./report-html.ts";
import { STEPS, stepOf } from "./report-palette.ts";
import type { SequenceTrace } from "./trace.ts";

/** Sizes in SVG units; the page's script finds the token under the pointer with `left` and `cell`. */
export const mapGeometry = { left: 34, top: 4, cell: 11, row: 13, letter: 5.6 } as const;

/** λ below this is not drawn for tokens that were not selected: it would be a dot too pale to see. */
const FAINT = 0.02;

/** Characters of a token under its column. */
const LABEL = 9;

/** Paths of the cells: one path per shade, because thousands of rectangles would make a page of many megabytes. */
function cellPaths(sequence: SequenceTrace, columns: number): string {
  const { left, top, cell, row } = mapGeometry;
  const heavy = new Map<number, string>();
  const light = new Map<number, string>();
  const dense: string[] = [];
  sequence.layers.forEach((layer, index) => {
    const y = top + index * row;
    if (layer === null) {
      dense.push(`M${left} ${y + row / 2 - 0.5}h${columns * cell - 1}`);
      return;
    }
    const selected = new Set(layer.selected);
    layer.weights.slice(0, columns).forEach((weight, place) => {
      const x = left + place * cell;
      if (selected.has(place)) {
        // Never paler than step 3, so that a selected token with a small λ still reads as selected.
        const step = Math.max(3, stepOf(weight));
        heavy.set(step, `${heavy.get(step) ?? ""}M${x} ${y}h10v12h-10z`);
      } else if (weight >= FAINT) {
        const step = Math.max(3, stepOf(weight));
        light.set(step, `${light.get(step) ?? ""}M${x + 3} ${y + 4}h4v4h-4z`);
      }
    });
  });
  const field = `<path class="field" d="${fieldPath(sequence, columns)}"/>`;
  const band = dense.length === 0 ? "" : `<path class="dense" d="${dense.join("")}"/>`;
  const squares = Array.from(heavy, ([step, path]) => `<path class="f${step}" d="${path}"/>`);
  const dots = Array.from(
    light,
    ([step, path]) => `<path class="dot" opacity="${(step / STEPS).toFixed(2)}" d="${path}"/>`,
  );
  return [field, band, ...squares, ...dots].join("");
}

/** The pale ground of every routed row. */
function fieldPath(sequence: SequenceTrace, columns: number): string {
  const { left, top, cell, row } = mapGeometry;
  return sequence.layers
    .map((layer, index) =>
      layer === null ? "" : `M${left} ${top + index * row}h${columns * cell - 1}v12h-${columns * cell - 1}z`,
    )
    .join("");
}

/** What the map shows, in words, for those who cannot see it. */
function describe(sequence: SequenceTrace): string {
  const rows = sequence.layers.map((layer, index) =>
    layer === null ? `layer ${index} dense` : `layer ${index} ${layer.selected.length} of ${sequence.tokens.length}`,
  );
  return `Tokens on the heavy path by layer: ${rows.join(", ")}.`;
}

/** Draws the first `columns` tokens of a sequence against all layers. */
export function renderHeatmap(sequence: SequenceTrace, columns: number): string {
  const { left, top, cell, row, letter } = mapGeometry;
  const bottom = top + sequence.layers.length * row;
  const labels = sequence.tokens.slice(0, columns).map((token) => shorten(token, LABEL));
  const longest = labels.reduce((most, text) => Math.max(most, Array.from(text).length), 0);
  const [width, height] = [left + columns * cell + 4, Math.ceil(bottom + 10 + longest * letter)];
  const layers = sequence.layers.map(
    (_, i) => `<text x="${left - 7}" y="${top + i * row + 9.5}" text-anchor="end">${i}</text>`,
  );
  const tokens = labels.map((text, i) => {
    const [x, y] = [left + i * cell + 8, bottom + 6];
    return `<text transform="translate(${x} ${y}) rotate(-90)" text-anchor="end">${escapeHtml(text)}</text>`;
  });
  return [
    `<svg class="map" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img"`,
    ` aria-label="${escapeHtml(describe(sequence))}">`,
    `<rect class="cursor" x="-99" y="${top - 2}" width="${cell}" height="${height - top}" rx="2"/>`,
    cellPaths(sequence, columns),
    `<g class="labels" aria-hidden="true">${layers.join("")}${tokens.join("")}</g>`,
    "</svg>",
  ].join("");
}
