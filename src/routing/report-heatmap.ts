/** @file The map of one sequence: layers down, tokens across, as one small SVG; under a waveform where there is sound. */

import { escapeMarkup } from "../plot/escape.ts";
import { shorten } from "./report-html.ts";
import { STEPS, stepOf } from "./report-palette.ts";
import type { SequenceStatistics } from "./report-statistics.ts";
import { renderSeconds, renderWaveform, waveformHeight } from "./report-waveform.ts";
import type { LayerTrace, SequenceTrace } from "./trace-types.ts";

/** Sizes in SVG units: the room of the layers' names, and the edge above the map. */
const [LEFT, TOP] = [34, 4] as const;
/** The widest map that needs no scrolling on a page of full width. */
const WIDE = 900;
/** Height of the line that marks a key. */
const THIN = 2;

/** Sizes of cells. A cell stands in its column and row with a gap of one unit to the next. */
interface Sizes {
  readonly cell: number;
  readonly row: number;
  /** Size and mean advance of the letters of labels. */
  readonly font: number;
  readonly letter: number;
}

const SMALL: Sizes = { cell: 11, row: 13, font: 9, letter: 5.6 };
/** Columns are narrower under a waveform, so that a second of speech fits the page. */
const FRAMES: Sizes = { ...SMALL, cell: 9 };
const LARGE: Sizes = { cell: 20, row: 17, font: 11, letter: 6.8 };

/** Short sequences have room for cells that are easy to point at. */
function sizesOf(columns: number, sound: boolean): Sizes {
  if (sound) return FRAMES;
  const cell = Math.min(LARGE.cell, Math.floor(WIDE / columns));
  return cell >= 16 ? { ...LARGE, cell } : { ...SMALL, cell: Math.max(SMALL.cell, cell) };
}

/** λ below this share of the strongest is not drawn for tokens that were not selected: it would be too pale to see. */
const FAINT = 0.02;
/** Never paler than this step, so that a selected token with a small λ still reads as selected. */
const PALEST = 4;

/** Characters of a token under its column. */
const LABEL = 9;

/** What is to be drawn. */
export interface MapOptions {
  /** Tokens drawn, from the first. */
  readonly columns: number;
  /** The λ that gets the strongest colour. */
  readonly scale: number;
}

interface Geometry extends Sizes {
  readonly top: number;
  readonly columns: number;
}

/**
 * The cells of one kind as strokes, one path per shade: thousands of rectangles would make a page of many megabytes, and
 * relative moves along a row are the shortest way to say where a cell is.
 */
class Strokes {
  readonly #paths = new Map<number, { text: string; row: number; end: number }>();

  add(shade: number, row: number, y: number, x: number, width: number): void {
    const path = this.#paths.get(shade) ?? { text: "", row: -1, end: 0 };
    this.#paths.set(shade, path);
    path.text += path.row === row ? `m${x - path.end} 0h${width}` : `M${x} ${y}h${width}`;
    path.row = row;
    path.end = x + width;
  }

