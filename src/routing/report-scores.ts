/** @file Histograms of the routers' scores, layer by layer, split into tokens that took the heavy path and those that did not. */

import { count, numeral, section } from "./report-html.ts";
import type { ScoreHistogram, TraceStatistics } from "./report-statistics.ts";

const [WIDTH, HEIGHT, LEFT, FLOOR] = [232, 104, 4, 84] as const;

/** The line of the k-th score, with its number on the side that has room. */
function thresholdLine({ low, high, threshold }: ScoreHistogram): string {
  if (threshold === null || high === low) return "";
  const share = (threshold / 2 - low / 2) / (high / 2 - low / 2);
  const x = (LEFT + share * (WIDTH - 2 * LEFT)).toFixed(1);
  const [shift, anchor] = share > 0.6 ? [-4, "end"] : [4, "start"];
  const label = `<text class="limit" x="${(Number(x) + shift).toFixed(1)}" y="11" text-anchor="${anchor}">k-th ${numeral(threshold)}</text>`;
  return `<path class="limit" d="M${x} 2V${FLOOR}"/>${label}`;
}

function describe({ layer, low, high, selected, others, threshold }: ScoreHistogram): string {
  const total = (bins: readonly number[]): string => count(bins.reduce((sum, value) => sum + value, 0));
  const limit = threshold === null ? "" : ` The median k-th score is ${numeral(threshold)}.`;
  return `Layer ${layer}: scores of ${total(selected)} selected and ${total(others)} other tokens from ${numeral(low)} to ${numeral(high)}.${limit}`;
}

function renderHistogram(histogram: ScoreHistogram): string {
  const { layer, low, high, selected, others } = histogram;
  const bins = selected.length;
  const most = Math.max(1, ...selected.map((value, bin) => value + (others[bin] ?? 0)));
  const step = (WIDTH - 2 * LEFT) / bins;
  // Room for the label of the line above the highest bar.
  const scale = (FLOOR - 16) / most;
  const bar = (bin: number, from: number, amount: number): string => {
    if (amount === 0) return "";
    const height = Math.max(0.75, amount * scale);
    const [x, y] = [LEFT + bin * step + 0.5, FLOOR - from * scale - height];
    return `M${x.toFixed(1)} ${y.toFixed(1)}h${(step - 1).toFixed(1)}v${height.toFixed(1)}h-${(step - 1).toFixed(1)}z`;
  };
  const heavy = selected.map((amount, bin) => bar(bin, 0, amount)).join("");
  const light = others.map((amount, bin) => bar(bin, selected[bin] ?? 0, amount)).join("");
  const middle =
    low === high ? "" : `<text x="${WIDTH - LEFT}" y="${HEIGHT - 6}" text-anchor="end">${numeral(high)}</text>`;
  return [
    `<figure><figcaption>Layer ${layer}</figcaption>`,
    `<svg class="scores" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${describe(histogram)}">`,
    `<path class="axis" d="M${LEFT} ${FLOOR + 0.5}H${WIDTH - LEFT}"/>`,
    `<path class="others" d="${light}"/><path class="heavy" d="${heavy}"/>${thresholdLine(histogram)}`,
    `<text x="${LEFT}" y="${HEIGHT - 6}">${numeral(low)}</text>${middle}</svg></figure>`,
  ].join("");
}

/** One small histogram per layer whose router scores. */
export function renderScores(numbers: TraceStatistics): string {
  if (numbers.scores.length === 0) return "";
  const silent = numbers.routedLayers - numbers.scores.length;
  const rest = silent <= 0 ? "" : ` ${silent} routed ${silent === 1 ? "layer has" : "layers have"} no scores.`;
  const lined = numbers.scores.some(({ threshold }) => threshold !== null);
  const line = lined ? " The line is the k-th largest score, as the median over the sequences." : "";
  return section(
    "scores",
    "Scores by layer",
    `What the router gave to the tokens that took the heavy path and to the others.${line}${rest}`,
    '<ul class="key"><li><i class="square"></i>heavy path</li><li><i class="square others"></i>light path only</li></ul>',
    `<div class="histograms">${numbers.scores.map(renderHistogram).join("\n")}</div>`,
  );
}
