/** @file From values to places on an axis, linear or logarithmic, with round ticks. */

/** What an axis is to hold, and how. */
export interface Span {
  readonly log?: boolean;
  /** Where ticks stand; round numbers without it. */
  readonly ticks?: readonly number[];
  /** Values that the axis must hold besides those of the series. */
  readonly include?: readonly number[];
}

/** What an axis shows. */
export interface Axis extends Span {
  readonly label: string;
}

/** An axis made for values. */
export interface Scale {
  /** The place of a value: 0 at the beginning, 1 at the end. */
  readonly at: (value: number) => number;
  readonly ticks: readonly number[];
}

const TICKS = 5;
/** Values that differ by less, relatively, are one value: their logarithms and steps would be. */
const ONE_VALUE = 1e-9;
/** Steps below this have no power of ten that is a number. */
const TINIEST = 1e-290;

function step(low: number, high: number): number {
  // Each by itself: the distance between the largest floats of both signs is infinite.
  const raw = high / TICKS - low / TICKS;
  const power = 10 ** Math.floor(Math.log10(raw));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= raw * (1 - 1e-9)) ?? 10);
}

function linear(low: number, high: number, given: readonly number[] | undefined): Scale {
  if (given !== undefined) return { at: (value) => (value - low) / (high - low), ticks: given };
  const size = step(low, high);
  const [first, last] = [Math.floor(low / size + 1e-9), Math.ceil(high / size - 1e-9)];
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * size).toPrecision(12)));
  return { at: (value) => (value / size - first) / (last - first), ticks: ticks.filter(Number.isFinite) };
}

function logarithmic(low: number, high: number, given: readonly number[] | undefined): Scale {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const round = Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)).flatMap((power) =>
    [1, 2, 5].map((factor) => factor * power),
  );
  const within = round.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
  const [from, to] = [Math.log(low), Math.log(high)];
  const found = within.length > 1 ? within : [low, high];
  return { at: (value) => (Math.log(value) - from) / (to - from), ticks: given ?? found };
}

/**
 * @param values of all series; the axis also holds what it is told to include, and its ticks
 * @returns a scale on which the values lie between 0 and 1; one value alone lies in the middle
 */
export function scaleFor(values: readonly number[], { log = false, ticks, include = [] }: Span = {}): Scale {
  const all = [...values, ...include, ...(ticks ?? [])].filter(
    (value) => Number.isFinite(value) && (!log || value > 0),
  );
  const [low, high] =
    all.length === 0 ? [1, 2] : [all.reduce((a, b) => Math.min(a, b)), all.reduce((a, b) => Math.max(a, b))];
  const several = high - low > Math.max(ONE_VALUE * Math.max(Math.abs(low), Math.abs(high)), TINIEST);
  if (log) return several ? logarithmic(low, high, ticks) : logarithmic(low / 2, high * 2, ticks);
  const room = Math.abs(low) > TINIEST ? Math.abs(low) / 2 : 1;
  return several ? linear(low, high, ticks) : linear(low - room, high + room, ticks);
}

/** @returns a tick in as few digits as tell it apart: 0.25, 4096, 1e-6. */
export function tickText(value: number): string {
  if (value === 0) return "0";
  const magnitude = Math.abs(value);
  return magnitude >= 1e-3 && magnitude < 1e5
    ? String(Number(value.toPrecision(6)))
    : value.toExponential().replace("e+", "e");
}
