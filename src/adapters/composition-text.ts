/**
 * @file Compositions as text, for command lines, logs and error messages: `fuse(a,b,stack(c,d))`, `split(a,b;3,5)`,
 * `batchSplit(a,b;1,3)`, `average(a,b;0.5,0.5)`, `none`. Names that hold special characters stand in double quotes.
 */

import {
  adapterLeaf,
  badComposition,
  batchSplit,
  fuse,
  isBlock,
  none,
  parallel,
  split,
  stack,
  weighted,
} from "./composition.ts";
import type { Block, Composition } from "./composition.ts";

const NAME = /^[^\s(),;:="'[\]{}\\]+/u;
const QUOTED = /^(?:"(?:[^"\\]|\\[^])*"|'[^']*')/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?/i;
const SPACE = /^\s*/;

/** Deeper text is refused before the stack overflows; the nesting table ends far above. */
const MOST_DEPTH = 32;

/** Keywords without case and underscores, so that `BatchSplit` and `batch_split` are read too. */
const keywords: Readonly<Record<string, Block["kind"]>> = {
  stack: "stack",
  fuse: "fuse",
  split: "split",
  batchsplit: "batchSplit",
  parallel: "parallel",
  average: "average",
};

/** @returns the composition as text that {@link parseComposition} reads back as the same data. */
export function formatComposition(composition: Composition): string {
  if (composition.kind === "none") return "none";
  if (!isBlock(composition)) return formatName(composition.name);
  const children = composition.children.map(formatComposition).join(",");
  return `${composition.kind}(${children}${formatRest(composition)})`;
}

function formatRest(block: Block): string {
  if (block.kind === "split") return `;${block.splits.join(",")}`;
  if (block.kind === "batchSplit") return `;${block.batchSizes.join(",")}`;
  if (block.kind === "average") return `;${block.weights.join(",")}`;
  return block.kind === "fuse" && block.name !== undefined ? `;${formatName(block.name)}` : "";
}

function formatName(name: string): string {
  return name !== "none" && NAME.exec(name)?.[0] === name ? name : JSON.stringify(name);
}

/**
 * Reads a composition. White space is free; the numbers are taken as they stand (weights of an average are not
 * normalised), and an average without numbers weighs every child alike. Nesting is not checked here.
 * @throws EngineError BAD_CONFIG with the position
 */
export function parseComposition(text: string): Composition {
  const reader = new Reader(text);
  const composition = reader.composition(0);
  reader.end();
  return composition;
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  composition(depth: number): Composition {
    if (depth > MOST_DEPTH) this.#refuse("fewer brackets inside one another");
    const quoted = this.#take(QUOTED);
    if (quoted !== null) return adapterLeaf(this.#unquote(quoted));
    const start = this.#at;
    const word = this.#take(NAME) ?? this.#refuse("an adapter name, a composition or none");
    if (!this.#skip("(")) return word === "none" ? none : adapterLeaf(word);
    const keyword = word.replaceAll("_", "").toLowerCase();
    if (Object.hasOwn(keywords, keyword)) return this.#block(keywords[keyword] as Block["kind"], depth);
    this.#at = start;
    return this.#refuse(`one of ${Object.values(keywords).join(", ")} before "("`);
  }

  end(): void {
    if (this.#peek() !== undefined) this.#refuse("the end");
  }

  #block(kind: Block["kind"], depth: number): Composition {
    const closed = [")", ";"].includes(this.#peek() ?? "");
    const children = closed ? [] : this.#list(() => this.composition(depth + 1));
    const plain = kind === "stack" || kind === "parallel";
    const more = !plain && this.#skip(";");
    if (!more && (kind === "split" || kind === "batchSplit")) this.#refuse(`";" and the lengths of the parts`);
    const built = this.#build(kind, children, more);
    if (!this.#skip(")")) this.#refuse(more ? `")"` : plain ? `"," or ")"` : `"," or ";" or ")"`);
    return built;
  }

  #build(kind: Block["kind"], children: Composition[], more: boolean): Composition {
    if (kind === "stack") return stack(...children);
    if (kind === "parallel") return parallel(...children);
    if (kind === "fuse") return more ? fuse(...children, { name: this.#name() }) : fuse(...children);
    const numbers = more ? this.#numbers() : children.map(() => 1 / children.length);
    if (kind === "split") return split(...children, { splits: numbers });
    return kind === "batchSplit" ? batchSplit(...children, { batchSizes: numbers }) : weighted(children, numbers);
  }

  #numbers(): number[] {
    if (this.#peek() === ")") return [];
    return this.#list(() => Number(this.#take(NUMBER) ?? this.#refuse("a number")));
  }

  #name(): string {
    const quoted = this.#take(QUOTED);
    if (quoted !== null) return this.#unquote(quoted);
    return this.#take(NAME) ?? this.#refuse("the name of the fusion");
  }

  #list<T>(read: () => T): T[] {
    const items = [read()];
    while (this.#skip(",")) items.push(read());
    return items;
  }

  /** Double quotes know the escapes of JSON, single ones none. */
  #unquote(quoted: string): string {
    if (quoted.length === 2) this.#refuse("a name between the quotes", this.#at - 2);
    if (quoted.startsWith("'")) return quoted.slice(1, -1);
    try {
      return JSON.parse(quoted) as string;
    } catch {
      return this.#refuse("a name with the escapes of JSON", this.#at - quoted.length);
    }
  }

  /** Skips white space and gives the next character. */
  #peek(): string | undefined {
    this.#at += SPACE.exec(this.#text.slice(this.#at))?.[0].length ?? 0;
    return this.#text[this.#at];
  }

  #skip(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  #take(pattern: RegExp): string | null {
    this.#peek();
    const found = pattern.exec(this.#text.slice(this.#at))?.[0] ?? null;
    this.#at += found?.length ?? 0;
    return found;
  }

  #refuse(expected: string, at = this.#at): never {
    const found = at < this.#text.length ? JSON.stringify(this.#text.slice(at, at + 12)) : "the end";
    const message = `composition ${JSON.stringify(this.#text.slice(0, 200))}: expected ${expected} at character ${at + 1}, found ${found}`;
    throw badComposition(message, `character ${at + 1}`, "write it like fuse(a,b,stack(c,d)) or split(a,b;3,5)");
  }
}