  render(draw: (shade: number, path: string) => string): string {
    return Array.from(this.#paths, ([shade, { text }]) => draw(shade, text)).join("");
  }
}

function addLayer(
  layer: LayerTrace,
  index: number,
  { top, cell, row, columns }: Geometry,
  scale: number,
  cells: { readonly heavy: Strokes; readonly light: Strokes; readonly keys: Strokes },
): void {
  const selected = new Set(layer.selected);
  const y = top + index * row + (row - 1) / 2;
  layer.weights.slice(0, columns).forEach((weight, place) => {
    const x = LEFT + place * cell;
    const step = Math.max(PALEST, stepOf(weight / scale));
    if (selected.has(place)) cells.heavy.add(step, index, y, x, cell - 1);
    else if (weight / scale >= FAINT) cells.light.add(stepOf(weight / scale), index, y, x + 2, cell - 5);
  });
  for (const place of layer.keys?.selected ?? []) {
    if (place < columns) cells.keys.add(0, index, y + (row - 1 - THIN) / 2, LEFT + place * cell, cell - 1);
  }
}

/** The pale ground of every routed row, and the dashes of every dense one. */
function grounds(sequence: SequenceTrace, { top, cell, row, columns }: Geometry): string {
  const wide = Math.max(0, columns * cell - 1);
  const lines = (dense: boolean): string =>
    sequence.layers
      .map((layer, i) => ((layer === null) === dense ? `M${LEFT} ${top + i * row + (row - 1) / 2}h${wide}` : ""))
      .join("");
  const [field, dense] = [lines(false), lines(true)];
  return [
    field === "" ? "" : `<path class="field" stroke-width="${row - 1}" d="${field}"/>`,
    dense === "" ? "" : `<path class="dense" d="${dense}"/>`,
  ].join("");
}

function cellPaths(sequence: SequenceTrace, geometry: Geometry, scale: number): string {
  const cells = { heavy: new Strokes(), light: new Strokes(), keys: new Strokes() };
  sequence.layers.forEach((layer, index) => {
    if (layer !== null) addLayer(layer, index, geometry, scale, cells);
  });
  return [
    grounds(sequence, geometry),
    `<g class="heavy" stroke-width="${geometry.row - 1}">`,
    cells.heavy.render((step, path) => `<path class="s${step}" d="${path}"/>`),
    `</g><g class="light" stroke-width="${geometry.row - 6}">`,
    cells.light.render((step, path) => `<path opacity="${(0.12 + (0.63 * step) / STEPS).toFixed(2)}" d="${path}"/>`),
    `</g><g class="keys" stroke-width="${THIN}">${cells.keys.render((_, path) => `<path d="${path}"/>`)}</g>`,
  ].join("");
}

/** What the map shows, in words, for those who cannot see it. */
function describe(sequence: SequenceTrace): string {
  const rows = sequence.layers.map((layer, index) =>
    layer === null ? `layer ${index} dense` : `layer ${index} ${layer.selected.length} of ${sequence.tokens.length}`,
  );
  return `Tokens on the heavy path by layer: ${rows.join(", ")}.`;
}

/** Names of the rows; a routed half of a layer is marked. */
function rowLabels(sequence: SequenceTrace, { top, row, font }: Geometry): string {
  const marks = { layer: "", attention: "a", ffn: "f" } as const;
  return sequence.layers
    .map((layer, i) => {
      const y = (top + i * row + (row - 1) / 2 + font / 3).toFixed(1);
      return `<text x="${LEFT - 7}" y="${y}" text-anchor="end">${i}${marks[layer?.part ?? "layer"]}</text>`;
    })
    .join("");
}

/** The tokens under their columns; frames of sound have seconds instead. */
function columnLabels({ audio, tokens }: SequenceTrace, columns: number): string[] {
  const named = audio === undefined ? columns : Math.min(columns, tokens.length - audio.frames);
  return tokens.slice(0, named).map((token) => shorten(token.replace(/^(?:patch|row) (?=\d+$)/, ""), LABEL));
}

/** Draws the first tokens of a sequence against all layers. */
export function renderHeatmap(sequence: SequenceTrace, numbers: SequenceStatistics, options: MapOptions): string {
  const { audio, tokens, layers } = sequence;
  const { columns, scale } = options;
  const sizes = sizesOf(columns, audio !== undefined);
  const { cell, row, font, letter } = sizes;
  const geometry = { ...sizes, columns, top: TOP + (audio === undefined ? 0 : waveformHeight) };
  const bottom = geometry.top + layers.length * row;
  const labels = columnLabels(sequence, columns);
  const longest = labels.reduce((most, text) => Math.max(most, Array.from(text).length), 2);
  const [width, height] = [LEFT + columns * cell + 4, Math.ceil(bottom + 10 + longest * letter)];
  const names = labels.map((text, i) => {
    const x = (LEFT + i * cell + (cell - 1) / 2 + font / 3).toFixed(1);
    return `<text transform="translate(${x} ${bottom + 6}) rotate(-90)" text-anchor="end">${escapeMarkup(text)}</text>`;
  });
  const at = { left: LEFT, top: TOP, cell, drawn: columns, tokens: tokens.length };
  const wave = audio === undefined ? "" : renderWaveform(audio, at, numbers);
  const seconds = audio === undefined ? "" : renderSeconds(audio, at, bottom + 12);
  return [
    `<svg class="map" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img"`,
    ` data-left="${LEFT}" data-cell="${cell}" aria-label="${escapeMarkup(describe(sequence))}">`,
    `<rect class="cursor" x="-99" y="${TOP - 2}" width="${cell}" height="${height - TOP}" rx="2"/>`,
    wave,
    cellPaths(sequence, geometry, scale),
    `<g class="labels" font-size="${font}" aria-hidden="true">${rowLabels(sequence, geometry)}${names.join("")}${seconds}</g>`,
    "</svg>",
  ].join("");
}
