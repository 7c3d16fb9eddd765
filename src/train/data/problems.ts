/** @file Broken rows of a file, gathered so that one error names the first few of them. */

import { EngineError } from "../../errors.ts";

/** Rows that an error names. */
const NAMED = 3;

/** Gathers what is wrong with the rows of one file. */
export class Problems {
  readonly #file: string;
  readonly #found: { readonly place: string; readonly message: string }[] = [];

  constructor(file: string) {
    this.#file = file;
  }

  /** Notes a problem; `place` is a line, such as `4`, or what the row is called. */
  add(place: number | string, message: string): void {
    this.#found.push({ place: typeof place === "number" ? `line ${place}` : place, message });
  }

  /** @throws EngineError BAD_FILE when anything was noted */
  refuse(fix: string): void {
    const count = this.#found.length;
    if (count === 0) return;
    const named = this.#found.slice(0, NAMED).map(({ place, message }) => `${place}: ${message}`);
    const more = count > NAMED ? `; and ${count - NAMED} more` : "";
    const rows = count === 1 ? "1 broken row" : `${count} broken rows`;
    throw new EngineError("BAD_FILE", `${this.#file} has ${rows}: ${named.join("; ")}${more}`, {
      where: this.#file,
      fix,
    });
  }
}
