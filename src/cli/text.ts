/** @file Tables and numbers as text. */

/** How a column stands: numbers to the right. */
export type Align = "left" | "right";

/** @returns rows of cells as lines with columns of equal width; the first row is the header. */
export function formatTable(rows: readonly (readonly string[])[], align: readonly Align[] = []): string {
  const columns = Math.max(0, ...rows.map(({ length }) => length));
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? "").length)),
  );
  const pad = (cell: string, column: number): string =>
    align[column] === "right" ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number);
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

/** @returns `name  value` lines with the values under each other. */
export function formatFacts(facts: readonly (readonly [string, string])[]): string {
  return formatTable(facts);
}

/** @returns a whole number with thin groups: 7,104. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** @returns bytes in the unit that fits: 3.06 MiB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit + 1 < units.length) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${units[unit]}`;
}

/** @returns milliseconds in the unit that fits: 4.20 s. */
export function formatTime(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return milliseconds >= 1 ? `${milliseconds.toFixed(1)} ms` : `${(milliseconds * 1000).toFixed(0)} µs`;
}

/** @returns a share as a percentage. */
export function formatPercent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
