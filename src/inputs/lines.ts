/** @file The lines of a text file. */

/** @returns the lines of a text. The end of the last line is no line of its own. */
export function linesOf(text: string): string[] {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}
