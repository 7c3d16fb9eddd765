/**
 * @file Run-time lengths that the device finds while it runs: which launches follow them, and the launch that sets their grids.
 * Pure; tested without a GPU. The buffers stand in indirect-grids.ts.
 *
 * The host knows the most rows C that there can be, the device the K <= C that there are. Uniforms, buffers and bind groups are
 * made for C; a launch whose grid asks for the symbol is dispatched indirectly, over K rows and less than C / STEPS more. Those
 * rows hold whatever they held: gathers from them read an index that is past every source, scatters one past every target.
 */

import { EngineError } from "../errors.ts";
import type { Dim, Launch, SizeOf } from "../ops/op.ts";
import { callOf, sizeLookup, withSource } from "./schedule.ts";
import type { ScheduledLaunch, Sizes, Step } from "./schedule.ts";
import type { Value } from "./value.ts";

/** Grids that a launch has in its table, besides the one for no rows. */
export const GRID_STEPS = 64;

/** A grid that the host knows or the table holds. */
export type Grid = readonly [x: number, y: number, z: number];

const LANES = 64;
const KERNEL = "indirect-grids";

/** @returns the count on the device of every symbol that some step finds. Throws SHAPE when two steps find the same one. */
export function deviceCounts(steps: readonly Step[]): Map<string, Value> {
  const counts = new Map<string, Value>();
  for (const { node } of steps) {
    const count = node.op?.deviceCount?.(callOf(node));
    if (count === undefined) continue;
    if (counts.has(count.symbol)) {
      const message = `${node.label}: ${count.symbol} is counted twice; give every selection a symbol of its own`;
      throw new EngineError("SHAPE", message, { where: node.scope });
    }
    counts.set(count.symbol, node.outputs[count.output] as Value);
  }
  return counts;
}

/** @returns the count on the device of a value's rows: of its first axis; undefined where the host knows them. */
export function countOfRows(value: Value, counts: ReadonlyMap<string, Value>): Value | undefined {
  const [rows] = value.type.shape;
  return typeof rows === "object" ? counts.get(rows.symbol) : undefined;
}

/**
 * Marks the launches whose grid follows a count, and lets the step that counts set their grids. A grid that asks for several
 * counted symbols follows the last one found; it takes the others at the most there can be.
 */
export function followCounts(steps: readonly Step[], capacities: Sizes): Step[] {
  const counts = deviceCounts(steps);
  if (counts.size === 0) return [...steps];
  const found: string[] = [];
  const followers = new Map<string, number>();
  const marked = steps.map((step) => {
    const launches = step.launches.map((scheduled): ScheduledLaunch => {
      const asked = symbolsOf(scheduled.launch, capacities);
      const follows = found.findLast((symbol) => asked.has(symbol));
      if (follows === undefined) return scheduled;
      followers.set(follows, (followers.get(follows) ?? 0) + 1);
      return { ...scheduled, follows };
    });
    for (const [symbol, { node }] of counts) if (node === step.node) found.push(symbol);
    return { ...step, launches };
  });
  return marked.map((step) => {
    const setters = [...counts].flatMap(([symbol, { node, output }]) => {
      const launches = followers.get(symbol);
      return node === step.node && launches !== undefined ? [gridLaunch(symbol, output, launches)] : [];
    });
    return setters.length === 0 ? step : { ...step, launches: [...step.launches, ...setters] };
  });
}

/** Rows between two grids of the table, when there can be `most`. */
export function rowsPerStep(most: number): number {
  return Math.max(Math.ceil(most / GRID_STEPS), 1);
}

/** The grids of a launch that follows `symbol`, for 0, 1, … {@link GRID_STEPS} steps of rows. */
export function tabulateGrids(launch: Launch, symbol: string, sizes: Sizes): Grid[] {
  const most = sizes[symbol] as number;
  const step = rowsPerStep(most);
  const [width, height] = launch.grid(sizeLookup(sizes));
  return Array.from({ length: GRID_STEPS + 1 }, (_, i) => {
    const [x, y, z] = launch.grid(sizeLookup({ ...sizes, [symbol]: Math.min(i * step, most) }));
    // Where the full grid is folded, kernels may unfold by its width, which their uniform holds.
    return height > 1 ? [width, Math.ceil((x * y) / width), z] : [x, y, z];
  });
}

/** The symbols that a launch's grid depends on. */
function symbolsOf(launch: Launch, capacities: Sizes): Set<string> {
  const lookup = sizeLookup(capacities);
  const asked = new Set<string>();
  const size: SizeOf = (dim: Dim) => {
    if (typeof dim !== "number") asked.add(dim.symbol);
    return lookup(dim);
  };
  launch.grid(size);
  return asked;
}

function gridLaunch(symbol: string, output: string, launches: number): ScheduledLaunch {
  const launch: Launch = {
    kernel: KERNEL,
    constants: { STEPS: GRID_STEPS, WORKGROUP: LANES },
    uniform: { launches, step: (size) => rowsPerStep(size({ symbol, times: 1 })) },
    grid: () => [Math.ceil(launches / LANES), 1, 1],
  };
  return { ...withSource(launch), sets: { symbol, output } };
}
