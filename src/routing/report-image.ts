/** @file A picture with its patches: once shaded by the layers that kept each patch, and once per layer. */

import { STEPS, stepOf } from "./report-palette.ts";
import { pngUri } from "./report-png.ts";
import type { SequenceStatistics } from "./report-statistics.ts";
import { patchCount } from "./trace-media.ts";
import type { ImageTrace, SequenceTrace } from "./trace-types.ts";

/** Width in pixels of the large picture and of those of the layers. */
const [LARGE, SMALL] = [168, 76] as const;
/** How much of a patch that no layer kept is veiled: it must still be seen as part of the picture. */
const VEIL = 0.86;

/** Patches per row of a picture. */
export function patchColumns({ width, patch }: ImageTrace): number {
  return width / patch;
}

function square(image: ImageTrace, index: number): string {
  const columns = patchColumns(image);
  const [x, y] = [(index % columns) * image.patch, Math.floor(index / columns) * image.patch];
  return `M${x} ${y}h${image.patch}v${image.patch}h-${image.patch}z`;
}

/** Veils over the patches, thinner for a larger share, and a line around those that were kept by all. */
function overlays(image: ImageTrace, shares: readonly number[]): string {
  const veils = new Map<number, string>();
  let kept = "";
  shares.forEach((share, index) => {
    const step = stepOf(share);
    if (step === STEPS) kept += square(image, index);
    else veils.set(step, `${veils.get(step) ?? ""}${square(image, index)}`);
  });
  const paths = Array.from(
    veils,
    ([step, path]) => `<path class="veil" opacity="${(VEIL * (1 - step / STEPS)).toFixed(2)}" d="${path}"/>`,
  );
  return [...paths, kept === "" ? "" : `<path class="kept" d="${kept}"/>`].join("");
}

function picture(image: ImageTrace, index: number, width: number, shares: readonly number[], label: string): string {
  const height = Math.round((width * image.height) / image.width);
  const box = `width="${width}" height="${height}" viewBox="0 0 ${image.width} ${image.height}"`;
  return `<svg class="picture" ${box} role="img" aria-label="${label}"><use href="#image-${index}"/>${overlays(image, shares)}</svg>`;
}

/** The figures of one sequence's picture. */
export interface Pictures {
  /** The picture with all layers' choices; it must stand before the others, which use it. */
  readonly whole: string;
  /** One small picture per routed layer, where there are several. */
  readonly layers: string;
}

/**
 * Draws the picture of a sequence and what each layer kept of it.
 * @param index number of the sequence: it makes the picture's name on the page
 */
export function renderImage(
  sequence: SequenceTrace,
  image: ImageTrace,
  index: number,
  numbers: SequenceStatistics,
): Pictures {
  const patches = patchCount(image);
  const first = sequence.tokens.length - patches;
  const counts = Array.from({ length: patches }, (_, patch) => numbers.heavyLayers[first + patch]?.length ?? 0);
  const shares = counts.map((heavy) => heavy / Math.max(1, numbers.routed));
  const small = sequence.layers.flatMap((layer, number) => {
    if (layer === null) return [];
    const chosen = new Set(layer.selected);
    const own = Array.from({ length: patches }, (_, patch) => (chosen.has(first + patch) ? 1 : 0));
    const kept = own.filter((one) => one === 1).length;
    const label = `Layer ${number} kept ${kept} of ${patches} patches`;
    const caption = `<figcaption>layer ${number}<small>${kept} of ${patches}</small></figcaption>`;
    return [`<figure>${picture(image, index, SMALL, own, label)}${caption}</figure>`];
  });
  const source = `<image id="image-${index}" width="${image.width}" height="${image.height}" href="${pngUri(image)}"/>`;
  const all = picture(image, index, LARGE, shares, "The picture, clearer where more layers kept a patch");
  return {
    whole: `<svg class="unseen" aria-hidden="true"><defs>${source}</defs></svg>\n<figure>${all}<figcaption>all layers</figcaption></figure>`,
    // With one routed layer the first picture shows the same.
    layers: small.length < 2 ? "" : `<div class="by-layer">${small.join("")}</div>`,
  };
}
