/** @file The plot of the suite `routing`: speed-up against length, a line per reduction factor, one panel per shape and attention. */

import { plotGrid } from "../plot/line-plot.ts";
import type { LinePlot, Series } from "../plot/line-plot.ts";
import type { GainCurve } from "./routing-gains.ts";
import type { RoutingShape } from "./routing-units.ts";

/** Panels of one shape: k-to-k and k-to-all. */
const COLUMNS = 2;

/** Factors that no line shows keep their colour, so that plots of several runs can be laid side by side. */
const COLOURS: readonly number[] = [1, 2, 3, 4, 5, 8];

function seriesOf({ reduction, points }: GainCurve): Series[] {
  const at = COLOURS.indexOf(reduction);
  const colour = at < 0 ? {} : { colour: at };
  const measured = {
    name: `r = ${reduction}`,
    points: points.map(({ n, speedUp }) => ({ x: n, y: speedUp })),
    ...colour,
  };
  // With r = 1 nothing is saved: its ratio is the level of dense + adapter.
  if (reduction === 1) return [measured];
  const ratios = points.map(({ n, flopRatio }) => ({ x: n, y: flopRatio }));
  return [measured, { name: "FLOP ratio of the same r", points: ratios, dashed: true, ...colour }];
}

/** Panels of one shape have one scale, so that they can be compared, with some room above and below. */
function scaleOf(curves: readonly GainCurve[]): readonly number[] {
  const values = curves.flatMap(({ points }) => points.flatMap(({ speedUp, flopRatio }) => [speedUp, flopRatio]));
  return [0.9 * Math.min(1, ...values), 1.1 * Math.max(1, ...values)];
}

/** @returns the plot as SVG, or undefined where nothing has been measured that it could show. */
export function routingPlot(
  curves: readonly GainCurve[],
  shapes: readonly RoutingShape[],
  device: string,
): string | undefined {
  const panels = shapes.flatMap(({ name }): LinePlot[] => {
    const own = curves.filter(({ part, points }) => part === name && points.length > 0);
    const lengths = [...new Set(own.flatMap(({ points }) => points.map(({ n }) => n)))].toSorted((a, b) => a - b);
    return [...new Set(own.map(({ attention }) => attention))].map((attention) => ({
      title: `${name}, ${attention}`,
      series: own.filter((curve) => curve.attention === attention).flatMap(seriesOf),
      x: { label: "tokens n, batch 1", log: true, ticks: lengths },
      y: { label: "speed-up over dense + adapter", log: true, include: scaleOf(own) },
      level: { value: 1, name: "dense + adapter" },
    }));
  });
  if (panels.length === 0) return undefined;
  return plotGrid({ title: `Routed layers on ${device}`, panels, columns: COLUMNS });
}
