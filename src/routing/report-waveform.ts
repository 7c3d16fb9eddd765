/** @file The waveform above the map of a sequence: every frame shaded by the layers that kept it, above its own column. */

import { scaleFor } from "../plot/scale.ts";
import { numeral } from "./report-html.ts";
import { stepOf } from "./report-palette.ts";
import type { SequenceStatistics } from "./report-statistics.ts";
import type { AudioTrace } from "./trace-types.ts";

/** Heights in SVG units: the wave, the strip of full colours below it, and the gap to the map. */
const [WAVE, STRIP, GAP] = [64, 7, 6] as const;
/** All of it: the map begins so much lower. */
export const waveformHeight: number = WAVE + STRIP + GAP;

/** Where the columns of the map are. */
export interface Columns {
  /** x of the first token's column. */
  readonly left: number;
  readonly top: number;
  readonly cell: number;
  /** Columns drawn, of all tokens of the sequence. */
  readonly drawn: number;
  readonly tokens: number;
}

/** Neighbouring frames of one shade as one stroke. */
function shading(at: Columns, first: number, numbers: SequenceStatistics): Map<number, string> {
  const paths = new Map<number, string>();
  let column = first;
  while (column < at.drawn) {
    const step = (place: number): number =>
      stepOf((numbers.heavyLayers[place]?.length ?? 0) / Math.max(1, numbers.routed));
    const shade = step(column);
    let end = column + 1;
    while (end < at.drawn && step(end) === shade) end += 1;
    paths.set(shade, `${paths.get(shade) ?? ""}M${at.left + column * at.cell} 0h${(end - column) * at.cell}`);
    column = end;
  }
  return paths;
}

/** The outline of the envelope: the highest samples from left to right, the lowest back. */
function outline({ envelope }: AudioTrace, shown: number, from: number, width: number, middle: number): string {
  const pairs = envelope.slice(0, shown);
  // Quiet clips are drawn as high as loud ones: what counts is the shape.
  const peak = pairs.reduce((most, [low, high]) => Math.max(most, -low, high), 1e-3);
  const scale = (WAVE / 2 - 3) / peak;
  const point = (sample: number, index: number): string => {
    const x = from + ((index + 0.5) * width) / pairs.length;
    return `${x.toFixed(1)} ${(middle - sample * scale).toFixed(1)}`;
  };
  // A silent stretch is a line of one unit, not nothing.
  const top = pairs.map(([, high], i) => point(high + 0.5 / scale, i));
  const bottom = pairs.map(([low], i) => point(low - 0.5 / scale, i)).reverse();
  return pairs.length === 0 ? "" : `M${[...top, ...bottom].join("L")}z`;
}

/** Round places between the beginning and the end. */
function marks(seconds: number): number[] {
  return scaleFor([0, seconds]).ticks.filter((tick) => tick >= 0 && tick <= seconds);
}

/** The wave and its shades; sizes in the units of the map's SVG. */
export function renderWaveform(audio: AudioTrace, at: Columns, numbers: SequenceStatistics): string {
  const first = at.tokens - audio.frames;
  const frames = at.drawn - first;
  if (frames <= 0) return "";
  const [from, width] = [at.left + first * at.cell, frames * at.cell];
  const shown = Math.round((audio.envelope.length * frames) / audio.frames);
  const layer = (y: number, height: number, kind: string): string => {
    const strokes = Array.from(shading(at, first, numbers), ([step, path]) => `<path class="s${step}" d="${path}"/>`);
    return `<g class="${kind}" transform="translate(0 ${y + height / 2})" stroke-width="${height}">${strokes.join("")}</g>`;
  };
  return [
    `<g class="sound" aria-hidden="true">${layer(at.top, WAVE, "shade")}${layer(at.top + WAVE, STRIP, "strip")}`,
    `<path class="wave" d="${outline(audio, shown, from, width, at.top + WAVE / 2)}"/></g>`,
  ].join("");
}

/** The seconds under the columns of the frames, on the line `y`. */
export function renderSeconds(audio: AudioTrace, at: Columns, y: number): string {
  const first = at.tokens - audio.frames;
  const [from, width] = [at.left + first * at.cell, audio.frames * at.cell];
  return marks(audio.seconds)
    .map((second) => ({ second, x: from + (second / audio.seconds) * width }))
    .filter(({ x }) => x <= at.left + at.drawn * at.cell)
    .map(({ second, x }) => {
      const anchor = second === 0 ? "start" : x > from + width - 8 ? "end" : "middle";
      // The label of a class token ends where the sound begins.
      return `<text x="${(second === 0 ? x + 5 : x).toFixed(1)}" y="${y}" text-anchor="${anchor}">${numeral(second)} s</text>`;
    })
    .join("");
}
